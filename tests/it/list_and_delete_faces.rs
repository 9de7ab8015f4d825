//! ListFaces and DeleteFaces.

use serde_json::{Value, json};

use crate::support::{Server, assert_golden, on_both_stores, photo, strings};

/// A collection with the faces of sample1.jpg twice and of obama.jpg once; the ids in their order.
fn people(server: &Server) -> Vec<String> {
    server.collection("people");
    for (image, name) in [("sample1.jpg", "a"), ("sample1.jpg", "b"), ("obama.jpg", "c")] {
        server.index("people", &photo(image), json!({"ExternalImageId": name}));
    }
    let listed = server.ok("ListFaces", json!({"CollectionId": "people"}));
    assert!(listed.get("NextToken").is_none());
    strings(&listed["Faces"], "FaceId").into_iter().map(str::to_owned).collect()
}

on_both_stores! {
    a_listed_face_is_what_was_stored(server) {
        server.collection("people");
        let indexed = server.index("people", &photo("obama.jpg"), json!({"ExternalImageId": "obama"}));
        let listed = server.ok("ListFaces", json!({"CollectionId": "people"}));
        assert_golden("list_faces", &listed);
        for side in ["Left", "Top", "Width", "Height"] {
            let exact = indexed["FaceRecords"][0]["Face"]["BoundingBox"][side].as_f64().unwrap();
            let stored = listed["Faces"][0]["BoundingBox"][side].as_f64().unwrap();
            assert!((exact - stored).abs() < 1e-6, "{exact} {stored}");
        }
    }

    pages_come_in_the_order_of_ids(server) {
        let ids = people(server);
        assert!(ids.len() >= 7 && ids.is_sorted());
        let (mut listed, mut token): (Vec<String>, Value) = (Vec::new(), Value::Null);
        loop {
            let page = server.ok("ListFaces", json!({"CollectionId": "people", "MaxResults": 2, "NextToken": token}));
            listed.extend(strings(&page["Faces"], "FaceId").into_iter().map(str::to_owned));
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(listed, ids);
    }

    a_filter_by_ids_passes_over_unknown_ones(server) {
        let ids = people(server);
        let wanted = [&ids[2], &ids[0], "00000000-0000-4000-8000-000000000000"];
        let listed = server.ok("ListFaces", json!({"CollectionId": "people", "FaceIds": wanted}));
        assert_eq!(strings(&listed["Faces"], "FaceId"), [&ids[0], &ids[2]]);
        // A token belongs to its filter.
        let page = server.ok("ListFaces", json!({"CollectionId": "people", "FaceIds": wanted, "MaxResults": 1}));
        let token = &page["NextToken"];
        let next = server.ok("ListFaces", json!({"CollectionId": "people", "FaceIds": wanted, "MaxResults": 1, "NextToken": token}));
        assert_eq!(strings(&next["Faces"], "FaceId"), [&ids[2]]);
        assert_eq!(server.fail("ListFaces", json!({"CollectionId": "people", "NextToken": token})).0, "InvalidPaginationTokenException");
    }

    deleting_names_what_went_and_what_was_not_there(server) {
        let ids = people(server);
        let unknown = "00000000-0000-4000-8000-000000000000";
        let reply = server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": [&ids[3], unknown, &ids[1], &ids[3]]}));
        assert_eq!(reply["DeletedFaces"], json!([&ids[3], &ids[1]]));
        assert_eq!(reply["UnsuccessfulFaceDeletions"], json!([{"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}]));
        assert_eq!(server.face_count("people"), ids.len() as i64 - 2);
        let again = server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": [&ids[3]]}));
        assert_eq!(again["DeletedFaces"], json!([]));
        assert_eq!(server.fail("SearchFaces", json!({"CollectionId": "people", "FaceId": &ids[3]})).1, "faceId was not found in the collection.");
    }
}
