//! What do all programs share that speak libp2p?
//!
//! | file | answers |
//! |---|---|
//! | `address` | which addresses do we dial? |
//! | `admission` | which connections may exist? |
//! | `bootstrap` | where is a bootstrap, and who is there? |
//! | `resolver` | what do the names of bootstraps stand for? |
//! | `records` | which records do we keep for others? |
//! | `dht` | how do we take part in the distributed hash table? |
//! | `yamux` | how do the streams of a TCP connection share it? |
//! | `limits` | how much is too much? |
//!
//! **Invariant:** no log line holds an address or a transport id.

pub mod address;
pub mod admission;
pub mod bootstrap;
pub mod dht;
pub mod limits;
pub mod records;
pub mod resolver;
pub mod yamux;
