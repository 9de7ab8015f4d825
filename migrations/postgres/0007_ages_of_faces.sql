-- When a face was indexed, for collections that keep faces for a time. Those that were there before count from this step on.
ALTER TABLE faces ADD COLUMN indexed_at_ms BIGINT;
CREATE TABLE ages (
    begin_at_ms BIGINT NOT NULL
);
INSERT INTO ages (begin_at_ms) VALUES (CAST(extract(epoch FROM now()) * 1000 AS BIGINT));
