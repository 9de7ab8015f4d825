//! Vectors of those who are gone leave the gallery files.

use std::time::Duration;

use super::preload::Loadable;
use crate::domain::{Fault, Preload};
use crate::task;

/// Looks through every collection now and then, and at once after a start. Ends when the server stops.
pub async fn now_and_then(of: Loadable<'_>, every: Duration) {
    task::now_and_then(every, || async move {
        if let Err(fault) = clean(of).await {
            tracing::warn!(error = %fault, "cannot find which gallery files to clean: again in {every:?}");
        }
    })
    .await;
}

async fn clean(of: Loadable<'_>) -> Result<(), Fault> {
    for collection in of.collections(&[Preload::Every]).await? {
        match of.indexes.clean(&collection).await {
            // Its files have gone with it.
            Ok(()) | Err(Fault::CollectionNotFound(_)) => {}
            Err(fault) => tracing::warn!(
                collection = %collection.id,
                error = %fault,
                "gallery files may have vectors of faces or users that are deleted: they will be cleaned later"
            ),
        }
    }
    Ok(())
}
