//! Images that lie on their side or their head, and say nothing of it.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};

use crate::support::{Server, Store, base64, photo};

/// The image turned so that it needs this correction, as a file of this format.
fn turned(name: &str, correction: &str, format: ImageFormat) -> Vec<u8> {
    let upright = image::load_from_memory(&photo(name)).unwrap();
    let turned = match correction {
        "ROTATE_90" => upright.rotate270(),
        "ROTATE_180" => upright.rotate180(),
        "ROTATE_270" => upright.rotate90(),
        _ => upright,
    };
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(turned.into_rgb8()).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn number(face: &Value, member: &str) -> f64 {
    face["BoundingBox"][member].as_f64().unwrap()
}

const EACH: [&str; 4] = ["ROTATE_0", "ROTATE_90", "ROTATE_180", "ROTATE_270"];

#[test]
fn a_turned_person_is_found_and_the_turn_is_told() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    server.collection("people");
    let upright = server.index("people", &turned("obama.jpg", "ROTATE_0", ImageFormat::Png), json!({}));
    assert_eq!(upright["OrientationCorrection"], "ROTATE_0");
    let id = &upright["FaceRecords"][0]["Face"]["FaceId"];
    let original = server
        .ok("DetectFaces", json!({"Image": {"Bytes": base64(&turned("obama.jpg", "ROTATE_0", ImageFormat::Png))}}));
    let original = &original["FaceDetails"][0];
    for correction in EACH {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let image = json!({"Bytes": base64(&turned("obama.jpg", correction, format))});
            let reply = server.ok("DetectFaces", json!({"Image": image}));
            assert_eq!(reply["OrientationCorrection"], correction, "{format:?}");
            let face = &reply["FaceDetails"][0];
            // The box is in the image as it was sent: its centre turned by the correction is that of the upright one.
            let (x, y) = (
                number(face, "Left") + number(face, "Width") / 2.0,
                number(face, "Top") + number(face, "Height") / 2.0,
            );
            let (x, y) = match correction {
                "ROTATE_90" => (1.0 - y, x),
                "ROTATE_180" => (1.0 - x, 1.0 - y),
                "ROTATE_270" => (y, 1.0 - x),
                _ => (x, y),
            };
            let (u, v) = (
                number(original, "Left") + number(original, "Width") / 2.0,
                number(original, "Top") + number(original, "Height") / 2.0,
            );
            assert!((x - u).abs() < 0.01 && (y - v).abs() < 0.01, "{correction}: {x} {y} is not {u} {v}");
            let found = server.ok("SearchFacesByImage", json!({"CollectionId": "people", "Image": image}));
            assert_eq!(&found["FaceMatches"][0]["Face"]["FaceId"], id);
            assert!(
                found["FaceMatches"][0]["Similarity"].as_f64().unwrap() >= 95.0,
                "{correction} {format:?}: {found}"
            );
            let compared = server.ok("CompareFaces", json!({"SourceImage": image, "TargetImage": image}));
            assert_eq!(compared["SourceImageOrientationCorrection"], correction);
            assert_eq!(compared["TargetImageOrientationCorrection"], correction);
        }
    }
}

#[test]
fn an_image_without_a_face_is_upright() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    let reply = server.ok("DetectFaces", json!({"Image": {"Bytes": base64(&crate::support::plain_png(200, 100))}}));
    assert_eq!(reply, json!({"FaceDetails": [], "OrientationCorrection": "ROTATE_0"}));
}

#[test]
fn null_never_turns_an_image() {
    let server = Server::start(Store::Sqlite, &["--orientation", "null"]).unwrap();
    let image = json!({"Bytes": base64(&turned("obama.jpg", "ROTATE_180", ImageFormat::Png))});
    let reply = server.ok("DetectFaces", json!({"Image": image}));
    assert!(reply.get("OrientationCorrection").is_none(), "{reply}");
}
