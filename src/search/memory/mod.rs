//! Exact search in this server's memory.

mod budget;
mod codes;
mod galleries;
mod gallery;
mod kernels;
mod loading;
mod progress;
mod scan;
mod slots;

pub use budget::Budget;
pub use galleries::Galleries;
pub use progress::{Loading, Room};

#[cfg(test)]
mod tests;
