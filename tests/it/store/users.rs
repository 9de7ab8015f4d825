//! Users and their vectors.

use futures_util::TryStreamExt;
use rekollect::domain::{Fault, MAX_FACES_PER_USER};
use rekollect::store::{Association, Reassignment, UserKey};

use super::*;

const GIVE: Reassignment = Reassignment::Give { min_cosine: 0.5 };

async fn give(store: &Opened, collection: &Collection, name: &str, faces: &[u64]) -> Result<Association, Fault> {
    store.reassign_faces(collection, &user(name), face_ids(faces.iter().copied()), GIVE, None).await
}

async fn vectors_since(store: &Opened, collection: &Collection, revision: i64) -> Vec<(UserKey, Vec<f32>)> {
    store.user_vectors_since(collection, revision).try_collect().await.unwrap()
}

on_both_databases! {
    a_user_is_made_once_and_its_key_never_comes_again(store) {
        let people = store.made("people").await;
        store.create_user(&people, &user("anna"), None, 1).await.unwrap();
        let key = store.user(&people, &user("anna")).await.unwrap();
        assert_refused!(store.create_user(&people, &user("anna"), None, 1).await, Fault::UserExists(name) if *name == user("anna"));
        assert_refused!(store.create_user(&people, &user("berta"), None, 1).await, Fault::QuotaExceeded("users in a collection", 1));
        let now = store.read("people").await;
        assert_eq!((now.user_count, now.revision), (1, 1), "a refusal changes nothing");
        store.delete_user(&people, &user("anna"), None).await.unwrap();
        assert_refused!(store.delete_user(&people, &user("anna"), None).await, Fault::UserNotFound(_));
        assert_refused!(store.user(&people, &user("anna")).await, Fault::UserNotFound(_));
        assert_eq!(store.users_without_vector_since(&people, 1).await.unwrap(), Some(vec![key]));
        assert_eq!(store.users_without_vector_since(&people, 2).await.unwrap(), Some(vec![]));
        store.create_user(&people, &user("anna"), None, 1).await.unwrap();
        assert!(store.user(&people, &user("anna")).await.unwrap() > key);
    }

    users_are_listed_in_the_order_in_which_they_were_made(store) {
        let people = store.made("people").await;
        for name in ["c", "a", "b"] {
            store.create_user(&people, &user(name), None, NO_QUOTA).await.unwrap();
        }
        let all = store.users(&people, None, None, 10).await.unwrap();
        let names = |users: &[(UserKey, rekollect::domain::User)]| users.iter().map(|(_, user)| user.id.to_string()).collect::<String>();
        assert_eq!(names(&all), "cab");
        assert_eq!(names(&store.users(&people, Some(all[0].0), None, 1).await.unwrap()), "a");
        let among = [all[2].0, all[0].0, UserKey(999)];
        assert_eq!(names(&store.users(&people, None, Some(&among), 10).await.unwrap()), "cb");
        assert_eq!(names(&store.users(&people, Some(all[0].0), Some(&among), 10).await.unwrap()), "b");
    }

    a_users_vector_follows_its_faces(store) {
        let people = store.made("people").await;
        let all: Vec<_> = [(1, 0.0), (2, 60.0), (3, 100.0)].map(|(number, angle)| face_at(number, angle)).into();
        store.insert_faces(&people, all.into(), NO_QUOTA).await.unwrap();
        for name in ["anna", "berta"] {
            store.create_user(&people, &user(name), None, NO_QUOTA).await.unwrap();
        }
        let anna = store.user(&people, &user("anna")).await.unwrap();
        assert_eq!(store.users_without_vector_since(&people, 0).await.unwrap().unwrap().len(), 2);
        give(store, &people, "berta", &[3]).await.unwrap();

        let first = give(store, &people, "anna", &[2, 9, 1, 3]).await.unwrap();
        assert_eq!((first.changed, first.not_found), (face_ids([2, 1]), face_ids([9])));
        assert_eq!((first.of_others, first.face_count), (vec![(face_id(3), user("berta"))], 2));
        let revision = store.read("people").await.revision;
        let [(key, vector)] = &vectors_since(store, &people, revision - 1).await[..] else { panic!("one user changed") };
        assert_eq!(*key, anna);
        assert!((vector[0] - 30f32.to_radians().cos()).abs() < 1e-6 && (vector[1] - 0.5).abs() < 1e-6, "{vector:?}");

        // Too unlike: 70 degrees from the mean.
        store.reassign_faces(&people, &user("berta"), face_ids([3]), Reassignment::Take, None).await.unwrap();
        let second = give(store, &people, "anna", &[3, 1]).await.unwrap();
        assert_eq!((second.changed, second.face_count), (vec![], 2));
        let [(id, likeness)] = second.unlike[..] else { panic!("one is unlike") };
        assert!(id == face_id(3) && (likeness - 70f32.to_radians().cos()).abs() < 1e-6, "{likeness}");

        let third = store.reassign_faces(&people, &user("anna"), face_ids([1, 2, 3]), Reassignment::Take, None).await.unwrap();
        assert_eq!((third.changed, third.face_count), (face_ids([1, 2]), 0));
        let revision = store.read("people").await.revision;
        assert_eq!(store.users_without_vector_since(&people, revision - 1).await.unwrap(), Some(vec![anna]));
        assert_refused!(give(store, &people, "nobody", &[1]).await, Fault::UserNotFound(_));
    }

    a_user_has_as_many_faces_as_it_may_or_keeps_those_it_had(store) {
        let people = store.made("people").await;
        let most = MAX_FACES_PER_USER as u64;
        store.insert_faces(&people, faces(0..most + 1), NO_QUOTA).await.unwrap();
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        let all_but_one: Vec<u64> = (0..most - 1).collect();
        give(store, &people, "anna", &all_but_one).await.unwrap();
        assert_refused!(give(store, &people, "anna", &[most - 1, most]).await, Fault::TooManyFacesOfUser(_));
        assert_eq!(give(store, &people, "anna", &[most]).await.unwrap().face_count, MAX_FACES_PER_USER);
        let anna = store.user(&people, &user("anna")).await.unwrap();
        assert_eq!(store.faces(&people, None, None, Some(anna), 1000).await.unwrap().len(), MAX_FACES_PER_USER);
    }

    the_faces_of_a_deleted_user_belong_to_nobody(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces([1]), NO_QUOTA).await.unwrap();
        for name in ["anna", "berta"] {
            store.create_user(&people, &user(name), None, NO_QUOTA).await.unwrap();
        }
        give(store, &people, "anna", &[1]).await.unwrap();
        store.delete_user(&people, &user("anna"), None).await.unwrap();
        assert_eq!(store.faces(&people, None, None, None, 9).await.unwrap()[0].user_id, None);
        assert_eq!(give(store, &people, "berta", &[1]).await.unwrap().changed, face_ids([1]));
    }
}
