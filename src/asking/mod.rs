//! Commands that ask a server and tell what it answers: `rekollect identify` and `rekollect group`.

mod group;
mod identify;

pub use group::{Grouping, group};
pub use identify::{Identification, identify};
