//! SearchAllFacesByImage, which is ours.

use image::{RgbImage, imageops};
use serde_json::{Value, json};

use crate::support::{Server, Store, assert_golden, base64, on_both_stores, photo, plain_png, png, with};

const OPERATION: &str = "SearchAllFacesByImage";

/// Photos side by side, each so high: the higher, the larger its face.
fn side_by_side(parts: &[(&str, u32)]) -> Vec<u8> {
    let parts: Vec<RgbImage> = parts
        .iter()
        .map(|(name, height)| {
            let picture = image::load_from_memory(&photo(name)).unwrap().into_rgb8();
            let width = picture.width() * height / picture.height();
            imageops::resize(&picture, width, *height, imageops::FilterType::Triangle)
        })
        .collect();
    let (width, height) = (parts.iter().map(RgbImage::width).sum(), parts.iter().map(RgbImage::height).max().unwrap());
    let (mut whole, mut left) = (RgbImage::new(width, height), 0);
    for part in parts {
        imageops::replace(&mut whole, &part, left, 0);
        left += i64::from(part.width());
    }
    png(&whole)
}

/// Two people: two photos of the one, who is a user too, and one of the other.
fn presidents(server: &Server) {
    server.collection("presidents");
    for name in ["obama", "obama2", "biden"] {
        server.index("presidents", &photo(&format!("{name}.jpg")), json!({"ExternalImageId": name, "MaxFaces": 1}));
    }
    let faces = server.ok("ListFaces", json!({"CollectionId": "presidents"}));
    let of_barack = |face: &&Value| face["ExternalImageId"].as_str().unwrap().starts_with("obama");
    let ids: Vec<&Value> =
        faces["Faces"].as_array().unwrap().iter().filter(of_barack).map(|face| &face["FaceId"]).collect();
    let user = json!({"CollectionId": "presidents", "UserId": "barack"});
    server.ok("CreateUser", user.clone());
    server.ok("AssociateFaces", with(user, json!({"FaceIds": ids})));
}

fn request(image: &[u8], more: Value) -> Value {
    with(json!({"CollectionId": "presidents", "Image": {"Bytes": base64(image)}}), more)
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().unwrap()
}

fn names(face: &Value) -> Vec<&str> {
    list(face, "FaceMatches").iter().map(|found| found["Face"]["ExternalImageId"].as_str().unwrap()).collect()
}

