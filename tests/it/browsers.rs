//! Scripts of web pages: off by default, on for the pages of a list.

use crate::support::{Reply, Server, Store};

const PAGE: &str = "https://photos.example";

/// What a browser asks before its page may call, as the JavaScript SDK makes it.
fn preflight(server: &Server, origin: &str) -> Reply {
    server.send(
        ureq::http::Request::options(&server.url)
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "amz-sdk-request,authorization,content-type,x-amz-date,x-amz-target",
            )
            .body(Vec::new())
            .unwrap(),
    )
}

fn call(server: &Server, origin: &str) -> Reply {
    server.send(
        ureq::http::Request::post(&server.url)
            .header("Origin", origin)
            .header("X-Amz-Target", "RekognitionService.ListCollections")
            .body(b"{}".to_vec())
            .unwrap(),
    )
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap())
}

#[test]
fn no_page_may_call_unless_it_is_on_the_list() {
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    assert_eq!((preflight(&server, PAGE).status, allowed(&call(&server, PAGE))), (403, None));
}

#[test]
fn a_page_of_the_list_may_call_with_every_header_of_an_sdk() {
    let server =
        Server::start(Store::Sqlite, &["--cors-origins", "https://photos.example,http://localhost:5173"]).unwrap();
    let reply = preflight(&server, PAGE);
    assert_eq!((reply.status, allowed(&reply)), (200, Some(PAGE)));
    assert!(reply.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert_eq!(reply.headers["access-control-allow-methods"], "POST");
    let reply = call(&server, PAGE);
    assert_eq!((reply.status, allowed(&reply)), (200, Some(PAGE)));
    assert!(reply.headers.contains_key("access-control-expose-headers"));
    for other in ["https://photos.example.evil", "https://evil.example", "null"] {
        assert_eq!(allowed(&preflight(&server, other)), None, "{other}");
    }
}

#[test]
fn a_star_is_every_page() {
    let server = Server::start(Store::Sqlite, &["--cors-origins", "*"]).unwrap();
    assert_eq!(allowed(&preflight(&server, "https://anything.example")), Some("*"));
}

#[test]
fn a_page_of_another_machine_may_call_nothing_though_its_name_is_an_address() {
    let server = Server::start(Store::Sqlite, &["--enable-faults"]).unwrap();
    let faults = format!("{}/_faults", server.url);
    let rule = br#"{"operation": "*", "error": "ThrottlingException"}"#;
    // As a page sends it without asking first: a form's content type, and nothing but its Origin.
    let add = |origin: &str| {
        let request = ureq::http::Request::post(&faults).header("Origin", origin).header("Content-Type", "text/plain");
        server.send(request.body(rule.to_vec()).unwrap()).status
    };
    for origin in ["http://203.0.113.5", "https://203.0.113.5:7350", "http://192.168.0.7:8080", "http://[2001:db8::5]"]
    {
        assert_eq!((call(&server, origin).status, add(origin)), (403, 403), "{origin}");
    }
    assert_eq!(server.get("/_faults").json(), serde_json::json!({"rules": []}));
    // Pages of this machine, whatever serves them.
    for origin in [&server.url, "http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:8080"] {
        assert_eq!(call(&server, origin).status, 200, "{origin}");
    }
    assert_eq!(add(&server.url), 200);
}

#[test]
fn a_server_s_own_page_may_call_it_by_whatever_address_it_was_opened() {
    let open = Server::start(Store::Sqlite, &["--auth", "open"]).unwrap();
    let call = |host: &str, origin: &str| {
        let request = ureq::http::Request::post(&open.url)
            .header("Host", host)
            .header("Origin", origin)
            .header("X-Amz-Target", "RekognitionService.ListCollections");
        open.send(request.body(b"{}".to_vec()).unwrap()).status
    };
    assert_eq!(call("192.168.0.7:7350", "http://192.168.0.7:7350"), 200);
    assert_eq!(call("[fd00::7]:7350", "http://[fd00::7]:7350"), 200);
    assert_eq!(call("192.168.0.7:7350", "http://192.168.0.8:7350"), 403);
    // A name proves nothing, even the same one: its owner can make it mean this address.
    assert_eq!(call("rebound.example:7350", "http://rebound.example:7350"), 403);
}

#[test]
fn a_site_whose_name_was_made_to_mean_this_machine_is_refused() {
    let list = |server: &Server, host: &str| {
        let request = ureq::http::Request::post(&server.url)
            .header("Host", host)
            .header("X-Amz-Target", "RekognitionService.ListCollections");
        server.send(request.body(b"{}".to_vec()).unwrap())
    };
    let port_of = |server: &Server| server.url.rsplit(':').next().unwrap().to_owned();
    let server = Server::start(Store::Sqlite, &[]).unwrap();
    assert_eq!(list(&server, "localhost:7350").status, 200);
    let refused = list(&server, "rebound.example:7350");
    assert_eq!(refused.status, 403);
    assert!(!refused.text.contains("CollectionIds"), "{}", refused.text);
    // Whoever opens a server in so many words has names of their own for it.
    let open = Server::start(Store::Sqlite, &["--auth", "open"]).unwrap();
    assert_eq!(list(&open, "rekollect:7350").status, 200);
    // A page is known by its origin all the same: the container's port is published to whoever browses on that machine.
    for (origin, status) in [
        ("http://rebound.example:7350".to_owned(), 403),
        ("null".to_owned(), 403),
        (format!("http://127.0.0.1:{}", port_of(&open)), 200),
        ("http://localhost:7350".to_owned(), 200),
    ] {
        assert_eq!(call(&open, &origin).status, status, "{origin}");
    }
}
