//! More work than there is room for.

use std::thread;

use serde_json::json;

use crate::support::{Server, Store, base64, photo};

#[test]
fn a_full_queue_throttles_at_once_and_the_rest_is_served() {
    let server = Server::start(Store::Sqlite, &["--queue", "1"]).unwrap();
    let request = json!({"Image": {"Bytes": base64(&photo("sample1.jpg"))}}).to_string();
    let replies: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> = (0..24).map(|_| scope.spawn(|| server.post("DetectFaces", &request))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let (served, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!served.is_empty() && !refused.is_empty(), "{} served, {} refused", served.len(), refused.len());
    for reply in refused {
        let body = reply.json();
        assert_eq!(
            (reply.status, &body["__type"], &body["Message"]),
            (500, &json!("ThrottlingException"), &json!("Service Unavailable"))
        );
    }
    assert_eq!(server.post("DetectFaces", &request).status, 200);
}