on_both_stores! {
    each_face_has_its_own_matches(server) {
        presidents(server);
        let image = side_by_side(&[("biden.jpg", 400), ("obama3.jpg", 700)]);
        let found = server.ok(OPERATION, request(&image, json!({})));
        assert_golden("search_all_faces_by_image", &found);
        let [barack, joe] = list(&found, "Faces") else { panic!("{found}") };
        assert_eq!((names(barack).len(), names(joe)), (2, vec!["biden"]));
        assert_eq!(barack["UserMatches"][0]["User"], json!({"UserId": "barack", "UserStatus": "ACTIVE"}));
        assert_eq!((list(barack, "UserMatches").len(), list(joe, "UserMatches").len()), (1, 0));

        // The largest is the one that the service's own searches take, and their answers are these.
        let largest = server.ok("SearchFacesByImage", request(&image, json!({})));
        assert_eq!(largest["SearchedFaceBoundingBox"], barack["FaceDetail"]["BoundingBox"]);
        assert_eq!(largest["FaceMatches"], barack["FaceMatches"]);
        assert_eq!(largest["FaceModelVersion"], found["FaceModelVersion"]);
        let largest = server.ok("SearchUsersByImage", request(&image, json!({})));
        assert_eq!(largest["SearchedFace"]["FaceDetail"], barack["FaceDetail"]);
        assert_eq!(largest["UserMatches"], barack["UserMatches"]);
        let detected = server.ok("DetectFaces", json!({"Image": {"Bytes": base64(&image)}}));
        let details: Vec<&Value> = list(&found, "Faces").iter().map(|face| &face["FaceDetail"]).collect();
        assert_eq!(details, list(&detected, "FaceDetails").iter().collect::<Vec<_>>());
        assert_eq!(server.face_count("presidents"), 3);
    }

    numbers_and_thresholds_are_kept_for_each(server) {
        presidents(server);
        let image = side_by_side(&[("biden.jpg", 400), ("obama3.jpg", 700)]);
        let everybody = json!({"FaceMatchThreshold": 0, "UserMatchThreshold": 0});
        let found = server.ok(OPERATION, request(&image, everybody.clone()));
        for face in list(&found, "Faces") {
            assert_eq!((names(face).len(), list(face, "UserMatches").len()), (3, 1));
            let alike: Vec<f64> = list(face, "FaceMatches").iter().map(|one| one["Similarity"].as_f64().unwrap()).collect();
            assert!(alike.is_sorted_by(|a, b| a >= b), "{alike:?}");
        }
        let few = server.ok(OPERATION, request(&image, with(everybody, json!({"MaxFaces": 1, "MaxUsers": 1}))));
        for (one, all) in list(&few, "Faces").iter().zip(list(&found, "Faces")) {
            assert_eq!(list(one, "FaceMatches"), &list(all, "FaceMatches")[..1]);
        }
        let strict = server.ok(OPERATION, request(&image, json!({"FaceMatchThreshold": 100, "UserMatchThreshold": 100})));
        assert!(list(&strict, "Faces").iter().all(|face| names(face).is_empty() && list(face, "UserMatches").is_empty()));
    }

    what_is_refused_is_refused_as_in_a_search_by_the_largest_face(server) {
        presidents(server);
        let elsewhere = json!({"CollectionId": "nowhere"});
        for (image, more) in [
            (plain_png(100, 100), json!({})),
            (plain_png(79, 100), json!({})),
            (b"no image".to_vec(), json!({})),
            (photo("obama.jpg"), elsewhere),
            (photo("obama.jpg"), json!({"MaxFaces": 4097, "FaceMatchThreshold": -1})),
            (Vec::new(), json!({"Image": {}})),
            (Vec::new(), json!({"Image": {"S3Object": {"Bucket": "bucket", "Name": "photo.jpg"}}})),
        ] {
            let request = request(&image, more);
            assert_eq!(server.fail(OPERATION, request.clone()), server.fail("SearchFacesByImage", request));
        }
    }

    a_face_that_does_not_pass_is_told_with_its_reasons(server) {
        presidents(server);
        let image = side_by_side(&[("biden.jpg", 90), ("obama3.jpg", 700)]);
        let found = server.ok(OPERATION, request(&image, json!({"QualityFilter": "HIGH"})));
        let ([barack], [joe]) = (list(&found, "Faces"), list(&found, "UnsearchedFaces")) else { panic!("{found}") };
        assert_eq!(names(barack).len(), 2);
        assert!(!list(joe, "Reasons").is_empty() && joe["FaceDetails"]["BoundingBox"].is_object(), "{joe}");
        // Nobody passes: that is an answer, and no error.
        let small = side_by_side(&[("biden.jpg", 220)]);
        let found = server.ok(OPERATION, request(&small, json!({"QualityFilter": "HIGH"})));
        assert_eq!((list(&found, "Faces").len(), list(&found, "UnsearchedFaces").len()), (0, 1));
    }
}

#[test]
fn a_crowd_is_searched_in_one_call() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    presidents(&server);
    let row = [("obama.jpg", 200), ("biden.jpg", 200)].repeat(6);
    let found = server.ok(OPERATION, request(&side_by_side(&row), json!({})));
    let of = |name: &str| list(&found, "Faces").iter().filter(|face| names(face).contains(&name)).count();
    assert_eq!((list(&found, "Faces").len(), of("obama"), of("biden")), (12, 6, 6));
}

#[test]
fn switched_off_it_is_an_operation_that_nobody_knows() {
    let server = Server::start(Store::Sqlite, &["--extensions", "off"]).unwrap();
    presidents(&server);
    let body = request(&photo("obama.jpg"), json!({})).to_string();
    let (off, unknown) = (server.post(OPERATION, &body), server.post("SearchNoFacesByImage", &body));
    assert_eq!((off.status, off.text), (unknown.status, unknown.text));
    let metrics = server.get("/metrics").text;
    let counted = "rekollect_requests_total{operation=\"unknown\",code=\"UnknownOperationException\"} 2";
    assert!(metrics.contains(counted) && !metrics.contains(OPERATION), "{metrics}");
    assert_eq!(server.post("SearchFacesByImage", &body).status, 200);
}

#[test]
fn it_has_its_rate_its_faults_and_its_metrics() {
    let server = Server::start(Store::Sqlite, &["--rates", &format!("{OPERATION}=2"), "--enable-faults"]).unwrap();
    presidents(&server);
    let body = request(&photo("obama.jpg"), json!({})).to_string();
    let rule = json!({"operation": OPERATION, "error": "InternalServerError", "calls": 1}).to_string();
    let uri = format!("{}/_faults", server.url);
    let rule = ureq::http::Request::post(uri).body(rule.into_bytes()).unwrap();
    assert_eq!(server.send(rule).status, 200);
    let codes: Vec<Value> = (0..3).map(|_| server.post(OPERATION, &body).json()["__type"].clone()).collect();
    assert_eq!(codes, [json!("InternalServerError"), Value::Null, json!("ProvisionedThroughputExceededException")]);
    let counted = format!("rekollect_requests_total{{operation=\"{OPERATION}\",code=\"OK\"}} 1");
    assert!(server.get("/metrics").text.contains(&counted));
}
