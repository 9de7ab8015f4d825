//! TagResource, UntagResource, ListTagsForResource, and tags at CreateCollection.

use serde_json::{Map, Value, json};

use crate::support::{Server, on_both_stores};

const ARN: &str = "arn:aws:rekognition:us-east-1:000000000000:collection/people";

fn tags(server: &Server) -> Value {
    server.ok("ListTagsForResource", json!({"ResourceArn": ARN}))["Tags"].clone()
}

on_both_stores! {
    tags_come_stay_and_go(server) {
        server.ok("CreateCollection", json!({"CollectionId": "people", "Tags": {"team": "a", "größe": ""}}));
        assert_eq!(tags(server), json!({"team": "a", "größe": ""}));
        assert_eq!(server.ok("TagResource", json!({"ResourceArn": ARN, "Tags": {"team": "b", "env": "test"}})), json!({}));
        assert_eq!(tags(server), json!({"team": "b", "größe": "", "env": "test"}));
        let gone = server.ok("UntagResource", json!({"ResourceArn": ARN, "TagKeys": ["team", "never"]}));
        assert_eq!((gone, tags(server)), (json!({}), json!({"größe": "", "env": "test"})));
        // A collection takes its tags along.
        server.ok("DeleteCollection", json!({"CollectionId": "people"}));
        server.collection("people");
        assert_eq!(tags(server), json!({}));
    }

    a_resource_is_a_collection_of_this_place(server) {
        let created = server.ok("CreateCollection", json!({"CollectionId": "people"}));
        // As CreateCollection gives it, without `arn:`.
        assert_eq!(server.ok("ListTagsForResource", json!({"ResourceArn": created["CollectionArn"]}))["Tags"], json!({}));
        for (arn, code) in [
            ("arn:aws:rekognition:us-east-1:000000000000:collection/nowhere", "ResourceNotFoundException"),
            ("arn:aws:rekognition:us-east-1:111111111111:collection/people", "ResourceNotFoundException"),
            ("arn:aws:rekognition:eu-west-1:000000000000:collection/people", "ResourceNotFoundException"),
            ("arn:aws:rekognition:us-east-1:000000000000:project/people/version/1", "InvalidParameterException"),
            ("arn:aws:s3:::bucket-of-somebody", "InvalidParameterException"),
            ("too-short", "ValidationException"),
        ] {
            assert_eq!(server.fail("ListTagsForResource", json!({"ResourceArn": arn})).0, code, "{arn}");
        }
    }

    more_tags_than_there_may_be_change_nothing(server) {
        server.collection("people");
        let many = |prefix: &str, count: usize| -> Map<String, Value> { (0..count).map(|n| (format!("{prefix}{n}"), json!("v"))).collect() };
        server.ok("TagResource", json!({"ResourceArn": ARN, "Tags": many("a", 199)}));
        assert_eq!(server.fail("TagResource", json!({"ResourceArn": ARN, "Tags": many("b", 2)})).0, "ServiceQuotaExceededException");
        assert_eq!(tags(server).as_object().unwrap().len(), 199);
        server.ok("TagResource", json!({"ResourceArn": ARN, "Tags": many("b", 1)}));
        assert_eq!(server.fail("TagResource", json!({"ResourceArn": ARN, "Tags": many("c", 201)})).0, "ValidationException");
    }
}
