//! What looks like a face to the detector and is none: it is not stored, and nobody is searched by it.

use image::{Rgb, RgbImage, imageops};
use serde_json::{Value, json};

use crate::support::{Server, Store, base64, photo, png, with};

const BLUE: Rgb<u8> = Rgb([90, 110, 130]);

/// Draws a bowling ball into the picture: an orange disc with two holes and a slit. The detector is 99 % sure of it.
fn with_ball(picture: &mut RgbImage, [x, y]: [f32; 2], radius: f32) {
    let within = |dx: f32, dy: f32, reach: f32| dx.hypot(dy) < reach * radius;
    for (column, row, pixel) in picture.enumerate_pixels_mut() {
        let (dx, dy) = (column as f32 - x, row as f32 - y);
        let is_hole = within(dx + 0.36 * radius, dy + 0.23 * radius, 0.14)
            || within(dx - 0.36 * radius, dy + 0.23 * radius, 0.14)
            || (dx.abs() < 0.45 * radius && (dy - 0.43 * radius).abs() < 0.07 * radius);
        if is_hole {
            *pixel = Rgb([30, 20, 10]);
        } else if within(dx, dy, 1.0) {
            *pixel = Rgb([240, 140, 40]);
        }
    }
    *picture = imageops::blur(picture, radius / 27.0);
}

fn ball() -> Vec<u8> {
    let mut picture = RgbImage::from_pixel(640, 480, BLUE);
    with_ball(&mut picture, [320.0, 230.0], 110.0);
    png(&picture)
}

fn reasons(reply: &Value, list: &str) -> Vec<Value> {
    reply[list].as_array().unwrap().iter().map(|face| face["Reasons"].clone()).collect()
}

#[test]
fn what_is_no_face_is_stored_only_without_a_filter_and_then_with_little_confidence() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    for filter in ["LOW", "AUTO"] {
        let reply = server.index("people", &ball(), json!({"QualityFilter": filter}));
        assert_eq!(reply["FaceRecords"], json!([]), "{filter}");
        assert_eq!(reasons(&reply, "UnindexedFaces"), [json!(["LOW_FACE_QUALITY"])], "{filter}");
    }
    let reply = server.index("people", &ball(), json!({"QualityFilter": "NONE"}));
    let record = &reply["FaceRecords"][0];
    assert_eq!(record["Face"]["Confidence"], record["FaceDetail"]["Confidence"]);
    assert!(record["Face"]["Confidence"].as_f64().unwrap() <= 50.0, "{reply}");
}

#[test]
fn nobody_is_searched_by_what_is_no_face() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    let (ball, face) = (base64(&ball()), base64(&photo("obama.jpg")));
    let by_image = json!({"CollectionId": "people", "Image": {"Bytes": ball}, "QualityFilter": "AUTO"});
    let refusal = ("InvalidParameterException".into(), "There are no faces in the image. Should be at least 1.".into());
    assert_eq!(server.fail("SearchFacesByImage", by_image.clone()), refusal);
    let reply = server.ok("SearchUsersByImage", by_image.clone());
    assert_eq!(reasons(&reply, "UnsearchedFaces"), [json!(["LOW_FACE_QUALITY"])]);
    assert_eq!(reply.get("SearchedFace"), None);
    server.ok("SearchFacesByImage", with(by_image, json!({"QualityFilter": "NONE"})));

    for (source, target) in [(&ball, &face), (&face, &ball)] {
        let compared = json!({"SourceImage": {"Bytes": source}, "TargetImage": {"Bytes": target}});
        let (code, _) = server.fail("CompareFaces", with(compared.clone(), json!({"QualityFilter": "AUTO"})));
        assert_eq!(code, "InvalidParameterException");
        server.ok("CompareFaces", compared);
    }
}

#[test]
fn what_is_no_face_leaves_its_room_to_a_smaller_face() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    let portrait = image::load_from_memory(&photo("obama.jpg")).unwrap().into_rgb8();
    let height = 300 * portrait.height() / portrait.width();
    let mut picture = RgbImage::from_pixel(1100, 600, BLUE);
    with_ball(&mut picture, [800.0, 300.0], 110.0);
    imageops::replace(&mut picture, &imageops::thumbnail(&portrait, 300, height), 0, 0);
    let reply = server.index("people", &png(&picture), json!({"MaxFaces": 1}));
    assert_eq!(reasons(&reply, "UnindexedFaces"), [json!(["LOW_FACE_QUALITY"])]);
    let boxes: Vec<f64> = reply["FaceRecords"]
        .as_array()
        .unwrap()
        .iter()
        .map(|face| face["Face"]["BoundingBox"]["Left"].as_f64().unwrap())
        .collect();
    assert!(boxes.len() == 1 && boxes[0] < 0.4, "{reply}");
}
