//! The HTTP routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::access::authorize;
use crate::audit::Audit;
use crate::search::Loading;
use crate::telemetry::Stages;
use crate::telemetry::metrics::{CONTENT_TYPE, Load};

use super::errors::{Rejection, unroutable};
use super::front::Front;
use super::injection::RuleText;
use super::origins::{cors, from_no_foreign_page};
use super::{console, dispatch};

/// What a policy has to allow for the rules of faults to be seen and changed.
const MANAGE_FAULTS: &str = "rekollect:ManageFaults";

/// Every route of the server.
pub fn routes(front: Arc<Front>) -> Router {
    let injection = match front.injector {
        None => Router::new(),
        Some(_) => Router::new().route("/_faults", get(manage_rules).post(manage_rules).delete(manage_rules)),
    };
    let routes = Router::new()
        .route("/", post(dispatch::dispatch))
        .merge(injection)
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

/// Lists, adds or removes the rules of faults.
async fn manage_rules(State(front): State<Arc<Front>>, request: Request) -> Response {
    match change_rules(&front, request).await {
        Ok(rules) => rules.into_response(),
        Err(rejection) => {
            tracing::warn!(detail = rejection.detail(), "a change of the rules of faults was refused");
            let reply = rejection.reply();
            plain_json(reply.status, reply.body)
        }
    }
}

async fn change_rules(front: &Front, request: Request) -> Result<Response, Rejection> {
    let Some(injector) = &front.injector else { return Ok(unroutable().await) };
    let (parts, body) = request.into_parts();
    let (head, stages) = (dispatch::head_of(&parts), Stages::default());
    let claimed = &mut dispatch::Caller::default();
    let (caller, body) = dispatch::admit(front, &head, &parts.headers, body, &stages, claimed).await?;
    authorize(&caller, MANAGE_FAULTS, "*")?;
    match parts.method {
        Method::POST => {
            let rule = serde_json::from_slice::<RuleText>(&body.bytes).map_err(|error| error.to_string());
            if let Err(error) = rule.and_then(|rule| injector.add(rule)) {
                return Ok(plain_json(StatusCode::BAD_REQUEST, json!({"message": error})));
            }
        }
        Method::DELETE => injector.clear(),
        _ => {}
    }
    if parts.method != Method::GET {
        tracing::info!(caller = caller.arn(), rules = injector.list().len(), "the rules of faults were changed");
    }
    Ok(plain_json(StatusCode::OK, json!({"rules": injector.list()})))
}

fn plain_json(status: StatusCode, body: Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The weights were loaded before the server listened; what can go away is the store. Asked for `?full`, also whether every search would
/// be answered at once: galleries that load are none of the reasons to send callers elsewhere.
async fn ready(State(front): State<Arc<Front>>, request: Request) -> Response {
    if let Err(fault) = front.service.store.ping().await {
        tracing::warn!(error = %fault, "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response();
    }
    if is_audit_failing(&front) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written\n").into_response();
    }
    if request.uri().query() != Some("full") {
        return "ready\n".into_response();
    }
    let Loading { galleries, loaded, of } = front.service.indexes.loading();
    let waiting = front.service.preloads.waiting();
    let status = if galleries + waiting > 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let collections_waiting = waiting;
    plain_json(
        status,
        json!({"ready": status == StatusCode::OK, "loading": {"galleries": galleries, "vectors": loaded, "of": of},
        "collections_waiting": collections_waiting}),
    )
}

fn is_audit_failing(front: &Front) -> bool {
    front.audit.as_ref().is_some_and(Audit::is_failing)
}

/// For Prometheus. It names no key, collection or face.
async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let service = &front.service;
    let stored = service
        .store
        .size()
        .await
        .inspect_err(|fault| tracing::warn!(error = %fault, "the store does not tell its size"));
    let ((gallery_members, gallery_bytes), loading) = (service.indexes.size(), service.indexes.loading());
    let load = Load {
        images_waiting: service.packs.waiting(),
        requests_in_progress: front.max_requests - front.requests.available_permits(),
        body_bytes: front.max_bodies - front.body_bytes.available_permits(),
        reply_bytes: front.replies.bytes(),
        gallery_members,
        gallery_bytes,
        gallery_file_bytes: service.indexes.file_bytes(),
        galleries_loading: loading.galleries,
        vectors_to_load: loading.of.saturating_sub(loading.loaded),
        is_audit_failing: is_audit_failing(&front),
        stored: stored.ok(),
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], front.metrics.text(load)).into_response()
}
