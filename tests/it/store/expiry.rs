//! Faces that a collection keeps for a time.

use futures_util::TryStreamExt;
use rekollect::domain::{Fault, TagKey, TagValue};
use rekollect::store::Reassignment;
use sqlx::{AssertSqlSafe, Executor};

use super::*;

const LATER: i64 = i64::MAX;
const LONG_AGO: i64 = 1_000;

async fn age(store: &Opened, number: u64, indexed_at: &str) {
    let id = hex::encode(face_id(number).as_bytes());
    let id = if store.is_postgres() { format!("'\\x{id}'") } else { format!("x'{id}'") };
    let statement = format!("UPDATE faces SET indexed_at_ms = {indexed_at} WHERE face_id = {id}");
    store.pool().execute(AssertSqlSafe(statement)).await.unwrap();
}

/// What has expired goes; who that was.
async fn expire(store: &Opened, collection: &Collection, before: i64) -> Vec<FaceId> {
    let old = store.oldest_faces(collection, before).await.unwrap();
    if old.is_empty() { old } else { store.take_and_delete_faces(collection, old).await.unwrap() }
}

on_both_databases! {
    the_oldest_faces_go_and_their_users_lose_them(store) {
        let people = store.made("people").await;
        for number in 0..3 {
            store.insert_faces(&people, std::sync::Arc::new([face_at(number, number as f32)]), NO_QUOTA).await.unwrap();
        }
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        let gift = Reassignment::Give { min_cosine: -1.0 };
        store.reassign_faces(&people, &user("anna"), face_ids([0, 2]), gift, None).await.unwrap();
        assert!(expire(store, &people, LONG_AGO).await.is_empty());
        age(store, 0, "5").await;
        age(store, 1, "999").await;
        let mut gone = expire(store, &people, LONG_AGO).await;
        gone.sort_unstable();
        assert_eq!(gone, face_ids([0, 1]));
        assert_eq!(store.ids(&people).await, face_ids([2]));
        assert_eq!((store.read("people").await.face_count, store.number("SELECT count(*) FROM deleted_faces").await), (1, 2));
        let users: Vec<_> = store.user_vectors_since(&people, 0).try_collect().await.unwrap();
        assert_eq!(users[0].1, face_at(2, 2.0).embedding, "the user's vector is of what is left");
        assert_eq!(expire(store, &people, LATER).await, face_ids([2]));
        assert!(expire(store, &people, LATER).await.is_empty());
        assert_eq!(store.user_vectors_since(&people, 0).try_collect::<Vec<_>>().await.unwrap(), []);
        store.delete_collection(&account(), &id("people")).await.unwrap();
        assert!(expire(store, &people, LATER).await.is_empty());
    }

    faces_of_before_the_step_count_from_it_on(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces([0]), NO_QUOTA).await.unwrap();
        age(store, 0, "NULL").await;
        let step = store.number("SELECT begin_at_ms FROM ages").await;
        assert!(expire(store, &people, step).await.is_empty());
        assert_eq!(expire(store, &people, step + 1).await, face_ids([0]));
    }

    collections_are_found_by_a_tag(store) {
        let (people, _) = (store.made("people").await, store.made("others").await);
        let tags = Tags::from([(TagKey::try_from("k".to_owned()).unwrap(), TagValue::try_from("v".to_owned()).unwrap())]);
        store.put_tags(&people, tags).await.unwrap();
        let found: Vec<_> = store.collections_with_tag("k").await.unwrap();
        assert_eq!(found.into_iter().map(|(collection, value)| (collection.key, value)).collect::<Vec<_>>(), [(people.key, "v".to_owned())]);
        let none: Result<_, Fault> = store.collections_with_tag("v").await;
        assert!(none.unwrap().is_empty());
    }
}
