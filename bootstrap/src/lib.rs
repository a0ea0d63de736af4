//! The Kith bootstrap: where a node begins that knows nobody's address (spec 23). It keeps sealed
//! records, tells nodes how they are seen, relays between those that cannot connect, and lets those
//! meet that know the same place. Several of them are one network.
//!
//! | file | answers |
//! |---|---|
//! | `meeting` | who is registered where? `meeting/wire` is how that is asked |
//! | `turn` | who may use the TURN server? |
//! | `swarm` | what is our libp2p node made of? |
//! | `relaying` | whom do we relay for? |
//! | `probing` | for whom do we try addresses? |
//! | `peers` | which other bootstraps are dialled, and when? |
//! | `driver` | what happens when? |
//! | `state`, `http` | what is told about it? |
//! | `limits`, `config` | how much is too much, here and for this operator? |
//!
//! **Invariant:** no log line and no metric holds an address or a peer id.

pub mod config;
mod driver;
pub mod error;
mod http;
mod identity;
pub mod limits;
mod listeners;
mod meeting;
mod metrics;
mod peers;
mod probing;
#[cfg(test)]
#[path = "../tests/bootstrap/raw.rs"]
#[expect(dead_code, reason = "the tests of the whole service use more of it")]
mod raw;
mod relaying;
mod server;
mod state;
mod swarm;
mod turn;

pub use server::bind;
