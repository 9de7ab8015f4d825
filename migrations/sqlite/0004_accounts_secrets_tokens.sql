-- One row an account: locked by whoever makes or deletes one of its collections, so that its quota is exact.
CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    collection_count INTEGER NOT NULL
);
INSERT INTO accounts (account, collection_count) SELECT account, count(*) FROM collections GROUP BY account;

-- Keys that every server on this database shares and no client sees.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL
);

-- A token goes with the collection that its request was about; those of the last day are forgotten once.
DROP TABLE client_tokens;
CREATE TABLE client_tokens (
    account TEXT NOT NULL,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    token TEXT NOT NULL,
    request BLOB NOT NULL,
    -- The ids of the faces that the request changed, sixteen bytes each.
    changed BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (account, token)
);
CREATE INDEX client_tokens_by_age ON client_tokens (created_at_ms);
CREATE INDEX client_tokens_by_collection ON client_tokens (collection_id);
