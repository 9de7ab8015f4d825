-- Files of vectors that a server keeps beside the database have a mark, and it is noted here. A database that was restored to a time before
-- does not know it: such files are of a past that this database does not have.
CREATE TABLE gallery_marks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_id BIGINT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    mark TEXT NOT NULL
);
CREATE INDEX gallery_marks_by_collection ON gallery_marks (collection_id, id);
