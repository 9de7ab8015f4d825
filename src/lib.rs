//! rekollect: a self-hosted face-collection service that speaks the Amazon Rekognition wire protocol.
//!
//! A request travels down through the rooms once and comes back once; no room calls upwards:
//! [`wire`] → [`operations`] → [`vision`], [`store`], [`search`]. [`domain`] depends on none of them.
//! `ARCHITECTURE.md` is the map.

pub mod config;
pub mod domain;
pub mod operations;
pub mod search;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod vision;
pub mod wire;
