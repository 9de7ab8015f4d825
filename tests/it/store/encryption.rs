//! Vectors that only the server can read.

use futures_util::TryStreamExt;
use rekollect::domain::Fault;
use rekollect::store::{Reassignment, Rewritten};
use sqlx::{AssertSqlSafe, Executor};

use super::*;

const A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const B: &str = "//////////////////////////////////////////8=";

/// Rows whose vector of two numbers is encrypted.
const ENCRYPTED: &str = "SELECT (SELECT count(*) FROM faces WHERE length(embedding) = 41) \
                         + (SELECT count(*) FROM users WHERE length(embedding) = 41)";

async fn vectors(store: &Store, collection: &Collection) -> Vec<(FaceId, Vec<f32>)> {
    let mut all: Vec<_> = store.embeddings_since(collection, 0).try_collect().await.unwrap();
    all.sort_unstable_by_key(|(face, _)| *face);
    all
}

on_both_databases! {
    every_vector_comes_under_a_key_under_another_one_and_under_none_again(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces(0..3), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        let gift = Reassignment::Give { min_cosine: -1.0 };
        store.reassign_faces(&people, &user("anna"), face_ids(0..2), gift, None).await.unwrap();
        let expected = |numbers: std::ops::Range<u64>| faces(numbers).iter().map(|face| (face.face.face_id, face.embedding.clone())).collect::<Vec<_>>();
        let of_users: Vec<_> = store.user_vectors_since(&people, 0).try_collect().await.unwrap();

        // With a key, what comes is encrypted, and what was there is read as before.
        let with_a = store.with_keys(A).await.unwrap();
        with_a.insert_faces(&people, faces([3]), NO_QUOTA).await.unwrap();
        assert_eq!(store.number(ENCRYPTED).await, 1);
        assert_eq!(vectors(&with_a, &people).await, expected(0..4));
        assert_eq!(with_a.dimensions(&people).await.unwrap(), Some(2));
        let are_overwritten = !store.is_postgres();
        let rewritten = |faces, users| Rewritten { faces, users, are_overwritten };
        assert_eq!(with_a.rewrite_vectors(false, |_| {}).await.unwrap(), rewritten(3, 1));
        assert_eq!(with_a.rewrite_vectors(false, |_| {}).await.unwrap(), rewritten(0, 0));
        assert_eq!((store.number(ENCRYPTED).await, vectors(&with_a, &people).await), (5, expected(0..4)));
        assert_eq!(with_a.user_vectors_since(&people, 0).try_collect::<Vec<_>>().await.unwrap(), of_users);
        assert_eq!(with_a.dimensions(&people).await.unwrap(), Some(2));
        let outcome = with_a.reassign_faces(&people, &user("anna"), face_ids([3]), gift, None).await.unwrap();
        assert_eq!(outcome.changed, face_ids([3]));
        assert_eq!(store.number(ENCRYPTED).await, 5, "a user's new vector is encrypted too");

        // Another key, while the one of before still opens.
        for wrong in ["", B] {
            let error = store.with_keys(wrong).await.err().expect("a store opened without its key").to_string();
            let key = with_a.key().unwrap().to_string();
            assert!(error.contains(&format!("encrypted with key {key}, which")) && error.contains("REKOLLECT_VECTOR_KEYS"), "{error}");
        }
        let with_both = store.with_keys(&format!("{B}\n{A}")).await.unwrap();
        assert_eq!(vectors(&with_both, &people).await, expected(0..4));
        assert_eq!(with_both.rewrite_vectors(false, |_| {}).await.unwrap(), rewritten(4, 1));
        assert!(store.with_keys(A).await.is_err());
        let with_b = store.with_keys(B).await.unwrap();
        assert_eq!(vectors(&with_b, &people).await, expected(0..4));

        assert_eq!(with_b.rewrite_vectors(true, |_| {}).await.unwrap(), rewritten(4, 1));
        assert_eq!(store.number(ENCRYPTED).await, 0);
        assert_eq!(vectors(&store.twin().await, &people).await, expected(0..4));
    }

    a_vector_that_was_copied_to_another_face_is_not_read(store) {
        let people = store.made("people").await;
        let with_key = store.with_keys(A).await.unwrap();
        with_key.insert_faces(&people, faces(0..2), NO_QUOTA).await.unwrap();
        let copy = "UPDATE faces SET embedding = (SELECT embedding FROM faces ORDER BY face_id LIMIT 1)";
        store.pool().execute(AssertSqlSafe(copy.to_owned())).await.unwrap();
        let read: Result<Vec<_>, Fault> = with_key.embeddings_since(&people, 0).try_collect().await;
        let Err(Fault::Internal { source, .. }) = read else { panic!("it was read") };
        assert!(source.to_string().contains("was changed or belongs to another row"), "{source}");
    }
}
