//! The Kith node: network, storage, local API, command line and page around the engine.
//!
//! | file | answers |
//! |---|---|
//! | `driver` | who feeds the engine and carries out what it says? |
//! | `network` | how do frames get from node to node? |
//! | `dht` | where do records lie, and who keeps them? |
//! | `finding` | where does looking for others begin? |
//! | `mail` | how do requests get to mailbox-servers? |
//! | `sqlite` | where do logs and contacts lie? |
//! | `home` | where do keys lie, and who may unlock them? |
//! | `api` | what may local programs ask? |
//! | `cli` | what can a person type? |
//! | `client` | how does the command line talk to the node? |
//! | `proof` | how does the node show that it is the one of this home? |
//! | `route` | from which address of ours would something leave? |
//! | `run` | how does a node start and stop? |
//! | `join` | how does this computer become a device of an account? |
//! | `offline` | how is something decided while the node does not run? |
//! | `random` | where does randomness come from? |

pub mod api;
mod chosen;
pub mod cli;
pub mod client;
mod clock;
pub mod dht;
pub mod driver;
pub mod finding;
pub mod home;
pub mod join;
pub mod mail;
pub mod network;
pub mod offline;
pub mod proof;
pub mod random;
mod route;
pub mod run;
pub mod sqlite;
