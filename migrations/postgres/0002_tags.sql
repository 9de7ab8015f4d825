CREATE TABLE tags (
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (collection_id, tag_key)
);
