//! Marks of gallery files.

use rekollect::domain::Fault;
use sqlx::Executor;

use super::*;

on_both_databases! {
    a_mark_is_known_until_many_newer_ones_are_made_or_its_collection_is_gone(store) {
        let (people, others) = (store.made("people").await, store.made("others").await);
        let mark = store.mark_gallery(&people).await.unwrap();
        let of_others = store.mark_gallery(&others).await.unwrap();
        assert!(store.knows_mark(&people, &mark).await.unwrap());
        assert!(!store.knows_mark(&people, &of_others).await.unwrap());
        for _ in 0..256 {
            store.mark_gallery(&people).await.unwrap();
        }
        assert!(!store.knows_mark(&people, &mark).await.unwrap());
        assert!(store.knows_mark(&others, &of_others).await.unwrap());
        assert_eq!(store.number("SELECT count(*) FROM gallery_marks").await, 257);
        store.delete_collection(&account(), &id("people")).await.unwrap();
        assert_eq!(store.number("SELECT count(*) FROM gallery_marks").await, 1);
        assert_refused!(store.mark_gallery(&people).await, Fault::CollectionNotFound(_));
    }

    a_database_that_was_restored_does_not_know_marks_of_after_its_copy(store) {
        let people = store.made("people").await;
        let before = store.mark_gallery(&people).await.unwrap();
        store.pool().execute("CREATE TABLE kept AS SELECT * FROM gallery_marks").await.unwrap();
        let after = store.mark_gallery(&people).await.unwrap();
        store.pool().execute("DELETE FROM gallery_marks WHERE id NOT IN (SELECT id FROM kept)").await.unwrap();
        assert!(store.knows_mark(&people, &before).await.unwrap());
        assert!(!store.knows_mark(&people, &after).await.unwrap());
    }
}
