//! In the place of the console, where its feature is not built in: there is none.

use axum::Router;

/// Whether this program was built with the console.
pub fn is_built_in() -> bool {
    false
}

/// No routes.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
}
