//! What a face shows: what is asked for is told, and nothing else.

use serde_json::{Value, json};

use crate::support::{Server, Store, base64, photo, strings};

const EVERY_MEMBER: [&str; 17] = [
    "AgeRange",
    "Beard",
    "BoundingBox",
    "Confidence",
    "Emotions",
    "EyeDirection",
    "Eyeglasses",
    "EyesOpen",
    "FaceOccluded",
    "Gender",
    "Landmarks",
    "MouthOpen",
    "Mustache",
    "Pose",
    "Quality",
    "Smile",
    "Sunglasses",
];
const DEFAULT: [&str; 5] = ["BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"];

fn server(args: &[&str]) -> Server {
    Server::start(Store::Sqlite, args).unwrap()
}

fn detect(server: &Server, name: &str, attributes: Value) -> Vec<Value> {
    let request = json!({"Image": {"Bytes": base64(&photo(name))}, "Attributes": attributes});
    server.ok("DetectFaces", request)["FaceDetails"].as_array().unwrap().clone()
}

fn members(face: &Value) -> Vec<String> {
    let mut names: Vec<String> = face.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    names
}

fn says(face: &Value, attribute: &str, value: bool) {
    assert_eq!(face[attribute]["Value"], value, "{attribute}: {}", face[attribute]);
    let confidence = face[attribute]["Confidence"].as_f64().unwrap();
    assert!((50.0..=100.0).contains(&confidence), "{attribute}: {confidence}");
}

#[test]
fn all_is_everything_and_right_about_a_known_face() {
    let server = server(&[]);
    let faces = detect(&server, "obama.jpg", json!(["ALL"]));
    assert_eq!(faces.len(), 1);
    let face = &faces[0];
    assert_eq!(members(face), EVERY_MEMBER);
    let landmarks = face["Landmarks"].as_array().unwrap();
    assert_eq!(landmarks.len(), 30);
    assert_eq!(strings(&face["Landmarks"], "Type")[..5], ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]);
    let at = |name: &str| {
        let landmark = landmarks.iter().find(|landmark| landmark["Type"] == name).unwrap();
        (landmark["X"].as_f64().unwrap(), landmark["Y"].as_f64().unwrap())
    };
    // An upright face: from left to right and from top to bottom as they are called.
    assert!(at("upperJawlineLeft").0 < at("leftEyeLeft").0 && at("leftEyeLeft").0 < at("leftPupil").0);
    assert!(at("leftPupil").0 < at("leftEyeRight").0 && at("leftEyeRight").0 < at("rightEyeLeft").0);
    assert!(at("rightEyeRight").0 < at("upperJawlineRight").0 && at("noseLeft").0 < at("noseRight").0);
    assert!(at("leftEyeBrowUp").1 < at("leftEyeUp").1 && at("leftEyeUp").1 < at("leftEyeDown").1);
    assert!(
        at("nose").1 < at("mouthUp").1 && at("mouthUp").1 < at("mouthDown").1 && at("mouthDown").1 < at("chinBottom").1
    );
    for (attribute, value) in [
        ("Beard", false),
        ("Mustache", false),
        ("Eyeglasses", false),
        ("Sunglasses", false),
        ("Smile", true),
        ("EyesOpen", true),
        ("FaceOccluded", false),
    ] {
        says(face, attribute, value);
    }
    assert_eq!(face["Gender"]["Value"], "Male");
    let (low, high) = (face["AgeRange"]["Low"].as_u64().unwrap(), face["AgeRange"]["High"].as_u64().unwrap());
    assert!(low < 52 && high > 38 && high - low < 30, "{low} to {high}");
    let emotions = face["Emotions"].as_array().unwrap();
    assert_eq!((emotions.len(), &emotions[0]["Type"]), (8, &json!("HAPPY")));
    assert!(emotions.is_sorted_by(|a, b| a["Confidence"].as_f64() >= b["Confidence"].as_f64()));
}

#[test]
fn one_attribute_adds_just_that() {
    let server = server(&[]);
    for (name, member) in [
        ("AGE_RANGE", "AgeRange"),
        ("BEARD", "Beard"),
        ("EMOTIONS", "Emotions"),
        ("EYE_DIRECTION", "EyeDirection"),
        ("EYEGLASSES", "Eyeglasses"),
        ("EYES_OPEN", "EyesOpen"),
        ("FACE_OCCLUDED", "FaceOccluded"),
        ("GENDER", "Gender"),
        ("MOUTH_OPEN", "MouthOpen"),
        ("MUSTACHE", "Mustache"),
        ("SMILE", "Smile"),
        ("SUNGLASSES", "Sunglasses"),
    ] {
        let face = detect(&server, "obama.jpg", json!([name])).remove(0);
        let mut expected: Vec<&str> = DEFAULT.into_iter().chain([member]).collect();
        expected.sort_unstable();
        assert_eq!(members(&face), expected, "{name}");
        assert_eq!(face["Landmarks"].as_array().unwrap().len(), 5);
    }
    for default in [json!([]), json!(["DEFAULT"]), Value::Null] {
        assert_eq!(members(&detect(&server, "obama.jpg", default)[0]), DEFAULT);
    }
    assert_eq!(members(&detect(&server, "obama.jpg", json!(["DEFAULT", "ALL"]))[0]), EVERY_MEMBER);
}

#[test]
fn indexed_and_unindexed_faces_are_told_alike() {
    let server = server(&[]);
    server.collection("people");
    let more = json!({"DetectionAttributes": ["SMILE"], "MaxFaces": 1});
    let reply = server.index("people", &photo("sample1.jpg"), more);
    let indexed = &reply["FaceRecords"].as_array().unwrap()[0]["FaceDetail"];
    let unindexed = &reply["UnindexedFaces"].as_array().unwrap()[0]["FaceDetail"];
    assert_eq!(members(indexed), members(unindexed));
    assert!(indexed.get("Smile").is_some() && indexed.get("Beard").is_none());
}

#[test]
fn without_the_net_of_traits_everything_is_still_told_less_surely() {
    let server = server(&["--attribute-model", "off"]);
    let face = detect(&server, "obama.jpg", json!(["ALL"])).remove(0);
    assert_eq!(members(&face), EVERY_MEMBER);
    for attribute in ["Beard", "Mustache", "Eyeglasses", "Sunglasses"] {
        assert!(face[attribute]["Confidence"].as_f64().unwrap() <= 80.0, "{attribute}: {}", face[attribute]);
    }
    assert_eq!(face["Gender"]["Value"], "Male");
}
