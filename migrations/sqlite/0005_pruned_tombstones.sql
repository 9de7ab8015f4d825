-- What was deleted leaves its id (deleted_faces, deleted_users) until a server removes the oldest of these: how many there are, and up to
-- which revision they are gone. Whoever knows only an earlier revision has to begin anew.
ALTER TABLE collections ADD COLUMN tombstones INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;
UPDATE collections SET tombstones =
    (SELECT count(*) FROM deleted_faces WHERE collection_id = collections.id)
    + (SELECT count(*) FROM deleted_users WHERE collection_id = collections.id);
