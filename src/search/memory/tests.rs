//! Galleries against lists.

use super::super::question::{Neighbour, Probe, Query};
use super::files::{Files, GalleryFiles};
use super::gallery::Gallery;
use super::segment::CHUNK;
use crate::domain::{CollectionId, FaceId, ModelVersion, cosine};
use crate::store::Collection;

fn id(n: u32) -> FaceId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    FaceId::from_bytes(bytes)
}

fn gallery<const N: usize>(faces: &[(u32, [f32; N])]) -> Gallery<FaceId> {
    let mut gallery = Gallery::for_members(0);
    for (n, vector) in faces {
        gallery.insert(id(*n), vector).unwrap();
    }
    gallery
}

fn nearest(
    gallery: &Gallery<FaceId>,
    probe: Probe<FaceId>,
    min_cosine: f32,
    limit: usize,
) -> Option<Vec<Neighbour<FaceId>>> {
    gallery.nearest(&[Query { probe, min_cosine, limit }]).unwrap().swap_remove(0)
}

fn ids(found: Option<Vec<Neighbour<FaceId>>>) -> Vec<FaceId> {
    found.unwrap().iter().map(|n| n.id).collect()
}

#[test]
fn nearest_are_sorted_limited_and_above_the_threshold() {
    let gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.8, 0.6]), (4, [-1.0, 0.0])]);
    let probe = || Probe::Embedding(vec![1.0, 0.0]);
    assert_eq!(ids(nearest(&gallery, probe(), -1.0, 9)), [id(1), id(3), id(2), id(4)]);
    assert_eq!(ids(nearest(&gallery, probe(), 0.7, 9)), [id(1), id(3)]);
    assert_eq!(ids(nearest(&gallery, probe(), -1.0, 2)), [id(1), id(3)]);
    assert_eq!(ids(nearest(&gallery, Probe::Member(id(1)), 0.7, 9)), [id(3)]);
    assert_eq!(nearest(&gallery, Probe::Member(id(9)), 0.0, 9), None);
}

#[test]
fn equally_near_faces_come_in_the_order_of_their_ids() {
    let gallery = gallery(&[(3, [1.0, 0.0]), (1, [1.0, 0.0]), (2, [1.0, 0.0])]);
    assert_eq!(ids(nearest(&gallery, Probe::Embedding(vec![1.0, 0.0]), 0.0, 2)), [id(1), id(2)]);
}

#[test]
fn vectors_of_another_length_are_refused() {
    let mut gallery = gallery(&[(1, [1.0, 0.0])]);
    assert!(gallery.insert(id(2), &[1.0, 0.0, 0.0]).is_err());
    assert!(gallery.insert(id(2), &[]).is_err());
}

#[test]
fn a_member_that_moves_is_found_where_it_went() {
    let mut gallery = gallery(&[(1, [1.0, 0.0]), (2, [0.6, 0.8]), (3, [0.0, 1.0])]);
    gallery.insert(id(1), &[0.0, -1.0]).unwrap();
    assert_eq!(gallery.len(), 3);
    gallery.remove(&id(2)).unwrap();
    assert_eq!(gallery.vector_of(&id(3)).unwrap(), Some(&[0.0, 1.0][..]));
    assert_eq!(ids(nearest(&gallery, Probe::Embedding(vec![0.0, -1.0]), 0.5, 9)), [id(1)]);
}

/// A vector of unit length, the same for the same number.
pub fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let raw: Vec<f32> = (0..dimensions).map(|_| (0..4).map(|_| random.f32() - 0.5).sum()).collect();
    let norm = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
    raw.iter().map(|v| v / norm).collect()
}

/// What a comparison of everything in 64 bits says.
fn truth(faces: &[(FaceId, Vec<f32>)], probe: &[f32], min_cosine: f32, limit: usize) -> Vec<FaceId> {
    let mut all: Vec<(f64, FaceId)> = faces.iter().map(|(id, vector)| (cosine(probe, vector), *id)).collect();
    all.retain(|(cosine, _)| *cosine >= f64::from(min_cosine));
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(limit).map(|(_, id)| id).collect()
}

