//! GroupFaces: a collection's faces, put together by who resembles whom. Nothing is stored.

use std::collections::HashMap;

use strum::{EnumString, VariantNames};

use crate::domain::{CollectionId, Face, FaceId, Fault, ModelVersion, Percent};
use crate::search::{Graph, Probe, Query};
use crate::task;
use crate::telemetry::Stage;

use super::{Call, Comparable};

/// Faces that are grouped in one call, at most.
const MOST_FACES: u32 = 200_000;
/// Of a face's neighbours that reach the threshold, so many of the nearest count.
const NEIGHBOURS: usize = 64;
/// Questions that are asked at once, and so share a scan.
const AT_ONCE: usize = 64;
/// Faces that are read from the store at once.
const PAGE: i64 = 4096;

/// A request to group faces.
pub struct GroupFaces {
    /// The collection.
    pub collection_id: CollectionId,
    /// Faces this similar may belong together.
    pub threshold: Percent,
    /// Groups have at least so many faces.
    pub min_faces: u32,
    /// Those that are grouped.
    pub faces: WhichFaces,
}

/// Faces of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum WhichFaces {
    /// Those that belong to no user.
    Unassigned,
    /// All.
    All,
}

/// Faces, grouped.
pub struct FaceGroups {
    /// From larger to smaller.
    pub groups: Vec<FaceGroup>,
    /// The faces that are in no group, in ascending order of their ids.
    pub ungrouped: Vec<Face>,
    /// The models that made the collection's vectors.
    pub model_version: ModelVersion,
}

/// Faces that are likely one person's.
pub struct FaceGroup {
    /// How similar two of its faces are on average, by their cosines.
    pub confidence: Percent,
    /// Each with its average similarity to the others, the most typical first.
    pub faces: Vec<(Percent, Face)>,
}

/// Groups a collection's faces. Fails with [`Fault::QuotaExceeded`] where there are more than 200,000, and with
/// [`Fault::Overloaded`] while another call does so.
pub async fn group_faces(call: Call<'_>, request: GroupFaces) -> Result<FaceGroups, Fault> {
    let _turn = call.service.grouping.try_acquire().map_err(|_| Fault::Overloaded("other faces are being grouped"))?;
    let comparable = call.comparable(&request.collection_id).await?;
    let faces = faces(call, &comparable, request.faces).await?;
    let searching = neighbours(call, &comparable, &faces, request.threshold);
    let neighbours = call.stages.time_async(Stage::Search, searching).await?;
    let groups = task::on_a_thread("grouping faces", move || Graph::of(neighbours).groups()).await?;

    let least = request.min_faces as usize;
    let (large, small): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.len() >= least);
    let mut faces: Vec<Option<Face>> = faces.into_iter().map(Some).collect();
    let mut taken = |nodes: Vec<u32>| nodes.into_iter().filter_map(|node| faces[node as usize].take()).collect();
    let mut found = Vec::with_capacity(large.len());
    for group in large {
        found.push(described(call, &comparable, taken(group)).await?);
    }
    let mut ungrouped: Vec<Face> = small.into_iter().flat_map(&mut taken).collect();
    ungrouped.sort_unstable_by_key(|face| face.face_id);
    Ok(FaceGroups { groups: found, ungrouped, model_version: comparable.collection.model_version })
}

/// The faces to group, in ascending order of their ids.
async fn faces(call: Call<'_>, comparable: &Comparable, which: WhichFaces) -> Result<Vec<Face>, Fault> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let reading = call.service.store.faces(&comparable.collection, after, None, None, PAGE);
        let page = call.stages.time_async(Stage::Store, reading).await?;
        let is_last = (page.len() as i64) < PAGE;
        after = page.last().map(|face| face.face_id);
        all.extend(page.into_iter().filter(|face| which == WhichFaces::All || face.user_id.is_none()));
        if all.len() > MOST_FACES as usize {
            return Err(Fault::QuotaExceeded("faces to group in one call", MOST_FACES));
        }
        if is_last {
            return Ok(all);
        }
    }
}

/// For each of these faces the others of them that resemble it, by their places, with the cosines as weights.
async fn neighbours(
    call: Call<'_>,
    comparable: &Comparable,
    faces: &[Face],
    threshold: Percent,
) -> Result<Vec<Vec<(u32, f32)>>, Fault> {
    let places: HashMap<FaceId, u32> = faces.iter().map(|face| face.face_id).zip(0..).collect();
    // Weights are to be above zero.
    let min_cosine = comparable.min_cosine(threshold).max(f32::MIN_POSITIVE);
    let mut all = Vec::with_capacity(faces.len());
    for some in faces.chunks(AT_ONCE) {
        let query = |face: &Face| Query { probe: Probe::Member(face.face_id), min_cosine, limit: NEIGHBOURS };
        let queries = some.iter().map(query).collect();
        let found = call.service.indexes.faces.nearest_to_each(&comparable.collection, queries).await?;
        // A face that was deleted meanwhile resembles nobody.
        all.extend(found.into_iter().map(|found| {
            let others = found.unwrap_or_default().into_iter();
            others.filter_map(|other| Some((*places.get(&other.id)?, other.cosine))).collect()
        }));
    }
    Ok(all)
}

async fn described(call: Call<'_>, comparable: &Comparable, faces: Vec<Face>) -> Result<FaceGroup, Fault> {
    let mut faces = call.compared(comparable, faces).await?;
    faces.reverse();
    let mean = faces.iter().map(|(cosine, _)| cosine).sum::<f64>() / faces.len().max(1) as f64;
    let faces = faces.into_iter().map(|(cosine, face)| (comparable.similarity(cosine as f32), face)).collect();
    Ok(FaceGroup { confidence: comparable.similarity(mean as f32), faces })
}
