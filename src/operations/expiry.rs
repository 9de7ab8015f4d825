//! Faces that their collection keeps no longer are deleted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::audit::{Audit, Caller, Touched, Trail};
use crate::domain::{Fault, Operation, RETENTION_TAG, Retention};
use crate::store::{Collection, Store};
use crate::task;

/// What the audit log says of a deletion that failed.
const FAILED: &str = "InternalServerError";

/// Where there may be such faces.
#[derive(Clone, Copy)]
pub struct Expirable<'a> {
    /// What has them.
    pub store: &'a Store,
    /// What is told of them.
    pub audit: Option<&'a Audit>,
}

/// Looks through every collection that keeps faces for a time, now and then, and at once after a start. Ends when the server stops.
pub async fn now_and_then(of: Expirable<'_>, every: Duration) {
    task::now_and_then(every, || async move {
        if let Err(fault) = expire(of).await {
            tracing::warn!(error = %fault, "cannot find which faces are kept no longer: again in {every:?}");
        }
    })
    .await;
}

async fn expire(of: Expirable<'_>) -> Result<(), Fault> {
    for (collection, value) in of.store.collections_with_tag(RETENTION_TAG).await? {
        match value.parse::<Retention>() {
            Ok(retention) => match expire_from(of, &collection, retention).await {
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

async fn expire_from(of: Expirable<'_>, collection: &Collection, retention: Retention) -> Result<usize, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(retention.get()).as_millis() as i64;
    let mut all = 0;
    loop {
        let faces = of.store.oldest_faces(collection, before).await?;
        if faces.is_empty() {
            return Ok(all);
        }
        let trail = Trail::new(of.audit, Some(Operation::DeleteFaces), &Uuid::new_v4().to_string(), None);
        let account = Some(collection.account.as_str().to_owned());
        trail.admitted(Caller { arn: Some(RETENTION_TAG.to_owned()), access_key_id: None, account });
        trail.names(Some(collection.id.as_str()), Touched { faces: faces.clone(), users: Vec::new() });
        trail.intend([]).await?;
        let deleted = of.store.take_and_delete_faces(collection, faces).await;
        trail.end(deleted.as_ref().map(drop).map_err(|_| FAILED), false, None).await?;
        all += deleted?.len();
    }
}
