//! Does a bootstrap keep what it promises, and what does it cost to annoy it?

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "bootstrap/client.rs"]
mod client;
#[path = "bootstrap/crowd.rs"]
mod crowd;
#[path = "bootstrap/flood.rs"]
mod flood;
#[path = "bootstrap/meeting.rs"]
mod meeting;
#[path = "bootstrap/network.rs"]
mod network;
#[path = "bootstrap/probing.rs"]
mod probing;
#[path = "bootstrap/program.rs"]
mod program;
#[path = "bootstrap/raw.rs"]
mod raw;
#[path = "bootstrap/records.rs"]
mod records;
#[path = "bootstrap/relaying.rs"]
mod relaying;
#[path = "bootstrap/service.rs"]
mod service;
#[path = "bootstrap/turn.rs"]
mod turn;
