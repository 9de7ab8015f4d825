//! Clients that go away in the middle of a change.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Server, block_on, new_database};

/// How long the way to the database takes: long enough for a client to leave between two statements.
const DELAY: Duration = Duration::from_millis(5);

/// A way to `target` on which every packet of the caller takes [`DELAY`]; its port.
fn slow_way(target: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let (caller, server) = (caller.unwrap(), TcpStream::connect(&target).unwrap());
            let (back_from, back_to) = (server.try_clone().unwrap(), caller.try_clone().unwrap());
            thread::spawn(move || pass_on(caller, server, DELAY));
            thread::spawn(move || pass_on(back_from, back_to, Duration::ZERO));
        }
    });
    port
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let mut packet = [0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut packet) {
        thread::sleep(delay);
        if to.write_all(&packet[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn an_acknowledged_change_outlives_clients_that_go_away() {
    let Some(database) = new_database() else { return };
    let (user, rest) = database.split_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let through = format!("{user}@127.0.0.1:{}/{name}", slow_way(host.to_owned()));
    let server = Server::start_on(tempfile::tempdir().unwrap(), Some(&through), &["--database-connections", "4"]);
    server.collection("people");
    let deletion = json!({"CollectionId": "people", "FaceIds": ["00000000-0000-4000-8000-000000000000"]}).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: RekognitionService.DeleteFaces\r\nContent-Length: {}\r\n\r\n{deletion}",
        deletion.len()
    );
    let address = server.url.strip_prefix("http://").unwrap();
    let end = Instant::now() + Duration::from_secs(4);

    let made: i64 = thread::scope(|scope| {
        for leaver in 0..2u64 {
            let request = &request;
            scope.spawn(move || {
                for round in 0.. {
                    if Instant::now() > end {
                        break;
                    }
                    let mut connection = TcpStream::connect(address).unwrap();
                    connection.write_all(request.as_bytes()).unwrap();
                    thread::sleep(Duration::from_millis((7 * round + 3 * leaver) % 31));
                }
            });
        }
        let makers: Vec<_> = (0..3)
            .map(|maker| {
                let server = &server;
                scope.spawn(move || {
                    let made = (0..).take_while(|n| {
                        server.ok("CreateCollection", json!({"CollectionId": format!("c-{maker}-{n}")}));
                        Instant::now() < end
                    });
                    made.count() as i64 + 1
                })
            })
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).sum()
    });

    let stored: i64 = block_on(async {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&database).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM collections").fetch_one(&mut connection).await.unwrap()
    });
    assert!(made > 20, "only {made} collections were made");
    assert_eq!(stored, made + 1, "acknowledged collections are not in the database");
}
