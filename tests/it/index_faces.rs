//! IndexFaces.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Server, Store, assert_golden, base64, models_dir, on_both_stores, photo, plain_png, strings};

fn face_ids(reply: &Value) -> Vec<String> {
    reply["FaceRecords"].as_array().unwrap().iter().map(|r| r["Face"]["FaceId"].as_str().unwrap().to_owned()).collect()
}

fn areas(list: &Value) -> Vec<f64> {
    let side = |detail: &Value, name: &str| detail["BoundingBox"][name].as_f64().unwrap();
    list.as_array()
        .unwrap()
        .iter()
        .map(|face| side(&face["FaceDetail"], "Width") * side(&face["FaceDetail"], "Height"))
        .collect()
}

on_both_stores! {
    a_face_goes_in_and_is_described(server) {
        server.collection("people");
        let reply = server.index("people", &photo("obama.jpg"), json!({"ExternalImageId": "obama", "DetectionAttributes": ["DEFAULT"]}));
        assert_golden("index_faces", &reply);
        let detail = &reply["FaceRecords"][0]["FaceDetail"];
        assert_eq!(detail["BoundingBox"], reply["FaceRecords"][0]["Face"]["BoundingBox"]);
        assert!(detail["Confidence"].as_f64().unwrap() > 95.0);
        let at = |kind: usize, axis: &str| detail["Landmarks"][kind][axis].as_f64().unwrap();
        // An upright face that looks ahead: eyes left and right of the nose, mouth below it.
        assert!(at(0, "X") < at(2, "X") && at(2, "X") < at(1, "X") && at(3, "X") < at(4, "X"));
        assert!(at(0, "Y") < at(2, "Y") && at(2, "Y") < at(3, "Y"));
        for angle in ["Roll", "Yaw", "Pitch"] {
            assert!(detail["Pose"][angle].as_f64().unwrap().abs() < 20.0, "{detail}");
        }
        assert_eq!(server.face_count("people"), 1);
    }

    the_same_image_is_stored_once_for_each_external_id(server) {
        server.collection("people");
        let image = photo("sample1.jpg");
        let first = server.index("people", &image, json!({"ExternalImageId": "a"}));
        let count = server.face_count("people");
        assert_eq!(count, face_ids(&first).len() as i64);
        assert_eq!(server.index("people", &image, json!({"ExternalImageId": "a"})), first);
        assert_eq!(server.face_count("people"), count);

        let second = server.index("people", &image, json!({"ExternalImageId": "b"}));
        let third = server.index("people", &image, json!({}));
        assert_eq!(server.face_count("people"), 3 * count);
        assert!(third["FaceRecords"][0]["Face"].get("ExternalImageId").is_none());
        let images: Vec<&Value> = [&first, &second, &third].iter().map(|reply| &reply["FaceRecords"][0]["Face"]["ImageId"]).collect();
        assert!(images.iter().all(|id| *id == images[0]));

        // The same ids in another collection.
        server.collection("others");
        assert_eq!(face_ids(&server.index("others", &image, json!({"ExternalImageId": "a"}))), face_ids(&first));
    }

    deleted_faces_can_come_back(server) {
        server.collection("people");
        let image = photo("obama.jpg");
        let ids = face_ids(&server.index("people", &image, json!({})));
        server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": ids}));
        assert_eq!(server.face_count("people"), 0);
        assert_eq!(face_ids(&server.index("people", &image, json!({}))), ids);
        let found = server.ok("SearchFacesByImage", json!({"CollectionId": "people", "Image": {"Bytes": base64(&image)}}));
        assert_eq!(found["FaceMatches"][0]["Face"]["FaceId"], json!(ids[0]));
    }

    concurrent_calls_of_one_image_store_one_set_of_faces(server) {
        server.collection("people");
        let image = photo("sample1.jpg");
        let replies: Vec<Value> = thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| server.index("people", &image, json!({"ExternalImageId": "x"})))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert!(replies.iter().all(|reply| reply == &replies[0]));
        assert_eq!(server.face_count("people"), face_ids(&replies[0]).len() as i64);
    }

    max_faces_keeps_the_largest_and_names_the_others(server) {
        server.collection("people");
        let image = photo("sample1.jpg");
        let all = server.index("people", &image, json!({"QualityFilter": "NONE"}));
        assert!(face_ids(&all).len() >= 3, "{all}");
        let sizes = areas(&all["FaceRecords"]);
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");

        let one = server.index("people", &image, json!({"QualityFilter": "NONE", "MaxFaces": 1}));
        assert_eq!(face_ids(&one), face_ids(&all)[..1]);
        let left_out = one["UnindexedFaces"].as_array().unwrap();
        assert_eq!(left_out.len(), face_ids(&all).len() - 1);
        assert!(left_out.iter().all(|face| face["Reasons"] == json!(["EXCEEDS_MAX_FACES"])));
        assert_eq!(left_out[0]["FaceDetail"], all["FaceRecords"][1]["FaceDetail"]);
        // More than there are is legal.
        assert_eq!(face_ids(&server.index("people", &image, json!({"QualityFilter": "NONE", "MaxFaces": 100_000}))), face_ids(&all));
    }

    an_image_without_a_face_is_no_error(server) {
        server.collection("people");
        assert_golden("index_no_faces", &server.index("people", &plain_png(200, 200), json!({})));
        assert_eq!(server.face_count("people"), 0);
    }

    what_is_no_usable_image_is_refused_and_leaves_nothing(server) {
        server.collection("people");
        let mut cut = photo("obama.jpg");
        cut.truncate(200);
        for (image, code, text) in [
            (b"no image".to_vec(), "InvalidImageFormatException", "Request has invalid image format"),
            (b"GIF89a......".to_vec(), "InvalidImageFormatException", "Request has invalid image format"),
            (cut, "InvalidImageFormatException", "Request has invalid image format"),
            (plain_png(79, 200), "InvalidParameterException", "Request has Invalid Parameters"),
            (plain_png(10_001, 80), "ImageTooLargeException", "Input image dimensions 10001 x 80 exceed maximum dimension size of 10000 pixels"),
        ] {
            for operation in ["IndexFaces", "SearchFacesByImage", "DetectFaces"] {
                let request = json!({"CollectionId": "people", "Image": {"Bytes": base64(&image)}});
                assert_eq!(server.fail(operation, request), (code.to_owned(), text.to_owned()), "{operation}");
            }
        }
        assert_eq!(server.face_count("people"), 0);
    }
}

