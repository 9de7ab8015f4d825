//! SearchUsers and SearchUsersByImage: the users of a collection that a probe resembles.

use std::collections::{HashMap, HashSet};

use crate::domain::{
    CollectionId, FaceDetail, FaceId, Fault, ImageSource, ModelVersion, Percent, QualityFilter, Reason, User, UserId,
};
use crate::search::{Neighbour, Probe, Query};
use crate::store::UserKey;
use crate::telemetry::Stage;
use crate::vision::Wanted;

use super::{Call, Comparable, UnindexedFace};

/// Whom a search for users starts from.
pub enum UserProbe {
    /// A face of the collection.
    Face(FaceId),
    /// A user of the collection; it is not among its own matches.
    User(UserId),
}

/// A search for users.
pub struct SearchUsers {
    /// The collection.
    pub collection_id: CollectionId,
    /// Whom to start from; a request has to name one.
    pub probe: Option<UserProbe>,
    /// The most matches.
    pub max_users: u32,
    /// Matches are at least this similar.
    pub threshold: Percent,
}

/// What a search for users found.
pub struct UserSearch {
    /// Whom it started from.
    pub probe: UserProbe,
    /// Most similar first.
    pub matches: Vec<(Percent, User)>,
    /// The models compared.
    pub model_version: ModelVersion,
}

/// A search for users by the largest face of an image.
pub struct SearchUsersByImage {
    /// The collection.
    pub collection_id: CollectionId,
    /// The image file.
    pub image: Option<ImageSource>,
    /// The most matches.
    pub max_users: u32,
    /// Matches are at least this similar.
    pub threshold: Percent,
    /// How good the probe has to be.
    pub quality_filter: QualityFilter,
}

/// What a search for users by image found.
pub struct UserImageSearch {
    /// The probe, unless the image has no face that passes.
    pub searched: Option<FaceDetail>,
    /// The other faces, and why they were not searched by.
    pub unsearched: Vec<UnindexedFace>,
    /// Most similar first.
    pub matches: Vec<(Percent, User)>,
    /// The models compared.
    pub model_version: ModelVersion,
}

/// Searches by a face or a user of the collection. Fails with [`Fault::FaceNotFound`] or [`Fault::UserNotFound`].
pub async fn search_users(call: Call<'_>, request: SearchUsers) -> Result<UserSearch, Fault> {
    let comparable = call.comparable(&request.collection_id).await?;
    let started_from = request.probe.ok_or(Fault::InvalidParameters)?;
    let probe = match &started_from {
        UserProbe::Face(id) => {
            let vector = call.service.indexes.faces.vector(&comparable.collection, id).await?;
            Probe::Embedding(vector.ok_or(Fault::FaceNotFound)?)
        }
        UserProbe::User(id) => Probe::Member(call.service.store.user(&comparable.collection, id).await?),
    };
    let matches = matches(call, &comparable, probe, request.threshold, request.max_users).await?;
    Ok(UserSearch { probe: started_from, matches, model_version: comparable.collection.model_version })
}

/// Searches by the largest face of an image; nothing is stored. An image without a usable face matches nobody.
pub async fn search_users_by_image(call: Call<'_>, request: SearchUsersByImage) -> Result<UserImageSearch, Fault> {
    let models = call.comparable(&request.collection_id).await?.models;
    let filter = request.quality_filter;
    let (probe, unsearched) = call
        .with_faces(&models, request.image, Wanted::ALL, move |pipeline, _, scene, stages| {
            let (mut probe, mut unsearched) = (None, Vec::new());
            for face in scene.faces {
                let mut reasons = if face.rank > 0 { vec![Reason::FaceNotLargest] } else { face.shortcomings(filter) };
                if reasons.is_empty() {
                    let embedding = pipeline
                        .embed(&[&face], stages)
                        .map_err(Fault::internal("embedding the probe"))?
                        .swap_remove(0);
                    match embedding.shortcoming(filter) {
                        None => probe = Some((face.detail.clone(), embedding.vector)),
                        Some(reason) => reasons.push(reason),
                    }
                }
                if !reasons.is_empty() {
                    unsearched.push(UnindexedFace { detail: face.detail, reasons });
                }
            }
            Ok((probe, unsearched))
        })
        .await?;
    // Read anew: what was acknowledged while the image was looked at is found as well.
    let comparable = call.comparable(&request.collection_id).await?;
    let (searched, matches) = match probe {
        None => (None, Vec::new()),
        Some((detail, embedding)) => {
            let probe = Probe::Embedding(embedding);
            (Some(detail), matches(call, &comparable, probe, request.threshold, request.max_users).await?)
        }
    };
    Ok(UserImageSearch { searched, unsearched, matches, model_version: comparable.collection.model_version })
}

async fn matches(
    call: Call<'_>,
    comparable: &Comparable,
    probe: Probe<UserKey>,
    threshold: Percent,
    max_users: u32,
) -> Result<Vec<(Percent, User)>, Fault> {
    Ok(matches_of_each(call, comparable, vec![probe], threshold, max_users).await?.pop().unwrap_or_default())
}

/// The users of a collection that each of these probes resembles, most similar first.
pub(super) async fn matches_of_each(
    call: Call<'_>,
    comparable: &Comparable,
    probes: Vec<Probe<UserKey>>,
    threshold: Percent,
    max_users: u32,
) -> Result<Vec<Vec<(Percent, User)>>, Fault> {
    let (min_cosine, limit) = (comparable.min_cosine(threshold), max_users as usize);
    let queries = probes.into_iter().map(|probe| Query { probe, min_cosine, limit }).collect();
    let search = call.service.indexes.users.nearest_to_each(&comparable.collection, queries);
    // A user without faces has no vector and resembles nobody.
    let answers = call.stages.time_async(Stage::Search, search).await?;
    let found: Vec<Vec<Neighbour<UserKey>>> = answers.into_iter().map(Option::unwrap_or_default).collect();
    let keys: HashSet<UserKey> = found.iter().flatten().map(|neighbour| neighbour.id).collect();
    let keys: Vec<UserKey> = keys.into_iter().collect();
    if keys.is_empty() {
        return Ok(found.iter().map(|_| Vec::new()).collect());
    }
    let reading = call.service.store.users(&comparable.collection, None, Some(&keys), keys.len() as i64);
    let by_key: HashMap<UserKey, User> = call.stages.time_async(Stage::Store, reading).await?.into_iter().collect();
    // A user that was deleted since the scan drops out here.
    let matched = |neighbour: &Neighbour<UserKey>| {
        let user = by_key.get(&neighbour.id)?.clone();
        let similarity = comparable.similarity(neighbour.cosine);
        (similarity >= threshold).then_some((similarity, user))
    };
    Ok(found.iter().map(|neighbours| neighbours.iter().filter_map(matched).collect()).collect())
}
