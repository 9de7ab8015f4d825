//! Two servers on one Postgres: what one wrote, the other answers at once. Every operation goes to the server that did not do what
//! came before.

use serde_json::json;

use crate::support::{Server, base64, new_database, photo, strings};

#[test]
fn what_one_server_wrote_the_other_answers_at_once() {
    let Some(database) = new_database() else { return };
    let start = || Server::start_on(tempfile::tempdir().unwrap(), Some(&database), &[]);
    let (one, two) = (start(), start());
    let people = |more| crate::support::with(json!({"CollectionId": "people"}), more);
    let image = |name: &str| json!({"Bytes": base64(&photo(name))});

    let made = one.ok("CreateCollection", people(json!({"Tags": {"a": "1"}})));
    let arn = format!("arn:{}", made["CollectionArn"].as_str().unwrap());
    assert_eq!(two.ok("ListCollections", json!({}))["CollectionIds"], json!(["people"]));
    assert_eq!(two.ok("ListTagsForResource", json!({"ResourceArn": arn}))["Tags"], json!({"a": "1"}));
    two.ok("TagResource", json!({"ResourceArn": arn, "Tags": {"b": "2"}}));
    one.ok("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a"]}));
    assert_eq!(two.ok("ListTagsForResource", json!({"ResourceArn": arn}))["Tags"], json!({"b": "2"}));

    // Each search is right after the change on the other server, with a gallery that knew the state before it.
    let obama = one.ok("IndexFaces", people(json!({"Image": image("obama.jpg")})))["FaceRecords"][0]["Face"].clone();
    let found = two.ok("SearchFacesByImage", people(json!({"Image": image("obama2.jpg")})));
    assert_eq!(found["FaceMatches"][0]["Face"]["FaceId"], obama["FaceId"]);
    let again = two.ok("IndexFaces", people(json!({"Image": image("obama2.jpg")})))["FaceRecords"][0]["Face"].clone();
    let found = one.ok("SearchFaces", people(json!({"FaceId": obama["FaceId"]})));
    assert_eq!(found["FaceMatches"][0]["Face"]["FaceId"], again["FaceId"]);
    let compare = json!({"SourceImage": image("obama.jpg"), "TargetImage": image("obama2.jpg")});
    assert_eq!(one.ok("CompareFaces", compare.clone()), two.ok("CompareFaces", compare));
    let detect = json!({"Image": image("obama.jpg")});
    assert_eq!(one.ok("DetectFaces", detect.clone()), two.ok("DetectFaces", detect));

    one.ok("CreateUser", people(json!({"UserId": "barack", "ClientRequestToken": "t"})));
    // The same request again, on the other server: its token is known there.
    two.ok("CreateUser", people(json!({"UserId": "barack", "ClientRequestToken": "t"})));
    let (code, _) = two.fail("CreateUser", people(json!({"UserId": "michelle", "ClientRequestToken": "t"})));
    assert_eq!(code, "IdempotentParameterMismatchException");
    two.ok("AssociateFaces", people(json!({"UserId": "barack", "FaceIds": [obama["FaceId"]]})));
    let found = one.ok("SearchUsersByImage", people(json!({"Image": image("obama2.jpg")})));
    assert_eq!(found["UserMatches"][0]["User"]["UserId"], "barack");
    one.ok("AssociateFaces", people(json!({"UserId": "barack", "FaceIds": [again["FaceId"]]})));
    let found = two.ok("SearchUsers", people(json!({"FaceId": again["FaceId"]})));
    assert_eq!(found["UserMatches"][0]["User"]["UserId"], "barack");
    let kept = two.ok("DeleteFaces", people(json!({"FaceIds": [obama["FaceId"]]})));
    assert_eq!(kept["UnsuccessfulFaceDeletions"][0]["UserId"], "barack");

    // A token of one server's listing is the other's too.
    let first = one.ok("ListFaces", people(json!({"MaxResults": 1})));
    let rest = two.ok("ListFaces", people(json!({"NextToken": first["NextToken"]})));
    let mut ids = [strings(&first["Faces"], "FaceId"), strings(&rest["Faces"], "FaceId")].concat();
    ids.sort_unstable();
    let mut both = [obama["FaceId"].as_str().unwrap(), again["FaceId"].as_str().unwrap()];
    both.sort_unstable();
    assert_eq!(ids, both);

    two.ok("DisassociateFaces", people(json!({"UserId": "barack", "FaceIds": both})));
    assert_eq!(one.ok("SearchUsers", people(json!({"FaceId": again["FaceId"]})))["UserMatches"], json!([]));
    one.ok("DeleteUser", people(json!({"UserId": "barack"})));
    assert_eq!(two.ok("ListUsers", people(json!({})))["Users"], json!([]));
    one.ok("DeleteFaces", people(json!({"FaceIds": [obama["FaceId"]]})));
    let (code, _) = two.fail("SearchFaces", people(json!({"FaceId": obama["FaceId"]})));
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(two.face_count("people"), 1);
    two.ok("DeleteCollection", people(json!({})));
    assert_eq!(one.fail("ListFaces", people(json!({}))).0, "ResourceNotFoundException");
}
