//! The console: a page that the binary carries. It is a client like any other: it calls the API, and signs where that is asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

use super::errors::unroutable;

/// What `make build` made of the folder console/. A binary that was built without it has no console.
#[derive(RustEmbed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Assets;

/// The page that every other asset belongs to.
const PAGE: &str = "index.html";

/// Nothing from elsewhere, nothing inline, no frame around it; images are those that the user chose.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Assets packed as browsers take them, when the first of them is asked for.
static PACKED: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    let pack = |name: Cow<'static, str>| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&Assets::get(&name)?.data).ok()?;
        Some((name.into_owned(), packer.finish().ok()?.into()))
    };
    Assets::iter().filter_map(pack).collect()
});

/// Whether this binary was built with the console.
pub fn is_built_in() -> bool {
    Assets::get(PAGE).is_some()
}

/// The console's routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(to_the_console))
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { asset(PAGE, &headers) }))
        .route(
            "/console/{name}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { asset(&name, &headers) }),
        )
}

/// Whoever types the server's address into a browser wants to see something; anybody else who gets `/` gets the protocol's answer.
async fn to_the_console(headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") { Redirect::temporary("/console/").into_response() } else { unroutable().await }
}

fn asset(name: &str, request: &HeaderMap) -> Response {
    let Some(file) = Assets::get(name) else { return (StatusCode::NOT_FOUND, "no such file\n").into_response() };
    let takes_gzip = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|accepted| accepted.split(',').any(|coding| coding.trim() == "gzip"));
    let packed = PACKED.get(name).filter(|_| takes_gzip);
    let body = packed.cloned().unwrap_or_else(|| match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    });
    let mut reply = body.into_response();
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Names of other assets hold a digest of what is in them.
    let life = if name == PAGE { "no-cache" } else { "public, max-age=31536000, immutable" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(life));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if packed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
