//! The AWS JSON 1.1 protocol over HTTP: the only rooms that know either.
//!
//! A request's way: [`router`] → [`dispatch`] (target, body, one log line) → [`shapes`] (JSON to typed members) →
//! [`validation`] (members to parsed values) → an operation → [`shapes`] again, or [`errors`].

mod dispatch;
pub mod errors;
pub mod router;
mod shapes;
mod validation;
