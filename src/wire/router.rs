//! The HTTP routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::operations::Service;

use super::dispatch;

/// What the routes share.
pub struct Front {
    /// The operations' tools.
    pub service: Service,
    /// One permit a request in progress, taken when its body is there: a client that sends slowly holds none.
    pub requests: Semaphore,
    /// One permit a byte of a body that has arrived and is not parsed yet.
    pub body_bytes: Semaphore,
    /// The largest body in bytes.
    pub max_body: usize,
    /// Within what time a body has to arrive.
    pub body_timeout: Duration,
}

/// Every route of the server.
pub fn routes(front: Arc<Front>) -> Router {
    Router::new()
        .route("/", post(dispatch::dispatch))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(unroutable)
        .method_not_allowed_fallback(unroutable)
        .with_state(front)
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

/// What the service's front answers to anything that is not its protocol.
async fn unroutable() -> Response {
    let body = "<MissingAuthenticationTokenException>\n  <Message>Missing Authentication Token</Message>\n</MissingAuthenticationTokenException>\n";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
