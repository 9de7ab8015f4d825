//! Marks of gallery files: what tells files of this database's own past from those of another one.
//!
//! A revision alone does not. A database that was restored counts on from an earlier revision, and other changes get the numbers that were
//! given before. It does not know the marks that were made after its copy was, and so their files are of no use to it.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::Fault;

use super::{Collection, Store};

/// How many of a collection are known, the newest. Each server makes one now and then for its own files; one whose mark is forgotten reads
/// the database once.
const KEPT: i64 = 256;

impl Store {
    /// A new mark for files of what this collection is, or was before. Fails with [`Fault::CollectionNotFound`].
    pub async fn mark_gallery(&self, collection: &Collection) -> Result<String, Fault> {
        const CONTEXT: &str = "marking gallery files";
        let failed = Fault::internal::<sqlx::Error>(CONTEXT);
        let mark = uuid::Uuid::new_v4().to_string();
        let _writer = self.writer(CONTEXT).await?;
        let mut transaction = self.pool.begin().await.map_err(&failed)?;
        let marked =
            sqlx::query("INSERT INTO gallery_marks (collection_id, mark) SELECT id, $2 FROM collections WHERE id = $1")
                .bind(collection.key)
                .bind(&mark)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        if marked.rows_affected() == 0 {
            return Err(Fault::CollectionNotFound(collection.id.clone()));
        }
        sqlx::query(
            "DELETE FROM gallery_marks WHERE collection_id = $1 AND id NOT IN \
             (SELECT id FROM gallery_marks WHERE collection_id = $1 ORDER BY id DESC LIMIT $2)",
        )
        .bind(collection.key)
        .bind(KEPT)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(mark)
    }

    /// Whether this mark was made for the collection.
    pub async fn knows_mark(&self, collection: &Collection, mark: &str) -> Result<bool, Fault> {
        sqlx::query("SELECT count(*) FROM gallery_marks WHERE collection_id = $1 AND mark = $2")
            .bind(collection.key)
            .bind(mark.to_owned())
            .try_map(|row: AnyRow| row.try_get::<i64, _>(0))
            .fetch_one(&self.pool)
            .await
            .map(|count| count > 0)
            .map_err(Fault::internal("looking for the mark of gallery files"))
    }
}
