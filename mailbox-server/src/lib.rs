//! The Kith mailbox-server: keeps sealed blobs for a short time, in queues of which it knows two keys
//! and nothing else (spec 20).
//!
//! | file | answers |
//! |---|---|
//! | `mailbox` | what may be done with a queue? |
//! | `store` | where are queues kept? `sqlite` in a file, `postgres` for several replicas |
//! | `state` | how is a request answered, and how does a fetch wait? |
//! | `http`, `live` | how do requests come in? |
//! | `limits`, `config` | how much is too much, here and for this operator? |

pub mod config;
pub mod error;
mod http;
pub mod limits;
mod live;
pub mod mailbox;
pub mod metrics;
mod server;
mod state;
pub mod store;

pub use server::bind;
