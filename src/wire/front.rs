//! What the routes share: an operation's tools, the gate, and what bounds requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::audit::Audit;
use crate::operations::Service;
use crate::telemetry::Timing;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

use super::injection::Injector;
use super::replies::Replies;

/// The address at the other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What the routes share.
pub struct Front {
    /// The operations' tools.
    pub service: Service,
    /// The gate.
    pub access: Access,
    /// What is told of every change and search, if anything.
    pub audit: Option<Audit>,
    /// Whether requests that name another host than this machine are refused.
    pub this_machine_only: bool,
    /// Whether browsers are given the console.
    pub console: bool,
    /// Rules for faults on demand, where those are enabled.
    pub injector: Option<Injector>,
    /// Web pages whose scripts may call, by their origin.
    pub cors_origins: Vec<HeaderValue>,
    /// What Prometheus is told.
    pub metrics: Metrics,
    /// Where spans of requests go, if anywhere.
    pub traces: Option<Traces>,
    /// Whether Prometheus is told anything: to everybody who asks.
    pub tells_metrics: bool,
    /// Who is told how long the stages took.
    pub timing: Timing,
    /// The most requests in progress.
    pub max_requests: usize,
    /// One permit for each of them, taken when its body is there: a client that sends slowly holds none.
    pub requests: Arc<Semaphore>,
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
