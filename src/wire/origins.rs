//! Which web pages may call, by the headers `Origin` and `Host` of a request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::errors::unroutable;
use super::front::Front;

/// How long a browser may remember what it was told.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(3600);

/// Refuses what a page of another site sends. Where nobody signs, what protects a server is who reaches it, and every page in a browser
/// that does, does. A page whose name its owner makes to mean this server's address is to that browser even a page of this very server
/// (DNS rebinding): it is known by its name, in `Origin` and, where only this machine is to be served, in `Host`.
pub async fn from_no_foreign_page(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    match foreign(&front, request.headers()) {
        None => next.run(request).await,
        Some(why) => {
            tracing::warn!(why, "a request from elsewhere was refused");
            unroutable().await
        }
    }
}

/// Why a request is not from here, for the log.
fn foreign(front: &Front, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_listed = |origin: &str| front.cors_origins.iter().any(|listed| listed == "*" || listed == origin);
    let host = text(header::HOST);
    let is_near = |origin: &str| origin.split_once("://").is_some_and(|(_, page)| is_near(page, host));
    if text(header::ORIGIN).is_some_and(|origin| !is_near(origin) && !is_listed(origin)) {
        Some("its Origin is a page of another site: REKOLLECT_CORS_ORIGINS lists those that may call")
    } else if front.this_machine_only && host.is_some_and(|host| place(host) == Place::Elsewhere) {
        Some("its Host is not this machine: REKOLLECT_AUTH=open lets such requests in, keys make them safe")
    } else {
        None
    }
}

/// What the authority of a URL names, without asking a name server.
#[derive(Debug, PartialEq)]
enum Place {
    /// This machine, by a name or an address that means nothing else.
    Loopback,
    /// Whoever has this address.
    Address(IpAddr),
    /// Whoever the owner of a name says.
    Elsewhere,
}

fn place(authority: &str) -> Place {
    let Ok(authority) = authority.parse::<Authority>() else { return Place::Elsewhere };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = name.to_ascii_lowercase();
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if address.is_loopback() => Place::Loopback,
        Ok(address) => Place::Address(address),
        Err(_) if name == "localhost" || name.ends_with(".localhost") => Place::Loopback,
        Err(_) => Place::Elsewhere,
    }
}

/// Whether a page is of this machine, or of the very address that it calls: no name server can make a browser take another page for one
/// of that address.
fn is_near(page: &str, host: Option<&str>) -> bool {
    match place(page) {
        Place::Loopback => true,
        Place::Address(address) => host.is_some_and(|host| place(host) == Place::Address(address)),
        Place::Elsewhere => false,
    }
}

/// What a browser needs to be told before its page may call: which pages, and that every header an SDK sends is welcome.
pub fn cors(origins: &[HeaderValue]) -> CorsLayer {
    let origins = if origins.contains(&HeaderValue::from_static("*")) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        // A star would not cover `authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(PREFLIGHT_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_are_loopback_addresses_and_localhost() {
        for host in
            ["127.0.0.1:7350", "localhost", "LocalHost:7350", "s3.localhost:1", "[::1]:7350", "[::ffff:127.0.0.1]"]
        {
            assert_eq!(place(host), Place::Loopback, "{host}");
        }
        for host in ["192.168.0.7", "192.168.0.7:7350", "[::ffff:192.168.0.7]:80"] {
            assert_eq!(place(host), Place::Address([192, 168, 0, 7].into()), "{host}");
        }
        for host in
            ["rebound.example:7350", "localhost.example", "127.0.0.1.example", "", "127.0.0.1@evil.example", "a b"]
        {
            assert_eq!(place(host), Place::Elsewhere, "{host}");
        }
    }

    #[test]
    fn a_page_is_near_on_this_machine_and_at_the_address_that_it_calls() {
        for (page, host) in [
            ("localhost:5173", "192.168.0.7:7350"),
            ("127.0.0.1:7350", "127.0.0.1:7350"),
            ("192.168.0.7:7350", "192.168.0.7:7350"),
            ("192.168.0.7", "192.168.0.7:7350"),
            ("[fd00::7]:7350", "[fd00::7]:7350"),
        ] {
            assert!(is_near(page, Some(host)), "{page} calls {host}");
        }
        for (page, host) in [
            ("203.0.113.5", "127.0.0.1:7350"),
            ("203.0.113.5", "192.168.0.7:7350"),
            ("192.168.0.8:7350", "192.168.0.7:7350"),
            ("0.0.0.0", "127.0.0.1:7350"),
            ("rebound.example:7350", "rebound.example:7350"),
        ] {
            assert!(!is_near(page, Some(host)), "{page} calls {host}");
        }
        assert!(!is_near("192.168.0.7", None));
    }
}
