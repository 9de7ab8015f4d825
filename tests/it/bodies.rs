//! Bodies that are odd, or not what they are said to be: each has a defined answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Server, Store};

fn server(args: &[&str]) -> Server {
    Server::start(Store::Sqlite, args).unwrap()
}

/// Sends bytes as they are and returns the status and the body of each reply.
fn raw(server: &Server, bytes: &[u8]) -> Vec<(u16, String)> {
    replies(send(server, bytes))
}

/// Sends bytes as they are and then ends the sending side.
fn raw_cut_off(server: &Server, bytes: &[u8]) -> Vec<(u16, String)> {
    let connection = send(server, bytes);
    connection.shutdown(Shutdown::Write).unwrap();
    replies(connection)
}

fn send(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    connection.write_all(bytes).unwrap();
    connection
}

fn replies(mut connection: TcpStream) -> Vec<(u16, String)> {
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    let reply = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        (head.split(' ').next().unwrap().parse().unwrap(), body.to_owned())
    };
    text.split("HTTP/1.1 ").skip(1).map(reply).collect()
}

fn head(operation: &str, headers: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.{operation}\r\nConnection: close\r\n{headers}\r\n\r\n"
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn packed(body: &[u8], encoding: &str) -> Vec<u8> {
    let headers = format!("Content-Encoding: {encoding}\r\nContent-Length: {}", body.len());
    [head("ListCollections", &headers).as_bytes(), body].concat()
}

#[test]
fn json_that_no_two_readers_agree_on_is_refused() {
    let server = server(&[]);
    let refused = |operation: &str, body: &str| {
        let reply = server.post(operation, body);
        assert_eq!((reply.status, &reply.json()["__type"]), (400, &json!("SerializationException")), "{body}");
    };
    refused("DescribeCollection", r#"{"CollectionId":"a","CollectionId":"b"}"#);
    refused("CreateCollection", r#"{"CollectionId":"a","Tags":{"k":"1","k":"2"}}"#);
    refused("DescribeCollection", r#"{"CollectionId":"\ud800"}"#);
    refused("DescribeCollection", "{\"CollectionId\":\"a\nb\"}");
    refused("ListCollections", r#"{"MaxResults":1e400}"#);
    refused("ListCollections", r#"{"MaxResults":99999999999999999999}"#);
    refused("ListCollections", r#"{"MaxResults":2147483648}"#);
    refused("ListCollections", r#"{"MaxResults":1.5}"#);
    refused("ListCollections", r#"{"MaxResults":NaN}"#);
    refused("ListFaces", r#"{"CollectionId":"a","FaceIds":[null]}"#);
    refused(
        "ListFaces",
        &format!(r#"{{"CollectionId":"a","FaceIds":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
    );
    let reply = server.post("DescribeCollection", b"{\"CollectionId\":\"\xff\"}");
    assert_eq!((reply.status, &reply.json()["__type"]), (400, &json!("SerializationException")));
}

#[test]
fn what_is_odd_and_clear_is_answered() {
    let server = server(&[]);
    // Members that nobody knows are passed over, however deep or often.
    let deep = format!(r#"{{"Unknown":{}{},"Unknown":1,"Unknown":1e999}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(server.post("ListCollections", &deep).status, 200);
    assert_eq!(server.post("ListCollections", r#"{"Unknown":{"a":[1,2]},"Unknown":1}"#).status, 200);
    assert_eq!(server.post("ListCollections", "\u{20}{}\n").status, 200);
    let (code, text) = server.fail("DescribeCollection", json!({"CollectionId": "a\u{0}b"}));
    assert_eq!(code, "ValidationException");
    assert!(text.contains("Member must satisfy regular expression pattern"), "{text}");
    assert_eq!(server.fail("DescribeCollection", json!({"CollectionId": null})).0, "ValidationException");
}

#[test]
fn a_chunked_body_is_a_body() {
    let server = server(&["--max-body", "1000"]);
    let chunked = |chunks: &str| {
        let request = head("ListCollections", "Transfer-Encoding: chunked") + chunks;
        raw(&server, request.as_bytes()).remove(0)
    };
    assert_eq!(chunked("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n").0, 200);
    let (status, body) = chunked("zz\r\n{}\r\n0\r\n\r\n");
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["__type"].clone()),
        (400, json!("SerializationException"))
    );
    assert_eq!(chunked(&format!("3e9\r\n{}\r\n0\r\n\r\n", " ".repeat(1001))).0, 413);
    // Whoever stops in the middle has sent no JSON.
    let cut_off = head("ListCollections", "Transfer-Encoding: chunked") + "1\r\n{\r\n";
    assert_eq!(raw_cut_off(&server, cut_off.as_bytes()).remove(0).0, 400);
}

#[test]
fn a_gzip_body_is_unpacked_within_the_limit() {
    let server = server(&["--max-body", "100000"]);
    let status = |bytes: &[u8]| raw(&server, bytes).remove(0).0;
    assert_eq!(status(&packed(&gzip(b"{}"), "gzip")), 200);
    assert_eq!(status(&packed(&gzip(b"{}"), "GZIP")), 200);
    assert_eq!(status(&packed(b"{}", "identity")), 200);
    assert_eq!(status(&packed(b"{}", "gzip")), 400);
    assert_eq!(status(&packed(&gzip(b"{}")[..12], "gzip")), 400);
    // What nobody here unpacks is no JSON.
    assert_eq!(status(&packed(&gzip(b"{}"), "br")), 400);
    let mut padded = vec![b' '; 99_998];
    padded.extend_from_slice(b"{}");
    assert_eq!(status(&packed(&gzip(&padded), "gzip")), 200);
    padded.push(b' ');
    assert_eq!(status(&packed(&gzip(&padded), "gzip")), 413);
    let bomb = gzip(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 300_000);
    assert_eq!(status(&packed(&bomb, "gzip")), 413);
}

#[test]
fn gzip_bombs_at_once_take_no_more_memory_than_bodies_may() {
    const BOMBS: usize = 64;
    // Each is within --max-body, and no two of them within --max-bodies.
    let server = server(&["--max-body", "16777216", "--max-bodies", "20000000"]);
    let bomb = packed(&gzip(&vec![b' '; 16 << 20]), "gzip");
    assert!(bomb.len() < 100_000);
    let before = server.peak_megabytes();
    let replies: Vec<(u16, String)> = thread::scope(|scope| {
        let calls: Vec<_> = (0..BOMBS).map(|_| scope.spawn(|| raw(&server, &bomb).remove(0))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    // What was unpacked is spaces, and no JSON; what could not be, may be sent again.
    let code = |reply: &(u16, String)| serde_json::from_str::<Value>(&reply.1).unwrap()["__type"].clone();
    for reply in &replies {
        assert!([json!("SerializationException"), json!("ThrottlingException")].contains(&code(reply)), "{reply:?}");
    }
    assert!(replies.iter().any(|reply| code(reply) == "ThrottlingException"), "all had room: this tested nothing");
    if let (Some(before), Some(after)) = (before, server.peak_megabytes()) {
        // 20 MB of bodies in buffers that grow by doubling, something for the connections, and what the allocator keeps for each thread of
        // buffers that were outgrown: 135 MB were seen once. All of them unpacked would be a gigabyte.
        assert!(after - before < 250, "{BOMBS} bombs took {} MB", after - before);
    }
    // The room is free again.
    assert_eq!(raw(&server, &packed(&gzip(b"{}"), "gzip")).remove(0).0, 200);
    assert_eq!(code(&raw(&server, &bomb).remove(0)), "SerializationException");
}

#[test]
fn a_content_length_that_is_wrong_is_told() {
    let server = server(&["--body-timeout", "1"]);
    let sent = |length: &str, body: &str| {
        raw(&server, (head("ListCollections", &format!("Content-Length: {length}")) + body).as_bytes())
    };
    // More promised than sent, and no more to come.
    let cut_off = raw_cut_off(&server, (head("ListCollections", "Content-Length: 10") + "{}").as_bytes());
    assert_eq!(cut_off[0].0, 400);
    // Less promised than sent: what is there is answered, the rest is nobody's request.
    assert_eq!(sent("2", "{}{}").into_iter().map(|(status, _)| status).collect::<Vec<_>>(), [200]);
    for bad in ["-1", "two", "99999999999999999999999"] {
        assert_eq!(sent(bad, "{}").first().map(|(status, _)| *status), Some(400), "{bad}");
    }
    assert_eq!(sent("99999999999", "{}").first().map(|(status, _)| *status), Some(413));
    // A client that promises ten bytes, sends two and waits.
    let (status, body) = sent("10", "{}").remove(0);
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["__type"].clone()),
        (408, json!("RequestTimeoutException"))
    );
}
