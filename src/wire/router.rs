//! The HTTP routes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::access::{Access, authorize};
use crate::operations::Service;
use crate::telemetry::Stages;
use crate::telemetry::metrics::{CONTENT_TYPE, Load, Metrics};
use crate::telemetry::traces::Traces;

use super::errors::Rejection;
use super::faults::{Faults, RuleText};
use super::replies::Replies;
use super::{console, dispatch};

/// What the routes share.
pub struct Front {
    /// The operations' tools.
    pub service: Service,
    /// The gate.
    pub access: Access,
    /// Whether requests that name another host than this machine are refused.
    pub this_machine_only: bool,
    /// Whether browsers are given the console.
    pub console: bool,
    /// Rules for faults on demand, where those are enabled.
    pub faults: Option<Faults>,
    /// Web pages whose scripts may call, by their origin.
    pub cors_origins: Vec<HeaderValue>,
    /// What Prometheus is told.
    pub metrics: Metrics,
    /// Where spans of requests go, if anywhere.
    pub traces: Option<Traces>,
    /// Whether Prometheus is told anything: to everybody who asks.
    pub tells_metrics: bool,
    /// The most requests in progress.
    pub max_requests: usize,
    /// One permit for each of them, taken when its body is there: a client that sends slowly holds none.
    pub requests: Semaphore,
    /// The most bytes of bodies that have arrived and are not parsed yet.
    pub max_bodies: usize,
    /// One permit for each of them.
    pub body_bytes: Semaphore,
    /// The largest body in bytes.
    pub max_body: usize,
    /// Within what time a body has to arrive.
    pub body_timeout: Duration,
    /// What clients have not taken yet.
    pub replies: Replies,
}

/// How long a browser may remember what it was told.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(3600);

/// What a policy has to allow for the rules of faults to be seen and changed.
const MANAGE_FAULTS: &str = "rekollect:ManageFaults";

/// Every route of the server.
pub fn routes(front: Arc<Front>) -> Router {
    let faults = match front.faults {
        None => Router::new(),
        Some(_) => Router::new().route("/_faults", get(manage_faults).post(manage_faults).delete(manage_faults)),
    };
    let routes = Router::new()
        .route("/", post(dispatch::dispatch))
        .merge(faults)
        .merge(if front.console { console::routes() } else { Router::new() })
        .merge(if front.tells_metrics { Router::new().route("/metrics", get(metrics)) } else { Router::new() })
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(unroutable)
        .method_not_allowed_fallback(unroutable);
    let routes = match front.cors_origins.as_slice() {
        [] => routes,
        origins => routes.layer(cors(origins)),
    };
    let routes = if front.access.is_signed() {
        routes
    } else {
        routes.layer(middleware::from_fn_with_state(front.clone(), from_no_foreign_page))
    };
    routes.with_state(front)
}

/// Refuses what a page of another site sends. Where nobody signs, what protects a server is who reaches it, and every page in a browser
/// that does, does. A page whose name its owner makes to mean this server's address is to that browser even a page of this very server
/// (DNS rebinding): it is known by its name, in `Origin` and, where only this machine is to be served, in `Host`.
async fn from_no_foreign_page(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
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
fn cors(origins: &[HeaderValue]) -> CorsLayer {
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

/// Lists, adds or removes the rules of faults.
async fn manage_faults(State(front): State<Arc<Front>>, request: Request) -> Response {
    match change_faults(&front, request).await {
        Ok(rules) => rules.into_response(),
        Err(rejection) => {
            tracing::warn!(detail = rejection.detail(), "a change of the rules of faults was refused");
            let reply = rejection.reply();
            plain_json(reply.status, reply.body)
        }
    }
}

async fn change_faults(front: &Front, request: Request) -> Result<Response, Rejection> {
    let Some(faults) = &front.faults else { return Ok(unroutable().await) };
    let (parts, body) = request.into_parts();
    let (head, stages, caller) = (dispatch::head_of(&parts), Stages::default(), &mut None);
    let (caller, body) = dispatch::admit(front, &head, &parts.headers, body, &stages, caller).await?;
    authorize(&caller, MANAGE_FAULTS, "*")?;
    match parts.method {
        Method::POST => {
            let rule = serde_json::from_slice::<RuleText>(&body.bytes).map_err(|error| error.to_string());
            if let Err(error) = rule.and_then(|rule| faults.add(rule)) {
                return Ok(plain_json(StatusCode::BAD_REQUEST, json!({"message": error})));
            }
        }
        Method::DELETE => faults.clear(),
        _ => {}
    }
    if parts.method != Method::GET {
        tracing::info!(caller = caller.arn(), rules = faults.list().len(), "the rules of faults were changed");
    }
    Ok(plain_json(StatusCode::OK, json!({"rules": faults.list()})))
}

fn plain_json(status: StatusCode, body: Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The weights were loaded before the server listened; what can go away is the store.
async fn ready(State(front): State<Arc<Front>>) -> Response {
    match front.service.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(fault) => {
            tracing::warn!(error = %fault, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

/// For Prometheus. It names no key, collection or face.
async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let service = &front.service;
    let stored = service
        .store
        .size()
        .await
        .inspect_err(|fault| tracing::warn!(error = %fault, "the store does not tell its size"));
    let load = Load {
        images_waiting: service.engine.waiting(),
        requests_in_progress: front.max_requests - front.requests.available_permits(),
        body_bytes: front.max_bodies - front.body_bytes.available_permits(),
        reply_bytes: front.replies.bytes(),
        gallery_members: service.faces.members() + service.users.members(),
        gallery_bytes: service.faces.bytes() + service.users.bytes(),
        stored: stored.ok(),
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], front.metrics.text(load)).into_response()
}

/// What the service's front answers to anything that is not its protocol.
pub(super) async fn unroutable() -> Response {
    let body = "<MissingAuthenticationTokenException>\n  <Message>Missing Authentication Token</Message>\n</MissingAuthenticationTokenException>\n";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
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
