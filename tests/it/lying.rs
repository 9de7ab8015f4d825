//! Faces that lie turned in a photo that stands upright: found, read and known again at any angle.

use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::support::{Server, Store, base64, photo, png};

const FRAME: (u32, u32) = (1280, 720);
/// How far around the middle of a face its photo is shown, in heights of the face.
const REACH: f32 = 1.2;

/// A face of a photo: the photo, the middle of its box and its height, in pixels.
struct Portrait {
    image: RgbImage,
    middle: [f32; 2],
    height: f32,
}

impl Portrait {
    fn of(server: &Server, name: &str) -> Self {
        let image = image::load_from_memory(&photo(name)).unwrap().into_rgb8();
        let reply = server.ok("DetectFaces", json!({"Image": {"Bytes": base64(&photo(name))}}));
        let of_box = |member: &str| reply["FaceDetails"][0]["BoundingBox"][member].as_f64().unwrap() as f32;
        let (width, height) = (image.width() as f32, image.height() as f32);
        let middle =
            [(of_box("Left") + of_box("Width") / 2.0) * width, (of_box("Top") + of_box("Height") / 2.0) * height];
        Self { middle, height: of_box("Height") * height, image }
    }

    /// Puts the face into the frame, so high and turned clockwise by so many degrees.
    fn put(&self, frame: &mut RgbImage, [x, y]: [f32; 2], height: f32, degrees: f32) {
        let scale = self.height / height;
        let (sin, cos) = degrees.to_radians().sin_cos();
        // Means of so many samples a side of each pixel: a photo made small keeps no grain that would confuse.
        let samples = scale.ceil().max(1.0) as u32;
        for (column, row, pixel) in frame.enumerate_pixels_mut() {
            let (dx, dy) = (column as f32 - x, row as f32 - y);
            if dx.hypot(dy) > REACH * height {
                continue;
            }
            let mut sum = [0.0; 3];
            for sample in 0..samples * samples {
                let part = |n: u32| (n as f32 + 0.5) / samples as f32 - 0.5;
                let (dx, dy) = (dx + part(sample % samples), dy + part(sample / samples));
                let (u, v) = (scale * (cos * dx + sin * dy), scale * (cos * dy - sin * dx));
                let within = |at: f32, length: u32| at.round().clamp(0.0, length as f32 - 1.0) as u32;
                let seen = self.image.get_pixel(
                    within(self.middle[0] + u, self.image.width()),
                    within(self.middle[1] + v, self.image.height()),
                );
                (0..3).for_each(|channel| sum[channel] += f32::from(seen[channel]));
            }
            *pixel = Rgb(sum.map(|sum| (sum / (samples * samples) as f32) as u8));
        }
    }
}

/// The middle of a reply's box, in pixels of the frame.
fn middle(bounding_box: &Value) -> [f32; 2] {
    let of = |member: &str| bounding_box[member].as_f64().unwrap() as f32;
    [(of("Left") + of("Width") / 2.0) * FRAME.0 as f32, (of("Top") + of("Height") / 2.0) * FRAME.1 as f32]
}

fn lies_at(bounding_box: &Value, [x, y]: [f32; 2], height: f32) -> bool {
    let [u, v] = middle(bounding_box);
    (u - x).hypot(v - y) < 0.35 * height
}

/// A face of this height lies at twelve angles beside one that stands. The photo is taken as it is: where the lying face is the
/// largest and surest, an estimate would turn the whole of it.
fn at_every_angle(height: f32) {
    let server = Server::start(Store::Sqlite, &["--orientation", "null"]).unwrap();
    server.collection("people");
    let (lying, standing) = (Portrait::of(&server, "obama.jpg"), Portrait::of(&server, "biden.jpg"));
    let known = server.index("people", &photo("obama.jpg"), json!({}));
    let known = &known["FaceRecords"][0]["Face"]["FaceId"];
    let (place, beside) = ([400.0, 370.0], [960.0, 330.0]);
    let mut scene = RgbImage::from_fn(FRAME.0, FRAME.1, |x, y| Rgb([(x / 10) as u8, 90, (y / 6) as u8]));
    standing.put(&mut scene, beside, 160.0, 0.0);
    for degrees in (0..360).step_by(30) {
        let mut frame = scene.clone();
        lying.put(&mut frame, place, height, degrees as f32);
        let reply = server.index("people", &png(&frame), json!({"QualityFilter": "NONE"}));
        let records = reply["FaceRecords"].as_array().unwrap();
        assert_eq!(records.len(), 2, "{degrees}: {reply}");
        let find = |at, height| {
            let mut here = records.iter().filter(|record| lies_at(&record["Face"]["BoundingBox"], at, height));
            here.next().unwrap_or_else(|| panic!("{degrees}: nothing at {at:?}: {reply}"))
        };
        find(beside, 160.0);
        let found = find(place, height);

        let roll = found["FaceDetail"]["Pose"]["Roll"].as_f64().unwrap();
        let off = (roll - f64::from(degrees)).rem_euclid(360.0);
        assert!((-180.0..=180.0).contains(&roll) && off.min(360.0 - off) < 20.0, "{degrees}: a roll of {roll}");
        // The eye that is on the left when the face is upright; the frame is turned clockwise.
        let landmark = |kind: &str| {
            let landmarks = found["FaceDetail"]["Landmarks"].as_array().unwrap();
            let of = landmarks.iter().find(|landmark| landmark["Type"] == kind).unwrap();
            [of["X"].as_f64().unwrap() as f32 * FRAME.0 as f32, of["Y"].as_f64().unwrap() as f32 * FRAME.1 as f32]
        };
        let (left, right) = (landmark("eyeLeft"), landmark("eyeRight"));
        let (sin, cos) = (degrees as f32).to_radians().sin_cos();
        let along = (right[0] - left[0]) * cos + (right[1] - left[1]) * sin;
        assert!(along > 0.25 * height, "{degrees}: {left:?} {right:?}");

        let id = &found["Face"]["FaceId"];
        let matches = server.ok(
            "SearchFaces",
            json!({"CollectionId": "people", "FaceId": id, "FaceMatchThreshold": 80, "MaxFaces": 100}),
        );
        let matches = matches["FaceMatches"].as_array().unwrap();
        assert!(matches.iter().any(|each| &each["Face"]["FaceId"] == known), "{degrees}: {matches:?}");
    }
}

#[test]
fn a_small_face_is_known_again_at_any_angle() {
    at_every_angle(60.0);
}

#[test]
fn a_large_face_is_known_again_at_any_angle() {
    at_every_angle(260.0);
}
