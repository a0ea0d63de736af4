//! What every part of Kith agrees on: ids, keys, bounds, the strict codec and the signed envelope.
//!
//! Nothing here opens a socket or a file, reads a clock or draws randomness: whoever needs a
//! random value hands in a [`rand_core::CryptoRng`]. The formats are described in `docs/spec`.
//!
//! | file | answers |
//! |---|---|
//! | `ids` | how are people, devices, logs and entries named? |
//! | `crypto` | which libsodium primitive does what? |
//! | `keys` | who may sign, and how are secrets kept? |
//! | `codec` | which byte strings are well-formed? |
//! | `envelope` | who said this, and for what purpose? |
//! | `account` | which devices speak for an account? |
//! | `entry` | what does a log entry say about its place? |
//! | `frontier` | what has a device received? |
//! | `frame` | what do two nodes say on a link? |
//! | `share` | how is an account handed over as text? |
//! | `linking` | how does a new device come into an account? |
//! | `finding` | where does a device leave where it is, and who can read that? |
//! | `mail` | how is something written to a device that is not there? |
//! | `own` | what do a person's devices tell each other? |
//! | `service` | what do everybody and a service say to each other? |
//! | `limits` | how much is too much? |

pub mod account;
pub mod codec;
pub mod crypto;
pub mod entry;
pub mod envelope;
pub mod finding;
pub mod frame;
pub mod frontier;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod linking;
pub mod mail;
pub mod own;
pub mod service;
pub mod share;
pub mod time;
