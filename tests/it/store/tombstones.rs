//! What galleries learn of deletions, and for how long.

use std::sync::Arc;

use rekollect::domain::Fault;
use rekollect::search::{Index, Indexes, Member, Place, Probe, Query};
use rekollect::store::Reassignment;

use super::*;

/// Collections keep about so many tombstones, and up to a tenth more gather.
const KEPT: i64 = 10_000;

const COUNT: &str = "SELECT (SELECT count(*) FROM deleted_faces) + (SELECT count(*) FROM deleted_users)";

const COUNTED: &str = "SELECT CAST(sum(tombstones) AS BIGINT) FROM collections";

async fn insert(store: &Opened, collection: &Collection, numbers: std::ops::Range<u64>) {
    for first in numbers.clone().step_by(4000) {
        store.insert_faces(collection, faces(first..numbers.end.min(first + 4000)), NO_QUOTA).await.unwrap();
    }
}

async fn delete(store: &Opened, collection: &Collection, numbers: std::ops::Range<u64>) {
    for first in numbers.clone().step_by(700) {
        let some = face_ids(first..numbers.end.min(first + 700));
        assert_eq!(store.delete_faces(collection, some.clone()).await.unwrap().deleted.len(), some.len());
    }
}

/// What finds faces and users of vectors with two numbers.
fn indexes(store: &Store) -> Indexes {
    Indexes::in_memory(store, Duration::from_secs(30), Place::memory(), Arc::default())
}

/// Everything that a gallery has.
async fn all<Id: Member>(index: &Index<Id>, store: &Opened) -> Vec<Id> {
    let collection = store.read("people").await;
    let query = Query { probe: Probe::Embedding(vec![1.0, 0.0]), min_cosine: -1.0, limit: 100_000 };
    let found: Result<Vec<_>, Fault> = index.nearest_to_each(&collection, vec![query]).await;
    let mut ids: Vec<Id> = found.unwrap().remove(0).unwrap().into_iter().map(|neighbour| neighbour.id).collect();
    ids.sort_unstable();
    ids
}

on_both_databases! {
    deletions_leave_no_more_than_their_share(store) {
        let (people, others) = (store.made("people").await, store.made("others").await);
        insert(store, &others, 0..10).await;
        delete(store, &others, 0..10).await;
        insert(store, &people, 0..15_000).await;
        delete(store, &people, 0..15_000).await;
        let left = store.number(COUNT).await - 10;
        assert!((KEPT - 700..=KEPT + 1000).contains(&left), "{left} of 15000 tombstones are left");
        assert_eq!(store.number(COUNTED).await, left + 10, "the number is not the true one");
        assert_eq!(store.number("SELECT min(pruned_to) FROM collections").await, 0);
        assert_eq!(store.deleted_since(&others, 1).await.unwrap(), Some(face_ids(0..10)));

        // The newest are left, and whoever needs more is told so.
        let floor = store.number("SELECT max(pruned_to) FROM collections").await;
        assert_eq!(store.number("SELECT min(revision) FROM deleted_faces WHERE revision > 4").await, floor + 1);
        assert_eq!(store.deleted_since(&people, floor).await.unwrap().unwrap().len() as i64, left);
        assert_eq!(store.deleted_since(&people, floor - 1).await.unwrap(), None);
        assert_eq!(store.users_without_vector_since(&people, floor).await.unwrap(), Some(vec![]));
        assert_eq!(store.users_without_vector_since(&people, floor - 1).await.unwrap(), None);

        // What comes again counts no more; with more faces, more may stay.
        insert(store, &people, 8_000..9_000).await;
        assert_eq!(store.number(COUNTED).await, store.number(COUNT).await);
        insert(store, &people, 20_000..33_000).await;
        delete(store, &people, 20_000..21_400).await;
        assert_eq!(store.number(COUNT).await - 10, left - 1000 + 1400);
    }

    a_gallery_that_slept_while_tombstones_went_answers_exactly(store) {
        let people = store.made("people").await;
        let twin = Opened { store: store.twin().await, place: store.place.clone(), _data: tempfile::tempdir().unwrap() };
        let (awake, asleep, elsewhere) = (indexes(store), indexes(store), indexes(&twin));
        insert(store, &people, 0..13_000).await;
        assert_eq!(all(&asleep.faces, store).await.len(), 13_000);
        assert_eq!(all(&elsewhere.faces, &twin).await.len(), 13_000);
        for name in ["anna", "berta"] {
            store.create_user(&people, &user(name), None, NO_QUOTA).await.unwrap();
            let face = face_id(if name == "anna" { 12_998 } else { 12_999 });
            store.reassign_faces(&people, &user(name), vec![face], Reassignment::Give { min_cosine: -1.0 }, None).await.unwrap();
        }
        let berta = store.user(&people, &user("berta")).await.unwrap();
        assert_eq!(all(&asleep.users, store).await.len(), 2);
        store.delete_user(&people, &user("anna"), None).await.unwrap();
        for first in (0..12_600).step_by(700) {
            delete(store, &people, first..first + 700).await;
            assert_eq!(all(&awake.faces, store).await.len() as u64, 13_000 - 700 - first);
        }
        assert!(store.number(COUNT).await < 12_000, "tombstones went, or this shows nothing");
        let left = face_ids(12_600..13_000);
        assert_eq!(all(&asleep.faces, store).await, left);
        assert_eq!(all(&elsewhere.faces, &twin).await, left);
        assert_eq!(all(&awake.faces, store).await, left);
        assert_eq!(all(&asleep.users, store).await, [berta]);
    }
}
