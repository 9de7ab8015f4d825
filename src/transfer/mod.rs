//! Collections out of a store and into another, as JSON Lines: a backup that outlives the schema, and the way from SQLite to Postgres.
//!
//! A line is an object with a `kind`. A file is `header`, then for each collection `collection`, its `user`s, its `face`s and `end`,
//! which has their numbers and the SHA-256 of the collection's lines before it, and at last `complete`. What is cut off or changed on
//! its way is found out by that.

mod export;
mod import;
mod lines;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::Fault;

pub use export::{Choice, export_to_file, export_to_writer};
pub use import::{Imported, import_file, import_stream};
pub use lines::Totals;

/// An export or an import that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A file that cannot be read or written.
    #[error("{place}: {source}")]
    File {
        /// Which one.
        place: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is not what it should be.
    #[error("line {number}: {reason}")]
    Line {
        /// Counted from one.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// What the store holds is not what an import would take.
    #[error("{of} cannot be exported: {reason}")]
    Unfit {
        /// A collection, most likely.
        of: String,
        /// What is wrong.
        reason: String,
    },
    /// The store refuses.
    #[error("{0}")]
    Store(#[from] Fault),
    /// What is to be exported is not there.
    #[error("no collection {0}")]
    NoCollection(String),
}

/// A bar on standard error, where that is a terminal: so many faces, of so many where that is known.
fn progress(faces: Option<u64>) -> ProgressBar {
    let template = match faces {
        Some(_) => "{wide_bar} {human_pos}/{human_len} faces, {per_sec}, {eta} to go",
        None => "{spinner} {human_pos} faces, {per_sec}",
    };
    let bar = ProgressBar::with_draw_target(faces, ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}
