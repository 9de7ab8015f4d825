//! The operations on users.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Server, Store, assert_golden, base64, on_both_stores, photo, plain_png, strings, with};

/// A collection with obama.jpg, obama2.jpg and biden.jpg; the ids of their faces.
fn presidents(server: &Server) -> [String; 3] {
    server.collection("people");
    ["obama", "obama2", "biden"].map(|name| {
        let reply =
            server.index("people", &photo(&format!("{name}.jpg")), json!({"ExternalImageId": name, "MaxFaces": 1}));
        reply["FaceRecords"][0]["Face"]["FaceId"].as_str().unwrap().to_owned()
    })
}

fn user(id: &str, more: Value) -> Value {
    with(json!({"CollectionId": "people", "UserId": id}), more)
}

fn statuses(server: &Server) -> Value {
    server.ok("ListUsers", json!({"CollectionId": "people"}))["Users"].clone()
}

on_both_stores! {
    a_user_lives_from_create_to_delete(server) {
        let [obama, obama2, biden] = presidents(server);
        assert_eq!(server.ok("CreateUser", user("barack", json!({}))), json!({}));
        assert_eq!(statuses(server), json!([{"UserId": "barack", "UserStatus": "CREATED"}]));
        assert_eq!(server.fail("CreateUser", user("barack", json!({}))).0, "ConflictException");
        assert_eq!(server.ok("DescribeCollection", json!({"CollectionId": "people"}))["UserCount"], json!(1));

        let reply = server.ok("AssociateFaces", user("barack", json!({"FaceIds": [obama]})));
        assert_golden("associate_faces", &reply);
        assert_eq!(statuses(server), json!([{"UserId": "barack", "UserStatus": "ACTIVE"}]));
        // A second photo of the same person is taken, another person's is not.
        let unknown = "00000000-0000-4000-8000-000000000000";
        let reply = server.ok("AssociateFaces", user("barack", json!({"FaceIds": [obama, obama2, biden, unknown]})));
        assert_eq!(reply["AssociatedFaces"], json!([{"FaceId": obama2}]));
        let refused = reply["UnsuccessfulFaceAssociations"].as_array().unwrap();
        assert_eq!(refused[0], json!({"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}));
        assert_eq!((&refused[1]["FaceId"], &refused[1]["Reasons"]), (&json!(biden), &json!(["LOW_MATCH_CONFIDENCE"])));
        assert!(refused[1]["Confidence"].as_f64().unwrap() < 75.0);

        let of_user = server.ok("ListFaces", json!({"CollectionId": "people", "UserId": "barack"}));
        let mut expected = [obama.as_str(), obama2.as_str()];
        expected.sort_unstable();
        assert_eq!(strings(&of_user["Faces"], "FaceId"), expected);
        assert_eq!(strings(&of_user["Faces"], "UserId"), ["barack", "barack"]);

        // A face of a user is not deleted, and not another user's to take.
        let deletion = server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": [obama]}));
        let kept = json!([{"FaceId": obama, "UserId": "barack", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}]);
        assert_eq!((&deletion["DeletedFaces"], &deletion["UnsuccessfulFaceDeletions"]), (&json!([]), &kept));
        server.ok("CreateUser", user("joe", json!({})));
        let other = json!([{"FaceId": obama, "UserId": "barack", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}]);
        let reply = server.ok("AssociateFaces", user("joe", json!({"FaceIds": [obama]})));
        assert_eq!(reply["UnsuccessfulFaceAssociations"], other);
        let reply = server.ok("DisassociateFaces", user("joe", json!({"FaceIds": [obama, biden, unknown]})));
        assert_eq!(reply["DisassociatedFaces"], json!([]));
        assert_eq!(reply["UnsuccessfulFaceDisassociations"], json!([{"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}, other[0]]));

        let reply = server.ok("DisassociateFaces", user("barack", json!({"FaceIds": [obama, obama2]})));
        assert_eq!((reply["DisassociatedFaces"].as_array().unwrap().len(), &reply["UserStatus"]), (2, &json!("CREATED")));
        assert_eq!(server.ok("DeleteUser", user("barack", json!({}))), json!({}));
        assert_eq!(server.fail("DeleteUser", user("barack", json!({}))).0, "ResourceNotFoundException");
        assert_eq!(strings(&statuses(server), "UserId"), ["joe"]);
        assert_eq!(server.face_count("people"), 3);
    }

    users_are_found_by_face_by_user_and_by_image(server) {
        let [obama, obama2, biden] = presidents(server);
        for (id, face) in [("barack", &obama), ("joe", &biden), ("empty", &obama2)] {
            server.ok("CreateUser", user(id, json!({})));
            if id != "empty" {
                server.ok("AssociateFaces", user(id, json!({"FaceIds": [face]})));
            }
        }
        let search = |more: Value| server.ok("SearchUsers", with(json!({"CollectionId": "people"}), more));
        let names = |reply: &Value| -> Vec<String> {
            reply["UserMatches"].as_array().unwrap().iter().map(|m| m["User"]["UserId"].as_str().unwrap().to_owned()).collect()
        };
        let by_face = search(json!({"FaceId": obama2}));
        assert_golden("search_users", &by_face);
        assert_eq!(names(&by_face), ["barack"]);
        assert_eq!(names(&search(json!({"FaceId": obama2, "UserMatchThreshold": 0}))), ["barack", "joe"]);
        assert_eq!(names(&search(json!({"FaceId": obama2, "UserMatchThreshold": 0, "MaxUsers": 1}))), ["barack"]);
        // A user is not among its own matches; one without faces resembles nobody.
        let by_user = search(json!({"UserId": "barack", "UserMatchThreshold": 0}));
        assert_eq!((names(&by_user), &by_user["SearchedUser"]), (vec!["joe".to_owned()], &json!({"UserId": "barack"})));
        assert_eq!(names(&search(json!({"UserId": "empty", "UserMatchThreshold": 0}))), Vec::<String>::new());
        for bad in [json!({}), json!({"UserId": "joe", "FaceId": obama})] {
            assert_eq!(server.fail("SearchUsers", with(json!({"CollectionId": "people"}), bad)).0, "InvalidParameterException");
        }
        assert_eq!(server.fail("SearchUsers", user("nobody", json!({}))).0, "ResourceNotFoundException");

        let by_image = |image: &[u8]| server.ok("SearchUsersByImage", json!({"CollectionId": "people", "Image": {"Bytes": base64(image)}}));
        let found = by_image(&photo("obama2.jpg"));
        assert_golden("search_users_by_image", &found);
        assert_eq!(names(&found), ["barack"]);
        let group = by_image(&photo("sample1.jpg"));
        assert_eq!(names(&group), Vec::<String>::new());
        assert!(group["UnsearchedFaces"].as_array().unwrap().iter().all(|face| face["Reasons"] == json!(["FACE_NOT_LARGEST"])));
        assert_eq!(group["UnsearchedFaces"].as_array().unwrap().len(), 2);
        // No face at all is an answer, not an error.
        let none = by_image(&plain_png(100, 100));
        assert_eq!((names(&none).len(), none.get("SearchedFace"), &none["UnsearchedFaces"]), (0, None, &json!([])));

        // The vector follows the faces, and the collection takes its users along.
        server.ok("DisassociateFaces", user("barack", json!({"FaceIds": [obama]})));
        assert_eq!(names(&search(json!({"FaceId": obama2}))), Vec::<String>::new());
        server.ok("AssociateFaces", user("barack", json!({"FaceIds": [obama]})));
        assert_eq!(names(&search(json!({"FaceId": obama2}))), ["barack"]);
        server.ok("DeleteUser", user("barack", json!({})));
        assert_eq!(names(&search(json!({"FaceId": obama2}))), Vec::<String>::new());
        server.ok("DeleteCollection", json!({"CollectionId": "people"}));
        server.collection("people");
        assert_eq!(statuses(server), json!([]));
    }

    a_token_makes_a_repetition_harmless_and_another_request_a_mismatch(server) {
        let [obama, obama2, _] = presidents(server);
        let create = user("barack", json!({"ClientRequestToken": "create-1"}));
        assert_eq!(server.ok("CreateUser", create.clone()), json!({}));
        assert_eq!(server.ok("CreateUser", create), json!({}));
        let mismatch = (
            "IdempotentParameterMismatchException".to_owned(),
            "The ClientRequestToken: create-1 you have supplied is already in use.".to_owned(),
        );
        assert_eq!(server.fail("CreateUser", user("joe", json!({"ClientRequestToken": "create-1"}))), mismatch);
        assert_eq!(server.fail("DeleteUser", user("barack", json!({"ClientRequestToken": "create-1"}))), mismatch);
        let associate = user("barack", json!({"ClientRequestToken": "associate-1", "FaceIds": [obama]}));
        let first = server.ok("AssociateFaces", associate.clone());
        assert_eq!(server.ok("AssociateFaces", associate), first);
        let other = user("barack", json!({"ClientRequestToken": "associate-1", "FaceIds": [obama2]}));
        assert_eq!(server.fail("AssociateFaces", other).0, "IdempotentParameterMismatchException");
        // Without a token the faces that the user has already are in neither list.
        assert_eq!(server.ok("AssociateFaces", user("barack", json!({"FaceIds": [obama]})))["AssociatedFaces"], json!([]));
    }

    a_token_on_two_collections_at_once_is_one_request_and_a_mismatch(server) {
        const COLLECTIONS: usize = 8;
        (0..COLLECTIONS).for_each(|n| server.collection(&format!("c{n}")));
        for round in 0..5 {
            let create = |n: usize| {
                let request = json!({"CollectionId": format!("c{n}"), "UserId": format!("u{round}"), "ClientRequestToken": format!("t{round}")});
                server.post("CreateUser", request.to_string())
            };
            let replies: Vec<_> = thread::scope(|scope| {
                let calls: Vec<_> = (0..COLLECTIONS).map(|n| scope.spawn(move || create(n))).collect();
                calls.into_iter().map(|call| call.join().unwrap()).collect()
            });
            let made = replies.iter().filter(|reply| reply.status == 200).count();
            let mismatches = replies.iter().filter(|reply| {
                reply.status == 400 && reply.json()["__type"] == "IdempotentParameterMismatchException"
            });
            assert_eq!((made, mismatches.count()), (1, COLLECTIONS - 1), "{replies:?}");
        }
        // Who was refused has changed nothing.
        let users = |n: usize| server.ok("DescribeCollection", json!({"CollectionId": format!("c{n}")}))["UserCount"].as_i64().unwrap();
        assert_eq!((0..COLLECTIONS).map(users).sum::<i64>(), 5);
    }

    users_are_listed_page_by_page(server) {
        server.collection("people");
        let names: Vec<String> = (0..7).map(|n| format!("user-{n}")).collect();
        names.iter().for_each(|name| drop(server.ok("CreateUser", user(name, json!({})))));
        let (mut listed, mut token): (Vec<String>, Value) = (Vec::new(), Value::Null);
        loop {
            let page = server.ok("ListUsers", json!({"CollectionId": "people", "MaxResults": 3, "NextToken": token}));
            listed.extend(strings(&page["Users"], "UserId").into_iter().map(str::to_owned));
            token = page["NextToken"].clone();
            if token.is_null() {
                break;
            }
        }
        assert_eq!(listed, names);
        let (code, text) = server.fail("ListUsers", json!({"CollectionId": "people", "MaxResults": 501}));
        assert_eq!(code, "ValidationException");
        assert!(text.contains("'maxResults'") && text.contains("less than or equal to 500"), "{text}");
    }
}

#[test]
fn a_user_has_a_hundred_faces_and_no_more() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    server.ok("CreateUser", user("barack", json!({})));
    let image = photo("obama.jpg");
    let faces: Vec<Value> = (0..101)
        .map(|n| {
            let reply = server.index("people", &image, json!({"ExternalImageId": format!("copy-{n}"), "MaxFaces": 1}));
            reply["FaceRecords"][0]["Face"]["FaceId"].clone()
        })
        .collect();
    server.ok("AssociateFaces", user("barack", json!({"FaceIds": faces[..99]})));
    let over = server.fail("AssociateFaces", user("barack", json!({"FaceIds": faces[99..]})));
    assert_eq!(over.0, "ServiceQuotaExceededException");
    let of_user = server.ok("ListFaces", json!({"CollectionId": "people", "UserId": "barack"}));
    assert_eq!(of_user["Faces"].as_array().unwrap().len(), 99);
    server.ok("AssociateFaces", user("barack", json!({"FaceIds": [faces[99]]})));
    assert_eq!(server.fail("AssociateFaces", user("barack", json!({"FaceIds": faces}))).0, "ValidationException");
}
