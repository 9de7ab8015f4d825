//! What export and import need.

use futures_util::TryStreamExt;
use rekollect::domain::{Fault, IndexedFace, MAX_FACES_PER_USER};
use rekollect::store::Founding;
use sqlx::Executor;

use super::*;

fn founding(name: &str, number: &str) -> Founding {
    Founding {
        account: account(),
        id: id(name),
        model_version: version(number),
        created_at_ms: 12_345,
        tags: Tags::new(),
    }
}

on_both_databases! {
    a_snapshot_stays_as_it_is_while_faces_come_and_go(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces(0..5), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        let mut snapshot = store.snapshot().await.unwrap();
        assert_eq!(snapshot.collections().await.unwrap().len(), 1);
        store.made("others").await;
        store.delete_faces(&people, face_ids([1])).await.unwrap();
        store.insert_faces(&people, faces([7]), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("berta"), None, NO_QUOTA).await.unwrap();
        let seen = snapshot.collections().await.unwrap();
        assert_eq!((seen.len(), seen[0].face_count), (1, 5));
        let faces: Vec<IndexedFace> = snapshot.faces(&people, None).try_collect().await.unwrap();
        assert_eq!(faces.iter().map(|face| face.face.face_id).collect::<Vec<_>>(), face_ids(0..5));
        assert_eq!(faces[0].embedding, face(0).embedding);
        let rest: Vec<IndexedFace> = snapshot.faces(&people, Some(face_id(3))).try_collect().await.unwrap();
        assert_eq!(rest.len(), 1);
        let users: Vec<UserId> = snapshot.users(&people).try_collect().await.unwrap();
        assert_eq!(users, [user("anna")]);
    }

    a_collection_is_founded_once_and_stays_as_it_is(store) {
        let made = store.found_collection(founding("people", "7.1")).await.unwrap();
        assert_eq!((made.created_at_ms, made.revision), (12_345, 0));
        assert_eq!(store.found_collection(founding("people", "7.1")).await.unwrap().key, made.key);
        assert_refused!(store.found_collection(founding("people", "7.3")).await, Fault::ModelVersionMismatch { .. });
        // It counts once.
        store.create_collection(&account(), &id("second"), &version(VERSION), Tags::new(), 2).await.unwrap();
        let third = store.create_collection(&account(), &id("third"), &version(VERSION), Tags::new(), 2).await;
        assert_refused!(third, Fault::QuotaExceeded(..));
    }

    founded_faces_belong_to_their_users_whose_vectors_come_at_the_end(store) {
        let people = store.made("people").await;
        let keys = store.found_users(&people, vec![user("anna"), user("berta")]).await.unwrap();
        assert_eq!(store.found_users(&people, vec![user("berta"), user("carla")]).await.unwrap().len(), 2);
        assert_eq!(store.read("people").await.user_count, 3);
        let anna = keys.iter().find(|(name, _)| *name == user("anna")).unwrap().1;
        let of_anna = |number| {
            let mut face = face(number);
            face.face.user_id = Some(user("anna"));
            (face, Some(anna))
        };
        assert_eq!(store.found_faces(&people, vec![of_anna(1), (face(2), None)]).await.unwrap(), 2);
        assert_eq!(store.found_faces(&people, vec![of_anna(1), of_anna(3)]).await.unwrap(), 1);
        let revision = store.read("people").await.revision;
        store.refresh_users(&people, vec![anna]).await.unwrap();
        let vectors: Vec<_> = store.user_vectors_since(&people, revision).try_collect().await.unwrap();
        assert_eq!(vectors, [(anna, face(1).embedding)]);
        assert_eq!(store.users(&people, None, Some(&[anna]), 1).await.unwrap()[0].1.face_count, 2);
        assert_eq!(store.dimensions(&people).await.unwrap(), Some(2));

        let too_many = (10..10 + MAX_FACES_PER_USER as u64 - 1).map(of_anna).collect();
        assert_refused!(store.found_faces(&people, too_many).await, Fault::TooManyFacesOfUser(_));
        assert_eq!(store.ids(&people).await, face_ids(1..4));
    }
}

/// Two that make one collection: each would have what the other waits for.
#[test]
fn an_import_and_a_creation_of_one_collection_do_not_wait_for_each_other() {
    with_store(support::Store::Postgres, async |store| {
        store.made("others").await;
        let (mut creation, mut watching) = (store.stranger().await, store.stranger().await);
        // What create_collection does, up to the row of the collection.
        creation.execute("SET lock_timeout = '200ms'; BEGIN").await.unwrap();
        let counting = "UPDATE accounts SET collection_count = collection_count + 1";
        assert_eq!(creation.execute(counting).await.unwrap().rows_affected(), 1);
        let import = store.found_collection(founding("people", "7.1"));
        let creating = async {
            until_somebody_waits(&mut watching).await;
            let making = "INSERT INTO collections (account, name, face_model_version, created_at_ms) VALUES ($1, 'people', '7.1', 1)";
            let made = sqlx::query(making).bind(account().as_str()).execute(&mut creation).await;
            creation.execute(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
            made
        };
        let (imported, made) = tokio::join!(import, creating);
        made.expect("the creation waited for the import, which waited for it");
        assert_eq!(imported.unwrap().created_at_ms, 1);
        assert_eq!(store.number("SELECT collection_count FROM accounts").await, 2);
    });
}
