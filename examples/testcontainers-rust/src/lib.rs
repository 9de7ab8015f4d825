//! The example is tests/faces.rs.
