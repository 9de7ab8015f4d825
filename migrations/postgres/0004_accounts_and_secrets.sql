-- One row an account: locked by whoever makes or deletes one of its collections, so that its quota is exact.
CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    collection_count BIGINT NOT NULL
);
INSERT INTO accounts (account, collection_count) SELECT account, count(*) FROM collections GROUP BY account;

-- Keys that every server on this database shares and no client sees.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    secret BYTEA NOT NULL
);