#[test]
fn vectors_of_other_models_are_refused_and_never_compared() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    let image = photo("obama.jpg");
    let ids = face_ids(&server.index("people", &image, json!({})));
    let data = server.stop();

    // The same weights under another version stand for other weights.
    let other = tempfile::tempdir().unwrap();
    for entry in
        std::fs::read_dir(models_dir()).unwrap().map(Result::unwrap).filter(|e| e.file_name() != "manifest.toml")
    {
        std::os::unix::fs::symlink(entry.path(), other.path().join(entry.file_name())).unwrap();
    }
    let manifest = std::fs::read_to_string(models_dir().join("manifest.toml")).unwrap();
    std::fs::write(other.path().join("manifest.toml"), manifest.replace("\"7.3\"", "\"8.0\"")).unwrap();
    let server = Server::start_on(data, None, &["--models-dir", other.path().to_str().unwrap()]);

    let bytes = json!({"Bytes": base64(&image)});
    for (operation, request) in [
        ("IndexFaces", json!({"CollectionId": "people", "Image": bytes})),
        ("SearchFaces", json!({"CollectionId": "people", "FaceId": ids[0]})),
        ("SearchFacesByImage", json!({"CollectionId": "people", "Image": bytes})),
    ] {
        let (code, text) = server.fail(operation, request);
        assert_eq!(code, "InvalidParameterException", "{operation}");
        assert_eq!(
            text,
            "The collection id: people was made with face model 7.3, which this server does not have: index the photos into a new collection"
        );
    }
    // Listing and deleting compare nothing.
    let listed = server.ok("ListFaces", json!({"CollectionId": "people"}));
    assert_eq!(
        (strings(&listed["Faces"], "FaceId"), &listed["FaceModelVersion"]),
        (vec![ids[0].as_str()], &json!("7.3"))
    );
    assert_eq!(server.ok("DeleteFaces", json!({"CollectionId": "people", "FaceIds": ids}))["DeletedFaces"], json!(ids));
}
