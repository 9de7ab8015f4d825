//! The two ways to address a bucket.

/// How the address of a bucket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// `http://server/bucket/key`.
    Path,
    /// `http://bucket.server/key`.
    Virtual,
}
