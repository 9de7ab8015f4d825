-- A change of a collection's faces takes the next revision, in the transaction that makes the change: a server whose memory is
-- at revision r reads the faces and the deletions with a revision above r and is current.
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    face_model_version TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    face_count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, name)
);

CREATE TABLE faces (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id BLOB NOT NULL,
    image_id BLOB NOT NULL,
    external_image_id TEXT,
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_width REAL NOT NULL,
    box_height REAL NOT NULL,
    confidence REAL NOT NULL,
    -- Little-endian 32-bit floats.
    embedding BLOB NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (collection_id, face_id)
);
CREATE INDEX faces_by_revision ON faces (collection_id, revision);

CREATE TABLE deleted_faces (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (collection_id, face_id)
);
CREATE INDEX deleted_faces_by_revision ON deleted_faces (collection_id, revision);
