//! CreateCollection, DescribeCollection, ListCollections, DeleteCollection.

use serde_json::{Value, json};

use crate::support::{assert_golden, on_both_stores};

on_both_stores! {
    a_collection_lives_from_create_to_delete(server) {
        let created = server.ok("CreateCollection", json!({"CollectionId": "people"}));
        assert_golden("create_collection", &created);
        let mut described = server.ok("DescribeCollection", json!({"CollectionId": "people"}));
        let age = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - described["CreationTimestamp"].as_f64().unwrap();
        assert!((-1.0..60.0).contains(&age), "{described}");
        described["CreationTimestamp"] = json!(0.5);
        assert_golden("describe_collection", &described);
        assert_golden("list_collections", &server.ok("ListCollections", json!({})));
        assert_golden("delete_collection", &server.ok("DeleteCollection", json!({"CollectionId": "people"})));
        assert_golden("list_no_collections", &server.ok("ListCollections", json!({})));
    }

    a_name_is_taken_once(server) {
        server.collection("people");
        let exists = ("ResourceAlreadyExistsException".to_owned(), "The collection id: people already exists".to_owned());
        assert_eq!(server.fail("CreateCollection", json!({"CollectionId": "people"})), exists);
        // Names are case-sensitive, and may be used again.
        server.collection("People");
        server.ok("DeleteCollection", json!({"CollectionId": "people"}));
        server.collection("people");
    }

    a_missing_collection_is_not_found(server) {
        let missing = ("ResourceNotFoundException".to_owned(), "The collection id: nowhere does not exist".to_owned());
        for (operation, request) in [
            ("DescribeCollection", json!({"CollectionId": "nowhere"})),
            ("DeleteCollection", json!({"CollectionId": "nowhere"})),
            ("ListFaces", json!({"CollectionId": "nowhere"})),
            ("DeleteFaces", json!({"CollectionId": "nowhere", "FaceIds": ["00000000-0000-4000-8000-000000000000"]})),
            ("SearchFaces", json!({"CollectionId": "nowhere", "FaceId": "00000000-0000-4000-8000-000000000000"})),
            // The collection is looked for before the image is looked at.
            ("IndexFaces", json!({"CollectionId": "nowhere", "Image": {"Bytes": "bm8gaW1hZ2U="}})),
            ("SearchFacesByImage", json!({"CollectionId": "nowhere", "Image": {"Bytes": "bm8gaW1hZ2U="}})),
        ] {
            assert_eq!(server.fail(operation, request), missing, "{operation}");
        }
    }

    listings_go_page_by_page_in_the_order_of_names(server) {
        // Names too long for a token among them.
        let mut names: Vec<String> = ["b", "B", "a-1", "a.1", "a_1", "10", "9"].map(str::to_owned).to_vec();
        names.extend([format!("{}x", "c".repeat(254)), format!("{}y", "c".repeat(254)), "c".repeat(200)]);
        names.iter().for_each(|name| server.collection(name));
        names.sort();
        let (mut listed, mut token) = (Vec::new(), Value::Null);
        for _ in 0..names.len() {
            let page = server.ok("ListCollections", json!({"MaxResults": 2, "NextToken": token}));
            let ids = page["CollectionIds"].as_array().unwrap();
            assert!(ids.len() <= 2 && ids.len() == page["FaceModelVersions"].as_array().unwrap().len());
            listed.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
            assert!(token.as_str().unwrap().len() <= 255);
        }
        assert_eq!(listed, names);
        assert_eq!(server.ok("ListCollections", json!({"MaxResults": 0}))["CollectionIds"].as_array().unwrap().len(), names.len());
    }

    a_listing_goes_on_where_a_collection_was_deleted(server) {
        let names = ["a", &"b".repeat(200), &"c".repeat(200), "d"].map(str::to_owned);
        names.iter().for_each(|name| server.collection(name));
        for last in &names[..3] {
            let place = names.iter().position(|name| name == last).unwrap();
            let token = server.ok("ListCollections", json!({"MaxResults": place + 1}))["NextToken"].clone();
            server.ok("DeleteCollection", json!({"CollectionId": last}));
            let rest = server.ok("ListCollections", json!({"NextToken": token}));
            assert_eq!(rest["CollectionIds"], json!(names[place + 1..]));
            server.collection(last);
        }
    }

    a_token_of_another_listing_is_invalid(server) {
        ["a", "b"].iter().for_each(|name| server.collection(name));
        let token = server.ok("ListCollections", json!({"MaxResults": 1}))["NextToken"].clone();
        let invalid = ("InvalidPaginationTokenException".to_owned(), "Invalid Token".to_owned());
        assert_eq!(server.fail("ListCollections", json!({"NextToken": "no token"})), invalid);
        assert_eq!(server.fail("ListFaces", json!({"CollectionId": "a", "NextToken": token})), invalid);
    }
}
