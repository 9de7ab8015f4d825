//! Exact search in this server's memory.

mod budget;
mod galleries;
mod gallery;
mod loading;
mod progress;
mod quantised;
mod scan;
mod slots;

pub use budget::Budget;
pub use galleries::Galleries;
pub use progress::{Loading, Room};

#[cfg(test)]
mod tests;
