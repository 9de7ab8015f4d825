//! The AWS JSON 1.1 protocol over HTTP: the only rooms that know either.
//!
//! A request's way: [`router`] → `dispatch` (target, one log line) → `body` → [`access`](crate::access) (whose signature) → `shapes`
//! (JSON to typed members) → `validation` (members to parsed values) → [`access`](crate::access) again (right and rate) → an operation
//! → `shapes` again, or [`errors`].

mod body;
#[cfg_attr(not(feature = "console"), path = "no_console.rs")]
pub mod console;
mod dispatch;
pub mod errors;
pub mod front;
pub mod injection;
mod origins;
pub mod replies;
pub mod router;
mod shapes;
mod validation;

pub use dispatch::parse;
