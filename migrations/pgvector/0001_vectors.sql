-- An image of the vectors, for servers that search with pgvector (--search pgvector). It can be dropped at any time: it is made anew.
CREATE EXTENSION IF NOT EXISTS vector;

-- Up to which revision of the collection the image has come.
CREATE TABLE IF NOT EXISTS vector_images (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (collection_id, kind)
);

CREATE TABLE IF NOT EXISTS face_vectors (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    member BYTEA NOT NULL,
    embedding vector NOT NULL,
    PRIMARY KEY (collection_id, member)
);

CREATE TABLE IF NOT EXISTS user_vectors (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    member BYTEA NOT NULL,
    embedding vector NOT NULL,
    PRIMARY KEY (collection_id, member)
);
