//! CompareFaces.

use serde_json::{Value, json};

use crate::support::{Server, Store, assert_golden, base64, photo, plain_png, with};

fn request(source: &[u8], target: &[u8], more: Value) -> Value {
    with(json!({"SourceImage": {"Bytes": base64(source)}, "TargetImage": {"Bytes": base64(target)}}), more)
}

#[test]
fn the_largest_face_of_the_source_is_looked_for_in_the_target() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    let (obama, obama2, biden) = (photo("obama.jpg"), photo("obama2.jpg"), photo("biden.jpg"));
    let same = server.ok("CompareFaces", request(&obama, &obama2, json!({})));
    assert_golden("compare_faces", &same);
    assert!(same["FaceMatches"][0]["Similarity"].as_f64().unwrap() >= 80.0);
    assert_eq!(
        server.ok("CompareFaces", request(&obama, &obama, json!({})))["FaceMatches"][0]["Similarity"],
        json!(100.0)
    );

    let other = server.ok("CompareFaces", request(&obama, &biden, json!({})));
    assert_eq!(
        (other["FaceMatches"].as_array().unwrap().len(), other["UnmatchedFaces"].as_array().unwrap().len()),
        (0, 1)
    );
    assert!(other["UnmatchedFaces"][0].get("Similarity").is_none());
    let all = server.ok("CompareFaces", request(&obama, &biden, json!({"SimilarityThreshold": 0})));
    assert!(all["FaceMatches"][0]["Similarity"].as_f64().unwrap() < 50.0);
}

#[test]
fn one_of_a_group_is_found_among_the_others() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    // One of the women of sample1.jpg is on sample3.jpg as well.
    let (source, target) = (photo("sample1.jpg"), photo("sample3.jpg"));
    let found = server.ok("CompareFaces", request(&source, &target, json!({})));
    assert_eq!(
        (found["FaceMatches"].as_array().unwrap().len(), found["UnmatchedFaces"].as_array().unwrap().len()),
        (1, 2)
    );
    let ranked = server.ok("CompareFaces", request(&source, &target, json!({"SimilarityThreshold": 0})));
    let similarities: Vec<f64> =
        ranked["FaceMatches"].as_array().unwrap().iter().map(|m| m["Similarity"].as_f64().unwrap()).collect();
    assert!(similarities.len() == 3 && similarities.is_sorted_by(|a, b| a >= b), "{similarities:?}");
}

#[test]
fn both_images_need_a_face() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    let (face, none) = (photo("obama.jpg"), plain_png(100, 100));
    let refusal = ("InvalidParameterException".to_owned(), "Request has invalid parameters".to_owned());
    assert_eq!(server.fail("CompareFaces", request(&face, &none, json!({}))), refusal);
    assert_eq!(server.fail("CompareFaces", request(&none, &face, json!({}))), refusal);
    let (code, text) = server.fail("CompareFaces", json!({"TargetImage": {"Bytes": ""}, "SimilarityThreshold": 101}));
    assert_eq!(code, "ValidationException");
    assert!(text.starts_with("3 validation errors detected: Value null at 'sourceImage'"), "{text}");
    assert!(text.contains("'targetImage.bytes'") && text.contains("'similarityThreshold'"), "{text}");
}
