//! Quotas, exact however many calls compete.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Reply, Server, Store, base64, photo};

const CALLERS: usize = 8;

fn on_both_stores(args: &[&str], test: impl Fn(&Server)) {
    for store in [Store::Sqlite, Store::Postgres] {
        if let Some(server) = Server::start(store, args) {
            test(&server);
        }
    }
}

/// Makes the calls at once; the codes of those that failed.
fn all_at_once(server: &Server, operation: &str, requests: &[Value]) -> Vec<String> {
    let replies: Vec<Reply> = thread::scope(|scope| {
        let callers: Vec<_> = requests
            .chunks(requests.len().div_ceil(CALLERS))
            .map(|mine| scope.spawn(|| mine.iter().map(|r| server.post(operation, r.to_string())).collect::<Vec<_>>()))
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let code = |reply: &Reply| reply.json()["__type"].as_str().map(str::to_owned);
    replies.iter().filter(|reply| reply.status != 200).filter_map(code).collect()
}

#[test]
fn an_account_has_no_more_collections_than_it_may() {
    on_both_stores(&["--max-collections", "5"], |server| {
        let requests: Vec<_> = (0..24).map(|n| json!({"CollectionId": format!("c{n}")})).collect();
        let refused = all_at_once(server, "CreateCollection", &requests);
        assert_eq!(refused, ["ServiceQuotaExceededException"; 19]);
        let ids = server.ok("ListCollections", json!({}))["CollectionIds"].clone();
        let ids: Vec<String> = serde_json::from_value(ids).unwrap();
        assert_eq!(ids.len(), 5);
        // What exists is told before what is full, and what was deleted makes room.
        let (exists, _) = server.fail("CreateCollection", json!({"CollectionId": ids[0]}));
        assert_eq!(exists, "ResourceAlreadyExistsException");
        let deletions: Vec<_> = ids.iter().map(|id| json!({"CollectionId": id})).collect();
        assert_eq!(all_at_once(server, "DeleteCollection", &deletions), [""; 0]);
        assert_eq!(all_at_once(server, "CreateCollection", &requests).len(), 19);
    });
}

#[test]
fn a_collection_has_no_more_faces_than_it_may() {
    on_both_stores(&["--max-faces", "3"], |server| {
        server.collection("people");
        let image = base64(&photo("obama.jpg"));
        let index = |name: &str| json!({"CollectionId": "people", "Image": {"Bytes": image}, "ExternalImageId": name});
        let requests: Vec<_> = (0..8).map(|n| index(&n.to_string())).collect();
        assert_eq!(all_at_once(server, "IndexFaces", &requests), ["ServiceQuotaExceededException"; 5]);
        assert_eq!(server.face_count("people"), 3);
        // What is there already needs no room.
        let faces = server.ok("ListFaces", json!({"CollectionId": "people"}))["Faces"].clone();
        server.ok("IndexFaces", index(faces[0]["ExternalImageId"].as_str().unwrap()));
        let (code, text) = server.fail("IndexFaces", index("another"));
        assert_eq!(
            (code.as_str(), text.as_str()),
            ("ServiceQuotaExceededException", "There cannot be more than 3 faces in a collection")
        );
        // Nothing of a call that fails is kept: this image has many faces, and there is room for one.
        server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": [faces[0]["FaceId"]]}));
        let group = json!({"CollectionId": "people", "Image": {"Bytes": base64(&photo("sample4.jpg"))}, "QualityFilter": "NONE"});
        let found = server.ok("DetectFaces", json!({"Image": group["Image"]}))["FaceDetails"].as_array().unwrap().len();
        assert!(found > 1, "the photo shows {found} faces: it would have had room");
        assert_eq!(server.fail("IndexFaces", group).0, "ServiceQuotaExceededException");
        assert_eq!(server.face_count("people"), 2);
        let left = server.ok("ListFaces", json!({"CollectionId": "people"}))["Faces"].clone();
        assert_eq!(left.as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_collection_has_no_more_users_than_it_may() {
    on_both_stores(&["--max-users", "4"], |server| {
        server.collection("people");
        let requests: Vec<_> = (0..16).map(|n| json!({"CollectionId": "people", "UserId": format!("u{n}")})).collect();
        assert_eq!(all_at_once(server, "CreateUser", &requests), ["ServiceQuotaExceededException"; 12]);
        assert_eq!(server.ok("DescribeCollection", json!({"CollectionId": "people"}))["UserCount"], 4);
    });
}
