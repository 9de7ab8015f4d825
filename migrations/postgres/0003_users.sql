-- A user is some faces of a collection that are one person: its vector is their mean direction, kept current by every change of
-- its faces, and it has revisions like a face.
CREATE TABLE users (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    face_count BIGINT NOT NULL DEFAULT 0,
    -- Little-endian 32-bit floats; null while the user has no face.
    embedding BYTEA,
    revision BIGINT NOT NULL,
    UNIQUE (collection_id, name)
);
CREATE INDEX users_by_revision ON users (collection_id, revision);

CREATE TABLE deleted_users (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (collection_id, user_id)
);
CREATE INDEX deleted_users_by_revision ON deleted_users (collection_id, revision);

ALTER TABLE faces ADD COLUMN user_id BIGINT REFERENCES users (id) ON DELETE SET NULL;
CREATE INDEX faces_by_user ON faces (user_id);

ALTER TABLE collections ADD COLUMN user_count BIGINT NOT NULL DEFAULT 0;

-- Requests that carried a token, for a day: the same one again gets the same answer, another one under its token is refused.
CREATE TABLE client_tokens (
    account TEXT NOT NULL,
    token TEXT NOT NULL,
    request BYTEA NOT NULL,
    -- The ids of the faces that the request changed, sixteen bytes each.
    changed BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (account, token)
);
CREATE INDEX client_tokens_by_age ON client_tokens (created_at_ms);
