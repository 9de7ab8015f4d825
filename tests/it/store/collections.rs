//! Collections and their tags.

use futures_util::future::join_all;
use rekollect::domain::{AccountId, Fault, MAX_TAGS, TagKey, TagValue, Tags};
use rekollect::store::After;

use super::*;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    let pair = |(key, value): &(&str, &str)| (tag_key(key), TagValue::try_from((*value).to_owned()).unwrap());
    pairs.iter().map(pair).collect()
}

fn tag_key(key: &str) -> TagKey {
    TagKey::try_from(key.to_owned()).unwrap()
}

fn numbered(numbers: std::ops::Range<usize>) -> Tags {
    numbers.map(|n| (tag_key(&format!("k{n}")), TagValue::try_from(String::new()).unwrap())).collect()
}

fn other_account() -> AccountId {
    "111111111111".parse().unwrap()
}

fn names(collections: &[Collection]) -> Vec<&str> {
    collections.iter().map(|collection| collection.id.as_str()).collect()
}

on_both_databases! {
    a_collection_is_as_it_was_made(store) {
        store.create_collection(&account(), &id("people"), &version("7.3"), tags(&[("a", "1")]), 1).await.unwrap();
        let made = store.read("people").await;
        assert_eq!((made.account.clone(), made.id.clone(), made.model_version.clone()), (account(), id("people"), version("7.3")));
        assert_eq!((made.revision, made.face_count, made.user_count), (0, 0, 0));
        assert!(made.created_at_ms > 1_700_000_000_000);
        assert_eq!(store.tags(&made).await.unwrap(), tags(&[("a", "1")]));
        // What exists is told before what is full.
        let again = store.create_collection(&account(), &id("people"), &version("7.1"), tags(&[("b", "2")]), 1).await;
        assert_refused!(again, Fault::CollectionExists(name) if *name == id("people"));
        assert_eq!(store.read("people").await.model_version, version("7.3"));
        assert_eq!(store.tags(&made).await.unwrap(), tags(&[("a", "1")]));
    }

    accounts_do_not_see_each_others_collections(store) {
        store.made("people").await;
        assert_refused!(store.collection(&other_account(), &id("people")).await, Fault::CollectionNotFound(_));
        assert_refused!(store.delete_collection(&other_account(), &id("people")).await, Fault::CollectionNotFound(_));
        assert!(store.collections(&other_account(), None, 10).await.unwrap().is_empty());
        store.create_collection(&other_account(), &id("people"), &version(VERSION), Tags::new(), 1).await.unwrap();
        let (ours, theirs) = (store.read("people").await, store.collection(&other_account(), &id("people")).await.unwrap());
        assert_ne!(ours.key, theirs.key);
    }

    an_account_has_as_many_collections_as_it_may(store) {
        let names: Vec<_> = (0..12).map(|n| id(&format!("c{n}"))).collect();
        let (account, version) = (account(), version(VERSION));
        let made = names.iter().map(|name| store.create_collection(&account, name, &version, tags(&[("a", "1")]), 5));
        let outcomes = join_all(made).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
        for refusal in outcomes.into_iter().filter(|outcome| outcome.is_err()) {
            assert_refused!(refusal, Fault::QuotaExceeded("collections in an account", 5));
        }
        assert_eq!(store.number("SELECT count(*) FROM collections").await, 5);
        assert_eq!(store.number("SELECT count(*) FROM tags").await, 5);
        // A refusal took no room, and neither did a deletion of nothing give any.
        assert_refused!(store.delete_collection(&account, &id("nothing")).await, Fault::CollectionNotFound(_));
        let one_more = async || store.create_collection(&account, &id("more"), &version, Tags::new(), 5).await;
        assert_refused!(one_more().await, Fault::QuotaExceeded(..));
        let first = store.collections(&account, None, 1).await.unwrap().remove(0);
        store.delete_collection(&account, &first.id).await.unwrap();
        one_more().await.unwrap();
    }

    collections_are_listed_in_the_order_of_their_bytes(store) {
        for name in ["b", "a", "_", "B", "a.b", "-", "10", "9"] {
            store.made(name).await;
        }
        let all = store.collections(&account(), None, 100).await.unwrap();
        assert_eq!(names(&all), ["-", "10", "9", "B", "_", "a", "a.b", "b"]);
        let some = async |after: After| {
            let found = store.collections(&account(), Some(&after), 2).await.unwrap();
            names(&found).join(" ")
        };
        assert_eq!(some(After::Name("9".to_owned())).await, "B _");
        assert_eq!(some(After::Name("a,".to_owned())).await, "a.b b");
        assert_eq!(some(After::Key(all[3].key, "B".to_owned())).await, "_ a");
        store.delete_collection(&account(), &id("B")).await.unwrap();
        assert_eq!(some(After::Key(all[3].key, "B".to_owned())).await, "_ a");
    }

    a_deleted_collection_leaves_nothing_and_its_key_never_comes_again(store) {
        let old = store.made("people").await;
        store.put_tags(&old, tags(&[("a", "1")])).await.unwrap();
        store.insert_faces(&old, faces(0..3), NO_QUOTA).await.unwrap();
        store.delete_faces(&old, face_ids(0..1)).await.unwrap();
        for name in ["anna", "berta"] {
            let token = rekollect::store::Token::new(name.to_owned().try_into().unwrap(), &[]);
            store.create_user(&old, &user(name), Some(token), NO_QUOTA).await.unwrap();
        }
        store.delete_user(&old, &user("anna"), None).await.unwrap();
        assert!(store.number(EVERYTHING).await >= 7);
        store.delete_collection(&account(), &id("people")).await.unwrap();
        assert_eq!(store.number(EVERYTHING).await, 0);
        assert_refused!(store.collection(&account(), &id("people")).await, Fault::CollectionNotFound(_));

        let new = store.made("people").await;
        assert_ne!(new.key, old.key);
        // Whoever still has the old one changes nothing of the new.
        assert_refused!(store.insert_faces(&old, faces(0..3), NO_QUOTA).await, Fault::CollectionNotFound(_));
        assert_refused!(store.delete_faces(&old, face_ids(0..3)).await, Fault::CollectionNotFound(_));
        assert_refused!(store.create_user(&old, &user("anna"), None, NO_QUOTA).await, Fault::CollectionNotFound(_));
        assert_refused!(store.put_tags(&old, tags(&[("a", "1")])).await, Fault::CollectionNotFound(_));
        assert_refused!(store.remove_tags(&old, vec![tag_key("a")]).await, Fault::CollectionNotFound(_));
        assert_eq!(store.number(EVERYTHING).await, 1);
    }

    collections_are_counted_by_version_whoever_owns_them(store) {
        for (account, name, number) in [(account(), "a", "7.1"), (account(), "b", "7.3"), (other_account(), "a", "7.1")] {
            store.create_collection(&account, &id(name), &version(number), Tags::new(), NO_QUOTA).await.unwrap();
        }
        assert_eq!(store.collections_by_version().await.unwrap(), [(version("7.1"), 2), (version("7.3"), 1)]);
    }

    tags_are_replaced_and_removed_and_change_no_revision(store) {
        let (people, others) = (store.made("people").await, store.made("others").await);
        store.put_tags(&people, tags(&[("a", "1"), ("b", "2")])).await.unwrap();
        store.put_tags(&people, tags(&[("b", "3"), ("c", "")])).await.unwrap();
        assert_eq!(store.tags(&people).await.unwrap(), tags(&[("a", "1"), ("b", "3"), ("c", "")]));
        store.remove_tags(&people, vec![tag_key("a"), tag_key("x")]).await.unwrap();
        assert_eq!(store.tags(&people).await.unwrap(), tags(&[("b", "3"), ("c", "")]));
        assert_eq!(store.tags(&others).await.unwrap(), Tags::new());
        assert_eq!(store.read("people").await.revision, 0);
    }

    a_collection_has_as_many_tags_as_it_may_or_keeps_those_it_had(store) {
        let people = store.made("people").await;
        store.put_tags(&people, numbered(0..MAX_TAGS - 1)).await.unwrap();
        assert_refused!(store.put_tags(&people, numbered(MAX_TAGS - 1..MAX_TAGS + 1)).await, Fault::TooManyTags);
        assert_eq!(store.tags(&people).await.unwrap(), numbered(0..MAX_TAGS - 1));
        // Two at once, with room for one: they count one after the other.
        let (one, two) = (numbered(500..501), numbered(600..601));
        let outcomes = tokio::join!(store.put_tags(&people, one), store.put_tags(&people, two));
        assert_eq!([outcomes.0.is_ok(), outcomes.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{outcomes:?}");
        assert_eq!(store.tags(&people).await.unwrap().len(), MAX_TAGS);
    }
}

/// How many rows there are of whatever belongs to collections.
const EVERYTHING: &str = "SELECT (SELECT count(*) FROM collections) + (SELECT count(*) FROM faces) + (SELECT count(*) FROM users) \
                          + (SELECT count(*) FROM deleted_faces) + (SELECT count(*) FROM deleted_users) + (SELECT count(*) FROM tags) \
                          + (SELECT count(*) FROM client_tokens) + (SELECT count(*) FROM gallery_marks)";
