//! What a trace tells of a request.

use std::collections::HashMap;
use std::time::SystemTime;

/// Headers of a request that say which span of its sender it belongs to (W3C Trace Context).
pub const CONTEXT_HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// An answered request.
#[derive(Debug)]
pub struct Traced<'a> {
    /// The operation's name.
    pub operation: &'static str,
    /// The id that its client knows.
    pub request_id: &'a str,
    /// HTTP status.
    pub status: u16,
    /// The error's name.
    pub code: Option<&'static str>,
    /// Its [`CONTEXT_HEADERS`].
    pub context: HashMap<String, String>,
    /// When it came.
    pub came: SystemTime,
    /// When it was answered.
    pub answered: SystemTime,
}