#[test]
fn several_questions_over_several_segments_get_the_answers_of_a_full_comparison() {
    let mut gallery = Gallery::for_members(0);
    let faces: Vec<(FaceId, Vec<f32>)> = (0..2 * 65_536 + 100).map(|n| (id(n), vector(u64::from(n), 16))).collect();
    for (id, vector) in &faces {
        gallery.insert(*id, vector).unwrap();
    }
    let queries: Vec<Query<FaceId>> = (0..24)
        .map(|n| Query {
            probe: Probe::Embedding(vector(1_000_000 + n, 16)),
            min_cosine: [-1.0, 0.5, 0.8][n as usize % 3],
            limit: [1, 7, 300, 4096][n as usize % 4],
        })
        .collect();
    for (query, found) in queries.iter().zip(gallery.nearest(&queries).unwrap()) {
        let Probe::Embedding(probe) = &query.probe else { unreachable!() };
        assert_eq!(ids(found), truth(&faces, probe, query.min_cosine, query.limit));
    }
}

/// Vectors that are hard to tell apart, or to keep in few bits.
fn hard(kind: u32, seed: u64, dimensions: usize) -> Vec<f32> {
    let (person, noise) = (vector(seed % 7, dimensions), vector(seed + 1000, dimensions));
    match kind {
        // Faces of few people.
        0 => unit(person.iter().zip(&noise).map(|(own, noise)| own + 0.7 * noise).collect()),
        // The same face again and again, but for the last bits.
        1 => unit(person.iter().zip(&noise).map(|(own, noise)| own + 1e-6 * noise).collect()),
        // One number outweighs all others, whose codes are then nothing.
        2 => unit(
            noise.iter().enumerate().map(|(at, noise)| if at == seed as usize % 5 { 9.0 } else { *noise }).collect(),
        ),
        // All numbers are equally large: the largest codes there are.
        _ => unit(noise.iter().map(|noise| noise.signum()).collect()),
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= norm);
    vector
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]
    #[test]
    fn answers_are_those_of_a_full_comparison_however_hard_the_vectors_are(
        seed in 0u64..1 << 30,
        dimensions in 8usize..200,
        kinds in proptest::collection::vec(0u32..4, 1..3),
        min_cosine in -1.0f32..1.0,
        limit in 1usize..200,
    ) {
        let kind = |n: u32| kinds[n as usize % kinds.len()];
        let faces: Vec<_> = (0..2500).map(|n| (id(n), hard(kind(n), seed + u64::from(n), dimensions))).collect();
        let mut gallery = Gallery::for_members(0);
        for (id, vector) in &faces {
            gallery.insert(*id, vector).unwrap();
        }
        let probes: Vec<_> = (0..5).map(|n| hard(kind(n), seed + u64::from(n) + 5000, dimensions)).collect();
        let query = |probe: &Vec<f32>| Query { probe: Probe::Embedding(probe.clone()), min_cosine, limit };
        let queries: Vec<_> = probes.iter().map(query).collect();
        for (probe, found) in probes.iter().zip(gallery.nearest(&queries).unwrap()) {
            proptest::prop_assert_eq!(ids(found), truth(&faces, probe, min_cosine, limit));
        }
    }
}

