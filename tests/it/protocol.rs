//! What the protocol refuses, whatever the operation.

use serde_json::{Value, json};

use crate::support::{Server, Store, assert_golden, base64};

fn server() -> Server {
    Server::start(Store::Sqlite, &[]).unwrap()
}

#[test]
fn replies_carry_the_protocols_headers() {
    let server = server();
    let first = server.post("ListCollections", "{}");
    let second = server.post("DescribeCollection", r#"{"CollectionId":"nowhere"}"#);
    for reply in [&first, &second] {
        assert_eq!(reply.headers["content-type"], "application/x-amz-json-1.1");
        assert!(uuid::Uuid::try_parse(reply.headers["x-amzn-requestid"].to_str().unwrap()).is_ok());
        assert!(reply.headers.contains_key("date") && reply.headers.contains_key("content-length"));
        assert!(!reply.headers.contains_key("x-amzn-errortype"));
    }
    assert_ne!(first.headers["x-amzn-requestid"], second.headers["x-amzn-requestid"]);
    assert_eq!(second.status, 400);
}

#[test]
fn a_service_error_has_the_services_envelope() {
    let mut body = server().post("DescribeCollection", r#"{"CollectionId":"nowhere"}"#).json();
    assert!(uuid::Uuid::try_parse(body["Logref"].as_str().unwrap()).is_ok());
    body["Logref"] = json!("<uuid>");
    assert_golden("error_service", &body);
}

#[test]
fn constraints_have_the_frameworks_envelope() {
    let server = server();
    let body = json!({"ExternalImageId": "a/b", "MaxFaces": 0, "Image": {"Bytes": base64(&vec![0; 5_242_881])}});
    let reply = server.post("IndexFaces", body.to_string());
    assert_eq!(reply.status, 400);
    assert_golden("error_constraints", &reply.json());
}

#[test]
fn what_is_not_json_of_the_right_types_is_a_serialization_error() {
    let server = server();
    for body in ["", "{", "nonsense", r#"{"CollectionId":"a"} trailing"#] {
        let reply = server.post("DescribeCollection", body);
        assert_eq!((reply.status, reply.json()), (400, json!({"__type": "SerializationException"})), "{body:?}");
    }
    for body in ["[]", "null", r#"{"CollectionId":7}"#, r#"{"CollectionId":["a"]}"#] {
        let reply = server.post("DescribeCollection", body);
        assert_eq!((reply.status, reply.json()["__type"].clone()), (400, json!("SerializationException")), "{body:?}");
    }
    for body in [r#"{"Image":{"Bytes":"not base64"}}"#, r#"{"Image":["aGk=",null]}"#, r#"{"Image":"aGk="}"#] {
        let reply = server.post("DetectFaces", body);
        assert_eq!((reply.status, reply.json()["__type"].clone()), (400, json!("SerializationException")), "{body:?}");
    }
}

#[test]
fn unknown_operations_and_paths_are_told_apart() {
    let server = server();
    let unknown = |operation: &str| (server.post(operation, "{}").status, server.post(operation, "{}").json());
    assert_eq!(unknown("DetectLabelz"), (400, json!({"__type": "UnknownOperationException"})));
    for path in ["/", "/nowhere"] {
        let reply = server.get(path);
        assert_eq!(reply.status, 403);
        assert!(reply.text.contains("Missing Authentication Token"), "{}", reply.text);
    }
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_server_lives_on() {
    let server = Server::start(Store::Sqlite, &["--max-body", "1000"]).unwrap();
    let reply = server.post("ListCollections", " ".repeat(1001));
    assert_eq!((reply.status, reply.json()["__type"].clone()), (413, json!("RequestEntityTooLargeException")));
    assert_eq!(server.post("ListCollections", format!("{}{{}}", " ".repeat(998))).status, 200);
}

#[test]
fn what_a_client_sends_does_not_come_back_without_bound() {
    let server = server();
    let long = "a".repeat(1 << 20);
    for body in [
        json!({"CollectionId": format!("/{long}")}),
        json!({"CollectionId": "c", "MaxResults": long}),
        json!({"CollectionId": "c", "FaceIds": vec!["a"; 100_000]}),
    ] {
        let reply = server.post("ListFaces", body.to_string());
        assert_eq!(reply.status, 400);
        assert!(reply.text.len() < 10_000, "{} bytes", reply.text.len());
    }
}

#[test]
fn clients_that_send_slowly_hold_up_nobody() {
    use std::io::Write;
    let server = Server::start(Store::Sqlite, &["--max-requests", "4", "--header-timeout", "1"]).unwrap();
    let address = server.url.strip_prefix("http://").unwrap();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
    let slow: Vec<_> = (0..20)
        .map(|n| {
            let mut connection = std::net::TcpStream::connect(address).unwrap();
            // Some with half a body, some with half a head.
            connection.write_all(if n % 2 == 0 { head.as_bytes() } else { &head.as_bytes()[..20] }).unwrap();
            connection
        })
        .collect();
    assert_eq!(server.post("ListCollections", "{}").status, 200);
    // Half a head is not waited for longer than the timeout.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let mut rest = Vec::new();
    let mut half = &slow[1];
    half.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    assert!(std::io::Read::read_to_end(&mut half, &mut rest).is_ok(), "the connection is still open");
}

#[test]
fn health_and_readiness_are_plain() {
    let server = server();
    assert_eq!((server.get("/healthz").status, server.get("/readyz").status), (200, 200));
    let version: Value = server.ok("CreateCollection", json!({"CollectionId": "c"}));
    assert!(version["FaceModelVersion"].as_str().unwrap().chars().all(|c| c.is_ascii_digit() || c == '.'));
}

#[test]
fn an_operation_of_the_cloud_that_is_not_here_is_refused_by_its_name() {
    let server = server();
    for (operation, body) in [
        ("DetectLabels", r#"{"Image":{"Bytes":"aGk="}}"#),
        ("StartFaceDetection", "{}"),
        ("CreateFaceLivenessSession", "no JSON"),
    ] {
        let reply = server.post(operation, body);
        let text = format!(
            "This server does not have the operation {operation}: it has those of Amazon Rekognition on faces in images and collections."
        );
        assert_eq!(
            (reply.status, reply.json()),
            (400, json!({"__type": "UnknownOperationException", "Message": text}))
        );
        let counted =
            format!("rekollect_requests_total{{operation=\"{operation}\",code=\"UnknownOperationException\"}} 1");
        assert!(server.get("/metrics").text.lines().any(|line| line == counted), "{counted}");
    }
    // Whoever is nobody does not learn which there are.
    let signed = Server::start(Store::Sqlite, &["--access-key-id", "AKIA", "--secret-access-key", "hush"]).unwrap();
    let code = |operation: &str| signed.post(operation, "{}").json()["__type"].clone();
    assert_eq!(code("DetectLabels"), json!("MissingAuthenticationTokenException"));
    assert_eq!(code("DetectLabels"), code("ListFaces"));
}
