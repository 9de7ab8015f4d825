//! Nearest faces and users inside Postgres, by pgvector's HNSW index: for collections that no server's memory holds. Approximate: a near
//! member can be missed (docs/scaling.md has the measured recall), but none that is told has a wrong cosine.
//!
//! The tables are a copy of the store's vectors, like a gallery, and catch up in the same way: before each search, by revision, in a
//! transaction that any server may make.

mod copying;
mod schema;
mod tables;
mod text;
mod walk;

pub use schema::{Copies, prepare};
pub use tables::Tables;
