//! rekollect: a self-hosted face-collection service that speaks the Amazon Rekognition wire protocol.
//!
//! A request travels down through the rooms once and comes back once; no room calls upwards:
//! [`wire`] → [`access`] → [`operations`] → [`sources`], [`vision`], [`store`], [`search`]. [`domain`] depends on none of them.
//! `ARCHITECTURE.md` is the map.

pub mod access;
#[cfg(feature = "client")]
pub mod asking;
pub mod audit;
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod connection;
pub mod domain;
#[cfg(feature = "client")]
pub mod enrol;
pub mod looking;
pub mod operations;
#[cfg(feature = "client")]
pub mod reindex;
pub mod search;
pub mod server;
pub mod sources;
pub mod store;
mod task;
pub mod telemetry;
pub mod tls;
pub mod transfer;
pub mod vision;
pub mod wire;
