//! Faces: what comes, what goes, and what galleries learn of both.

use futures_util::TryStreamExt;
use rekollect::domain::{ExternalImageId, Fault};
use rekollect::store::Reassignment;

use super::*;

const GIVE: Reassignment = Reassignment::Give { min_cosine: -1.0 };

async fn came_since(store: &Opened, collection: &Collection, revision: i64) -> Vec<FaceId> {
    let mut came: Vec<_> = store.embeddings_since(collection, revision).try_collect().await.unwrap();
    came.sort_unstable_by_key(|(id, _)| *id);
    came.into_iter().map(|(id, _)| id).collect()
}

async fn went_since(store: &Opened, collection: &Collection, revision: i64) -> Vec<FaceId> {
    let mut went = store.deleted_since(collection, revision).await.unwrap().unwrap();
    went.sort_unstable();
    went
}

on_both_databases! {
    a_face_is_read_as_it_was_stored(store) {
        let people = store.made("people").await;
        let mut stored = face_at(1, 30.0);
        stored.face.external_image_id = Some(ExternalImageId::try_from("me:1".to_owned()).unwrap());
        stored.face.bounding_box.left = 0.123_456_78;
        store.insert_faces(&people, [stored.clone()].into(), NO_QUOTA).await.unwrap();
        let read = store.faces(&people, None, None, None, 10).await.unwrap();
        assert_eq!(read, [stored.face.as_stored()]);
        assert_eq!(read[0].bounding_box.left, 0.123_457);
        let vectors: Vec<_> = store.embeddings_since(&people, 0).try_collect().await.unwrap();
        assert_eq!(vectors, [(face_id(1), stored.embedding)]);
    }

    a_face_that_comes_again_stays_as_it_is(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces([1]), NO_QUOTA).await.unwrap();
        let mut another = face_at(1, 90.0);
        another.face.bounding_box.left = 0.75;
        store.insert_faces(&people, [another].into(), 1).await.unwrap();
        let now = store.read("people").await;
        assert_eq!((now.face_count, now.revision), (1, 1), "nothing changed");
        assert_eq!(store.faces(&people, None, None, None, 10).await.unwrap(), [face(1).face]);
        // Beside a new one, too.
        store.insert_faces(&people, faces([1, 2]), 2).await.unwrap();
        assert_eq!(store.read("people").await.face_count, 2);
        assert_eq!(came_since(store, &people, 1).await, face_ids([2]));
    }

    all_faces_of_a_call_come_or_none(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces(0..3), 3).await.unwrap();
        // More than one statement takes.
        assert_refused!(store.insert_faces(&people, faces(0..500), 499).await, Fault::QuotaExceeded("faces in a collection", 499));
        let now = store.read("people").await;
        assert_eq!((now.face_count, now.revision), (3, 1));
        assert_eq!(store.ids(&people).await, face_ids(0..3));
        store.insert_faces(&people, faces(0..500), 500).await.unwrap();
        assert_eq!(store.ids(&people).await, face_ids(0..500));
        assert_eq!(store.read("people").await.face_count, 500);
        assert_eq!(store.number("SELECT count(*) FROM faces").await, 500);
    }

    a_deleted_face_leaves_its_id_until_it_comes_again(store) {
        let (people, others) = (store.made("people").await, store.made("others").await);
        store.insert_faces(&people, faces(0..4), NO_QUOTA).await.unwrap();
        store.insert_faces(&others, faces(0..4), NO_QUOTA).await.unwrap();
        let gone = store.delete_faces(&people, face_ids([1, 2, 9])).await.unwrap();
        let mut ids = gone.deleted;
        ids.sort_unstable();
        assert_eq!((ids, gone.of_users), (face_ids([1, 2]), vec![]));
        let now = store.read("people").await;
        assert_eq!((now.face_count, now.revision), (2, 2));
        assert_eq!(store.ids(&people).await, face_ids([0, 3]));
        assert_eq!(went_since(store, &people, 1).await, face_ids([1, 2]));
        assert_eq!(went_since(store, &people, 2).await, []);
        assert_eq!(store.ids(&others).await, face_ids(0..4));

        store.insert_faces(&people, faces([1]), NO_QUOTA).await.unwrap();
        assert_eq!(went_since(store, &people, 1).await, face_ids([2]));
        assert_eq!(came_since(store, &people, 2).await, face_ids([1]));
        store.delete_faces(&people, face_ids([1])).await.unwrap();
        assert_eq!(went_since(store, &people, 3).await, face_ids([1]));
        // What deletes nothing changes nothing.
        assert_eq!(store.delete_faces(&people, face_ids([1, 9])).await.unwrap().deleted, []);
        assert_eq!(store.read("people").await.revision, 4);
    }

    faces_of_users_stay(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces(0..3), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        store.reassign_faces(&people, &user("anna"), face_ids([1]), GIVE, None).await.unwrap();
        let gone = store.delete_faces(&people, face_ids([1, 2])).await.unwrap();
        assert_eq!((gone.deleted, gone.of_users), (face_ids([2]), vec![(face_id(1), user("anna"))]));
        assert_eq!(store.ids(&people).await, face_ids([0, 1]));
        store.delete_user(&people, &user("anna"), None).await.unwrap();
        assert_eq!(store.delete_faces(&people, face_ids([1])).await.unwrap().deleted, face_ids([1]));
    }

    faces_are_listed_by_id_and_by_what_was_asked_for(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces([5, 3, 1, 4, 2]), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        store.reassign_faces(&people, &user("anna"), face_ids([2, 4]), GIVE, None).await.unwrap();
        let anna = store.user(&people, &user("anna")).await.unwrap();
        let list = async |after: Option<u64>, among: Option<&[FaceId]>, user, limit| -> Vec<FaceId> {
            let found = store.faces(&people, after.map(face_id), among, user, limit).await.unwrap();
            found.iter().map(|face| face.face_id).collect()
        };
        assert_eq!(list(None, None, None, 3).await, face_ids([1, 2, 3]));
        assert_eq!(list(Some(3), None, None, 3).await, face_ids([4, 5]));
        let among = face_ids([9, 5, 2, 1]);
        assert_eq!(list(None, Some(&among), None, 2).await, face_ids([1, 2]));
        assert_eq!(list(Some(1), Some(&among), None, 9).await, face_ids([2, 5]));
        assert_eq!(list(None, None, Some(anna), 9).await, face_ids([2, 4]));
        assert_eq!(list(None, Some(&among), Some(anna), 9).await, face_ids([2]));
        let found = store.faces(&people, None, None, Some(anna), 1).await.unwrap();
        assert_eq!(found[0].user_id, Some(user("anna")));
    }
}
