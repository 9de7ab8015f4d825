//! A client of any endpoint that speaks the protocol: this program's own server, another one, or Amazon's. The commands that call a
//! server are built on it.
//!
//! [`Configuration::find`] reads endpoint, region and key where AWS's own tools read them. [`Client::call`] signs a request, sends it, and
//! sends it again while that helps.

mod call;
mod configuration;
mod errors;
mod patience;
mod profiles;
mod signature;

pub use call::Client;
pub use configuration::{Configuration, Given, Key};
pub use errors::{CallError, Refused};
