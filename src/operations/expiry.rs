//! Faces that their collection keeps no longer are deleted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::{Fault, RETENTION_TAG, Retention};
use crate::store::{Collection, Store};
use crate::task;

/// Looks through every collection that keeps faces for a time, now and then, and at once after a start. Ends when the server stops.
pub async fn now_and_then(store: &Store, every: Duration) {
    loop {
        tokio::select! {
            biased;
            () = task::ending() => return,
            outcome = expire(store) => if let Err(fault) = outcome {
                tracing::warn!(error = %fault, "cannot find which faces are kept no longer: again in {every:?}");
            },
        }
        tokio::select! {
            biased;
            () = task::ending() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn expire(store: &Store) -> Result<(), Fault> {
    for (collection, value) in store.collections_with_tag(RETENTION_TAG).await? {
        match value.parse::<Retention>() {
            Ok(retention) => match expire_from(store, &collection, retention).await {
                Ok(0) | Err(Fault::CollectionNotFound(_)) => {}
                Ok(faces) => {
                    tracing::info!(collection = %collection.id, faces, after = value, "faces are deleted: they are kept no longer")
                }
                Err(fault) => {
                    tracing::warn!(collection = %collection.id, error = %fault, "faces that are kept no longer stay for now")
                }
            },
            // Set while the server did not look at it.
            Err(error) => tracing::warn!(collection = %collection.id, %error, "faces are kept for ever"),
        }
    }
    Ok(())
}

async fn expire_from(store: &Store, collection: &Collection, retention: Retention) -> Result<usize, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(retention.get()).as_millis() as i64;
    let mut all = 0;
    loop {
        let deleted = store.expire_faces(collection, before).await?.len();
        all += deleted;
        if deleted == 0 {
            return Ok(all);
        }
    }
}
