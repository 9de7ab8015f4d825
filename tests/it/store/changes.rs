//! What every change is made of.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use rekollect::domain::Fault;
use rekollect::store::or_unavailable;
use sqlx::{Connection, Executor};

use super::*;

on_both_databases! {
    revisions_grow_one_by_one_however_many_change_at_once(store) {
        let people = store.made("people").await;
        let twin = store.twin().await;
        let changes = (0..40).map(|n| {
            let (store, people) = (if n % 2 == 0 { &**store } else { &twin }, &people);
            async move { store.insert_faces(people, faces([n]), NO_QUOTA).await }
        });
        for outcome in join_all(changes).await {
            outcome.unwrap();
        }
        let now = store.read("people").await;
        assert_eq!((now.revision, now.face_count), (40, 40));
        // Each face has a revision of its own: one more is there above each.
        for revision in 0..40 {
            let since: Vec<_> = store.embeddings_since(&people, revision).try_collect().await.unwrap();
            assert_eq!(since.len() as i64, 40 - revision);
        }
        assert_eq!(store.delete_faces(&people, face_ids([1])).await.unwrap().deleted, face_ids([1]));
        store.create_user(&people, &user("anna"), None, NO_QUOTA).await.unwrap();
        assert_eq!(store.read("people").await.revision, 42);
    }

    a_change_goes_on_when_its_caller_is_gone(store) {
        let people = store.made("people").await;
        let twin = store.twin().await;
        let (mut expected, rounds) = (Vec::new(), 40);
        for round in 0..rounds {
            let mine = round * 1000..round * 1000 + 300;
            {
                let mut change = pin!(store.insert_faces(&people, faces(mine.clone()), NO_QUOTA));
                // It gets so far, and then nobody asks for it any more.
                for step in 0..=round / 4 {
                    if step > 0 {
                        tokio::time::sleep(Duration::from_millis(step)).await;
                    }
                    if poll_fn(|context| Poll::Ready(change.as_mut().poll(context))).await.is_ready() {
                        break;
                    }
                }
            }
            // One on which somebody waits comes behind it, perhaps on the same connection, and is there for others.
            let acknowledged = round * 1000 + 999;
            store.insert_faces(&people, faces([acknowledged]), NO_QUOTA).await.unwrap();
            let there = twin.faces(&people, None, Some(&face_ids([acknowledged])), None, 1).await.unwrap();
            assert_eq!(there.len(), 1, "what was acknowledged is not committed");
            expected.extend(mine.chain([acknowledged]));
        }
        until("every change that began is whole", async || {
            twin.collection(&account(), &id("people")).await.unwrap().face_count == expected.len() as i64
        }).await;
        assert_eq!(store.ids(&people).await, face_ids(expected));
        assert_eq!(store.read("people").await.revision, 2 * rounds as i64);
    }

    every_server_reads_one_secret(store) {
        let twin = store.twin().await;
        let (one, two) = tokio::join!(store.secret("pages"), twin.secret("pages"));
        let one = one.unwrap();
        assert_eq!((one.len(), &one), (32, &two.unwrap()));
        assert_eq!(twin.secret("pages").await.unwrap(), one);
        assert_ne!(store.secret("others").await.unwrap(), one);
    }
}

/// Each would wait for the file, one after the other.
#[test]
fn a_change_waits_for_its_turn_and_for_the_file_as_long_as_for_a_connection() {
    let wait = Duration::from_millis(500);
    run_with(support::Store::Sqlite, Limits { wait, ..limits() }, async |store| {
        let people = store.made("people").await;
        let file = store.place.data_dir.join("rekollect.db");
        let mut other = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let begun = Instant::now();
        let outcomes = join_all((0..8).map(|n| store.insert_faces(&people, faces([n]), NO_QUOTA))).await;
        let waited = begun.elapsed();
        assert!(waited >= wait && waited < 4 * wait, "{waited:?}");
        for outcome in outcomes {
            let fault = or_unavailable(outcome.unwrap_err());
            assert!(matches!(fault, Fault::Unavailable { .. }), "{fault:?}");
        }
        other.execute("ROLLBACK").await.unwrap();
        store.insert_faces(&people, faces([9]), NO_QUOTA).await.unwrap();
        assert_eq!(store.ids(&people).await, face_ids([9]));
    });
}
