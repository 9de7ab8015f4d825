//! SearchFaces, SearchFacesByImage and DetectFaces.

use serde_json::{Value, json};

use crate::support::{
    Server, Store, assert_golden, base64, block_on, new_database, on_both_stores, photo, plain_png, strings, with,
};

/// A collection with two photos of one person and one of another.
fn presidents(server: &Server) -> Vec<String> {
    server.collection("presidents");
    ["obama", "obama2", "biden"]
        .iter()
        .map(|name| {
            let reply = server.index(
                "presidents",
                &photo(&format!("{name}.jpg")),
                json!({"ExternalImageId": name, "MaxFaces": 1}),
            );
            reply["FaceRecords"][0]["Face"]["FaceId"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn by_image(server: &Server, image: &[u8], more: Value) -> Value {
    server
        .ok("SearchFacesByImage", with(json!({"CollectionId": "presidents", "Image": {"Bytes": base64(image)}}), more))
}

fn names(reply: &Value) -> Vec<&str> {
    reply["FaceMatches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["Face"]["ExternalImageId"].as_str().unwrap())
        .collect()
}

on_both_stores! {
    a_person_is_found_by_another_photo(server) {
        let ids = presidents(server);
        let found = server.ok("SearchFaces", json!({"CollectionId": "presidents", "FaceId": ids[0]}));
        assert_golden("search_faces", &found);
        assert_eq!(names(&found), ["obama2"]);
        let found = by_image(server, &photo("obama.jpg"), json!({}));
        assert_golden("search_faces_by_image", &found);
        assert_eq!(names(&found), ["obama", "obama2"]);
        assert_eq!(found["FaceMatches"][0]["Similarity"], json!(100.0));
        assert!(found["FaceMatches"][1]["Similarity"].as_f64().unwrap() >= 80.0);
    }

    thresholds_and_numbers_of_matches_are_kept(server) {
        let ids = presidents(server);
        let everyone = by_image(server, &photo("obama.jpg"), json!({"FaceMatchThreshold": 0}));
        assert_eq!(names(&everyone), ["obama", "obama2", "biden"]);
        let similarities: Vec<f64> = everyone["FaceMatches"].as_array().unwrap().iter().map(|m| m["Similarity"].as_f64().unwrap()).collect();
        assert!(similarities.is_sorted_by(|a, b| a >= b) && similarities[2] < 50.0, "{similarities:?}");
        assert_eq!(names(&by_image(server, &photo("obama.jpg"), json!({"FaceMatchThreshold": 0, "MaxFaces": 2}))), ["obama", "obama2"]);
        assert_eq!(names(&by_image(server, &photo("obama.jpg"), json!({"FaceMatchThreshold": 100}))), ["obama"]);
        // The threshold itself is still a match.
        let request = json!({"CollectionId": "presidents", "FaceId": ids[0], "FaceMatchThreshold": similarities[1]});
        assert_eq!(names(&server.ok("SearchFaces", request)), ["obama2"]);
    }

    a_search_needs_a_face(server) {
        presidents(server);
        let no_face = json!({"CollectionId": "presidents", "Image": {"Bytes": base64(&plain_png(100, 100))}});
        let refusal = ("InvalidParameterException".to_owned(), "There are no faces in the image. Should be at least 1.".to_owned());
        assert_eq!(server.fail("SearchFacesByImage", no_face), refusal);
        let unknown = json!({"CollectionId": "presidents", "FaceId": "00000000-0000-4000-8000-000000000000"});
        let refusal = ("InvalidParameterException".to_owned(), "faceId was not found in the collection.".to_owned());
        assert_eq!(server.fail("SearchFaces", unknown), refusal);
    }

    a_deleted_collection_takes_its_faces_along(server) {
        let ids = presidents(server);
        by_image(server, &photo("obama.jpg"), json!({}));
        server.ok("DeleteCollection", json!({"CollectionId": "presidents"}));
        server.collection("presidents");
        assert_eq!(names(&by_image(server, &photo("obama.jpg"), json!({}))), Vec::<&str>::new());
        let listed = server.ok("ListFaces", json!({"CollectionId": "presidents", "FaceIds": ids}));
        assert!(strings(&listed["Faces"], "FaceId").is_empty());
    }

    detection_needs_no_collection_and_stores_nothing(server) {
        let image = json!({"Bytes": base64(&photo("obama.jpg"))});
        let found = server.ok("DetectFaces", json!({"Image": image}));
        assert_golden("detect_faces", &found);
        server.collection("people");
        let indexed = server.ok("IndexFaces", json!({"CollectionId": "people", "Image": image}));
        assert_eq!(found["FaceDetails"][0], indexed["FaceRecords"][0]["FaceDetail"]);
        let none = server.ok("DetectFaces", json!({"Image": {"Bytes": base64(&plain_png(100, 100))}}));
        assert_eq!(none, json!({"FaceDetails": [], "OrientationCorrection": "ROTATE_0"}));
    }
}

/// There may be as many as faces ever were. One that cannot be read shows whether they are.
#[test]
fn the_first_load_of_a_gallery_reads_no_deletions() {
    use sqlx::{AnyConnection, Connection};
    for store in [Store::Sqlite, Store::Postgres] {
        let database = match store {
            Store::Sqlite => None,
            Store::Postgres => match new_database() {
                None => continue,
                url => url,
            },
        };
        let server = Server::start_on(tempfile::tempdir().unwrap(), database.as_deref(), &[]);
        let ids = presidents(&server);
        let data = server.stop();
        block_on(async {
            sqlx::any::install_default_drivers();
            let file = format!("sqlite://{}", data.path().join("rekollect.db").display());
            let mut connection = AnyConnection::connect(database.as_deref().unwrap_or(&file)).await.unwrap();
            let deletion =
                "INSERT INTO deleted_faces (collection_id, face_id, revision) SELECT id, $1, 1 FROM collections";
            let made = sqlx::query(deletion).bind(vec![0u8]).execute(&mut connection).await.unwrap();
            assert_eq!(made.rows_affected(), 1);
            connection.close().await.unwrap();
        });
        let server = Server::start_on(data, database.as_deref(), &[]);
        assert_eq!(names(&by_image(&server, &photo("obama.jpg"), json!({}))), ["obama", "obama2"]);
        // Those that come after it are.
        server.ok("DeleteFaces", json!({"CollectionId": "presidents", "FaceIds": [ids[1]]}));
        assert_eq!(names(&by_image(&server, &photo("obama.jpg"), json!({}))), ["obama"]);
    }
}
