-- A change of a collection's faces takes the next revision, in the transaction that makes the change: a server whose memory is
-- at revision r reads the faces and the deletions with a revision above r and is current.
CREATE TABLE collections (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    face_model_version TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0,
    face_count BIGINT NOT NULL DEFAULT 0,
    UNIQUE (account, name)
);

CREATE TABLE faces (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id BYTEA NOT NULL,
    image_id BYTEA NOT NULL,
    external_image_id TEXT,
    box_left DOUBLE PRECISION NOT NULL,
    box_top DOUBLE PRECISION NOT NULL,
    box_width DOUBLE PRECISION NOT NULL,
    box_height DOUBLE PRECISION NOT NULL,
    confidence DOUBLE PRECISION NOT NULL,
    -- Little-endian 32-bit floats.
    embedding BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (collection_id, face_id)
);
CREATE INDEX faces_by_revision ON faces (collection_id, revision);

CREATE TABLE deleted_faces (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (collection_id, face_id)
);
CREATE INDEX deleted_faces_by_revision ON deleted_faces (collection_id, revision);
