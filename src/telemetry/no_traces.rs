//! In the place of traces, where the feature `otlp` is not built in: there are none.

use std::convert::Infallible;

use super::Stages;
use super::traced::Traced;

/// Nothing.
pub struct Traces(Infallible);

impl Traces {
    /// None: the settings refuse a collector.
    pub fn to(_: &str) -> Result<Self, String> {
        Err("traces are not built in".to_owned())
    }

    /// Never called.
    pub fn record(&self, _: Traced<'_>, _: &Stages) {
        match self.0 {}
    }

    /// Never called.
    pub fn shutdown(&self) {
        match self.0 {}
    }
}
