//! Does a mailbox-server keep what it promises, on both stores, and what does it cost to annoy it?

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "mailbox/abuse.rs"]
mod abuse;
#[path = "mailbox/client.rs"]
mod client;
#[path = "mailbox/cluster.rs"]
mod cluster;
#[path = "mailbox/conformance.rs"]
mod conformance;
#[path = "mailbox/kill.rs"]
mod kill;
#[path = "mailbox/live.rs"]
mod live;
#[path = "mailbox/postgres.rs"]
mod postgres;
#[path = "mailbox/program.rs"]
mod program;
#[path = "mailbox/tables.rs"]
mod tables;
