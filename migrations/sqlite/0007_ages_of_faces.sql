-- When a face was indexed, for collections that keep faces for a time. Those that were there before count from this step on.
ALTER TABLE faces ADD COLUMN indexed_at_ms INTEGER;
CREATE TABLE ages (
    begin_at_ms INTEGER NOT NULL
);
INSERT INTO ages (begin_at_ms) VALUES (CAST(strftime('%s', 'now') AS INTEGER) * 1000);