#[test]
fn a_gallery_that_thins_out_gives_memory_back_and_leaves_its_copies_alone() {
    let mut random = fastrand::Rng::with_seed(16);
    let mut gallery = Gallery::for_members(0);
    let mut list = std::collections::BTreeMap::new();
    let insert = |gallery: &mut Gallery<FaceId>, list: &mut std::collections::BTreeMap<_, _>, n: u32, seed| {
        let vector = vector(seed, 16);
        gallery.insert(id(n), &vector).unwrap();
        list.insert(id(n), vector);
    };
    for n in 0..8 * CHUNK as u32 {
        insert(&mut gallery, &mut list, n, u64::from(n));
    }
    let (whole, all, full) = (gallery.clone(), list.clone(), gallery.bytes());
    for step in 0..40_000 {
        let n = random.u32(0..8 * CHUNK as u32);
        if random.u8(0..8) == 0 {
            insert(&mut gallery, &mut list, n, step);
        } else {
            gallery.remove(&id(n)).unwrap();
            list.remove(&id(n));
        }
    }
    assert_eq!(gallery.len(), list.len());
    assert!(gallery.bytes() < full / 2, "{} of {full} bytes for {} members", gallery.bytes(), gallery.len());
    for (gallery, list) in [(&gallery, list), (&whole, all)] {
        for (id, vector) in &list {
            assert_eq!(gallery.vector_of(id).unwrap(), Some(vector.as_slice()));
        }
        let faces: Vec<(FaceId, Vec<f32>)> = list.into_iter().collect();
        for seed in 0..8 {
            let probe = vector(1_000_000 + seed, 16);
            let expected = truth(&faces, &probe, -1.0, 300);
            assert_eq!(ids(nearest(gallery, Probe::Embedding(probe), -1.0, 300)), expected);
        }
    }
    for n in 0..8 * CHUNK as u32 {
        gallery.remove(&id(n)).unwrap();
    }
    assert_eq!((gallery.len(), gallery.chunks().len()), (0, 0));
    gallery.insert(id(1), &[1.0, 0.0]).unwrap();
}

proptest::proptest! {
    #[test]
    fn a_gallery_is_what_a_list_would_be(steps in proptest::collection::vec((proptest::bool::ANY, 0u32..12), 0..60)) {
        let mut gallery = Gallery::for_members(0);
        let mut list = std::collections::BTreeMap::new();
        for (insert, n) in steps {
            let vector = [n as f32, 1.0, -1.0];
            if insert {
                gallery.insert(id(n), &vector).unwrap();
                list.insert(id(n), vector);
            } else {
                gallery.remove(&id(n)).unwrap();
                list.remove(&id(n));
            }
        }
        let mut found = nearest(&gallery, Probe::Embedding(vec![1.0, 0.0, 0.0]), f32::NEG_INFINITY, 99).unwrap();
        found.sort_by_key(|n| n.id);
        let expected: Vec<_> = list.iter().map(|(id, v)| Neighbour { id: *id, cosine: v[0] }).collect();
        proptest::prop_assert_eq!(found, expected);
    }
}

pub fn collection(key: i64) -> Collection {
    Collection {
        key,
        account: "000000000000".parse().unwrap(),
        id: CollectionId::try_from("people".to_owned()).unwrap(),
        model_version: ModelVersion::try_from("7.3".to_owned()).unwrap(),
        created_at_ms: 0,
        revision: 0,
        face_count: 0,
        user_count: 0,
    }
}

fn files(folder: &std::path::Path) -> GalleryFiles {
    Files::open(folder, u64::MAX).unwrap().of::<FaceId>(&collection(1))
}

