//! ClientRequestTokens.

use rekollect::domain::Fault;
use rekollect::store::{Reassignment, Token};
use sqlx::Executor;

use super::*;

const GIVE: Reassignment = Reassignment::Give { min_cosine: -1.0 };

fn token(meaning: &str) -> Option<Token> {
    Some(Token::new("t".to_owned().try_into().unwrap(), &[meaning]))
}

on_both_databases! {
    the_same_request_again_changes_nothing_more(store) {
        let people = store.made("people").await;
        store.insert_faces(&people, faces(1..4), NO_QUOTA).await.unwrap();
        for name in ["anna", "berta"] {
            store.create_user(&people, &user(name), None, NO_QUOTA).await.unwrap();
        }
        let give = async || store.reassign_faces(&people, &user("anna"), face_ids(1..3), GIVE, token("x")).await.unwrap();
        assert_eq!(give().await.changed, face_ids(1..3));
        store.reassign_faces(&people, &user("anna"), face_ids([2]), Reassignment::Take, None).await.unwrap();
        store.reassign_faces(&people, &user("berta"), face_ids([2]), GIVE, None).await.unwrap();
        let before = store.read("people").await.revision;
        assert_eq!(give().await.changed, face_ids(1..3), "the answer is the one that it had");
        assert_eq!(store.read("people").await.revision, before);
        assert_eq!(store.faces(&people, None, None, None, 9).await.unwrap()[1].user_id, Some(user("berta")));
    }

    a_user_is_made_and_deleted_once_for_a_token(store) {
        let people = store.made("people").await;
        store.create_user(&people, &user("anna"), token("make"), 1).await.unwrap();
        store.create_user(&people, &user("anna"), token("make"), 1).await.unwrap();
        assert_refused!(store.delete_user(&people, &user("anna"), token("delete")).await, Fault::TokenMismatch(_));
        store.delete_user(&people, &user("anna"), None).await.unwrap();
        store.create_user(&people, &user("anna"), token("make"), 1).await.unwrap();
        assert_refused!(store.user(&people, &user("anna")).await, Fault::UserNotFound(_));
    }

    another_request_under_a_token_is_refused(store) {
        let (people, others) = (store.made("people").await, store.made("others").await);
        store.create_user(&people, &user("anna"), token("x"), NO_QUOTA).await.unwrap();
        assert_refused!(store.create_user(&people, &user("berta"), token("y"), NO_QUOTA).await, Fault::TokenMismatch(_));
        assert_refused!(store.create_user(&others, &user("anna"), token("y"), NO_QUOTA).await, Fault::TokenMismatch(_));
        assert_eq!((store.read("people").await.user_count, store.read("others").await.user_count), (1, 0));
        // Of a request that was refused, no token is kept.
        store.delete_collection(&account(), &id("people")).await.unwrap();
        assert_refused!(store.create_user(&others, &user("anna"), token("y"), 0).await, Fault::QuotaExceeded(..));
        store.create_user(&others, &user("anna"), token("z"), 1).await.unwrap();
    }

    a_token_is_forgotten_after_a_day(store) {
        let people = store.made("people").await;
        store.create_user(&people, &user("anna"), token("x"), NO_QUOTA).await.unwrap();
        let older = "UPDATE client_tokens SET created_at_ms = created_at_ms - 24 * 3600 * 1000";
        store.pool().execute(older).await.unwrap();
        store.create_user(&people, &user("berta"), token("y"), NO_QUOTA).await.unwrap();
        assert_eq!(store.number("SELECT count(*) FROM client_tokens").await, 1);
    }

    one_token_on_two_collections_at_once_is_a_mismatch_and_no_fault(store) {
        for round in 0..20 {
            let names = [format!("a{round}"), format!("b{round}")];
            let (a, b) = (store.made(&names[0]).await, store.made(&names[1]).await);
            let token = |meaning| Some(Token::new(format!("t{round}").try_into().unwrap(), &[meaning]));
            let anna = user("anna");
            let (one, two) = tokio::join!(
                store.create_user(&a, &anna, token("a"), NO_QUOTA),
                store.create_user(&b, &anna, token("b"), NO_QUOTA),
            );
            let users = store.read(&names[0]).await.user_count + store.read(&names[1]).await.user_count;
            assert_eq!(users, 1);
            assert_refused!(if one.is_ok() { two } else { one }, Fault::TokenMismatch(_));
        }
    }
}

/// The same, with the second in the middle of its change when the first commits.
#[test]
fn a_token_that_another_collection_took_a_moment_ago_is_a_mismatch_and_no_fault() {
    with_store(support::Store::Postgres, async |store| {
        let (one, two) = (store.made("one").await, store.made("two").await);
        let mut first = store.stranger().await;
        first.execute("BEGIN").await.unwrap();
        let taking = "INSERT INTO client_tokens (account, token, request, changed, created_at_ms, collection_id) \
                      VALUES ($1, 't', '', '', 9000000000000, $2)";
        sqlx::query(taking).bind(account().as_str()).bind(one.key).execute(&mut first).await.unwrap();
        let (anna, mut watching) = (user("anna"), store.stranger().await);
        let second = store.create_user(&two, &anna, token("x"), NO_QUOTA);
        let committing = async {
            until_somebody_waits(&mut watching).await;
            first.execute("COMMIT").await.unwrap();
        };
        let (outcome, ()) = tokio::join!(second, committing);
        assert_refused!(outcome, Fault::TokenMismatch(_));
        assert_eq!(store.read("two").await.user_count, 0);
    });
}
