//! What ends an enrolment, or keeps it from its beginning.

use crate::client::CallError;

/// An enrolment that could not begin, or that had to stop.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Photos, or a manifest, that cannot be enrolled as they are.
    #[error("nothing was done: {}", told(.0))]
    Plan(Vec<String>),
    /// A file that cannot be read or written.
    #[error("{place}")]
    File {
        /// Which one.
        place: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bucket cannot be listed.
    #[error("{place} cannot be listed: {reason}")]
    Bucket {
        /// Which one.
        place: String,
        /// Why.
        reason: String,
    },
    /// The report is another run's, or no report at all.
    #[error("the report {place} {reason}")]
    Report {
        /// Its name.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The collection is not there.
    #[error("there is no collection {0} on {1}: --create-collection makes it")]
    NoCollection(String, String),
    /// A call failed as the next one would.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Problems shown; a folder may have thousands.
const SHOWN: usize = 20;

fn told(problems: &[String]) -> String {
    let mut text = problems.iter().take(SHOWN).map(|problem| format!("\n  {problem}")).collect::<String>();
    if problems.len() > SHOWN {
        text += &format!("\n  and {} more", problems.len() - SHOWN);
    }
    text
}
