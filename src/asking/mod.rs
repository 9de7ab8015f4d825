//! Commands that ask a server and tell what it answers: `rekollect identify`, `rekollect group` and `rekollect erase`.

mod erase;
mod group;
mod identify;

pub use erase::{Erasure, erase};
pub use group::{Grouping, group};
pub use identify::{Identification, identify};