/// A gallery of so many members in files, in a folder.
fn in_files(folder: &std::path::Path, members: u32) -> (GalleryFiles, Vec<(FaceId, Vec<f32>)>) {
    let files = files(folder);
    let faces: Vec<_> = (0..members).map(|n| (id(n), vector(u64::from(n), 16))).collect();
    let mut gallery = Gallery::for_members(0);
    for (id, vector) in &faces {
        gallery.insert(*id, vector).unwrap();
    }
    gallery.revision = 5;
    files.write(&mut gallery).unwrap();
    files.note(&gallery, "mark".to_owned()).unwrap();
    (files, faces)
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]
    #[test]
    fn a_gallery_in_files_is_what_a_list_would_be(
        steps in proptest::collection::vec((0u32..14, 0u32..9000, 1u32..2000), 1..40)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let (mut gallery, mut list, mut noted) = (Gallery::for_members(0), std::collections::BTreeMap::new(), None);
        for (step, (kind, first, count)) in steps.into_iter().enumerate() {
            gallery.revision = step as i64 + 1;
            match kind {
                0..6 => for n in first..first + count {
                    let vector = vector(u64::from(n) + step as u64, 16);
                    gallery.insert(id(n), &vector).unwrap();
                    list.insert(id(n), vector);
                },
                6..9 => for n in first..first + count {
                    gallery.remove(&id(n)).unwrap();
                    list.remove(&id(n));
                },
                9..11 => {
                    files.write(&mut gallery).unwrap();
                    proptest::prop_assert_eq!(gallery.held(), 0);
                    files.note(&gallery, step.to_string()).unwrap();
                    noted = Some((gallery.revision, list.clone()));
                }
                11..13 => {
                    let held = gallery.held();
                    for _ in 0..gallery.number_of_files() {
                        files.write_without_gone(&mut gallery).unwrap();
                    }
                    proptest::prop_assert!(!gallery.has_gone_in_files());
                    proptest::prop_assert_eq!(gallery.held(), held);
                }
                _ => {
                    // A restart.
                    if let Some((revision, then)) = noted.clone() {
                        gallery = files.read().unwrap().0;
                        proptest::prop_assert_eq!(gallery.revision, revision);
                        list = then;
                    }
                }
            }
            proptest::prop_assert_eq!(gallery.len(), list.len());
        }
        for (id, vector) in &list {
            proptest::prop_assert_eq!(gallery.vector_of(id).unwrap(), Some(vector.as_slice()));
        }
        let faces: Vec<_> = list.into_iter().collect();
        for seed in 0..3 {
            let probe = vector(1_000_000 + seed, 16);
            let expected = truth(&faces, &probe, 0.3, 300);
            proptest::prop_assert_eq!(ids(nearest(&gallery, Probe::Embedding(probe), 0.3, 300)), expected);
        }
    }
}

#[test]
fn a_byte_of_a_file_that_is_another_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let (files, faces) = in_files(folder.path(), 3000);
    let of_gallery = folder.path().join("galleries/1-face_vectors");
    let mut random = fastrand::Rng::with_seed(17);
    let paths: Vec<_> = std::fs::read_dir(&of_gallery).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..120 {
            let mut other = whole.clone();
            let at = random.usize(0..other.len());
            other[at] ^= 1 << random.u8(0..8);
            if random.u8(0..10) == 0 {
                other.truncate(at);
            }
            std::fs::write(&path, &other).unwrap();
            // `read` removes what it cannot use.
            let kept = copy_of(&of_gallery);
            if let Some((gallery, _)) = files.read::<FaceId>() {
                for (id, vector) in faces.iter().step_by(97) {
                    match gallery.vector_of(id) {
                        Ok(found) => assert_eq!(found, Some(vector.as_slice()), "byte {at}"),
                        Err(_) => assert!(gallery.is_damaged()),
                    }
                }
            }
            put_back(&of_gallery, kept);
            std::fs::write(&path, &whole).unwrap();
        }
    }
    assert!(files.read::<FaceId>().is_some());
}

fn copy_of(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn put_back(folder: &std::path::Path, files: Vec<(std::path::PathBuf, Vec<u8>)>) {
    std::fs::create_dir_all(folder).unwrap();
    files.into_iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
}

#[test]
fn files_that_no_manifest_names_go_and_so_do_those_of_a_collection_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = in_files(folder.path(), 100);
    let of_gallery = folder.path().join("galleries/1-face_vectors");
    std::fs::write(of_gallery.join("cut-off-by-a-crash"), "x").unwrap();
    assert_eq!(files.read::<FaceId>().unwrap().0.len(), 100);
    assert_eq!(std::fs::read_dir(&of_gallery).unwrap().count(), 2);
    drop(files);
    let all = Files::open(folder.path(), u64::MAX).unwrap();
    assert!(Files::open(folder.path(), u64::MAX).is_none(), "two servers use the same files");
    assert!(all.bytes() > 100 * 16 * 4);
    all.keep(&[1].into());
    assert!(of_gallery.exists());
    all.forget(&collection(1).account, &collection(1).id);
    assert!(!of_gallery.exists());
    std::fs::create_dir(folder.path().join("galleries/7-user_vectors")).unwrap();
    all.keep(&[1].into());
    assert_eq!(all.bytes(), 0);
}
