//! Exact search in this server's memory.

mod budget;
mod codes;
mod files;
mod galleries;
mod gallery;
mod heap;
mod kernels;
mod loading;
mod progress;
mod scan;
mod segment;
mod slots;

pub use budget::Budget;
pub use files::Files;
pub use galleries::{Dimensions, Galleries, Place};
pub use progress::{Loading, Room};

#[cfg(test)]
mod tests;
