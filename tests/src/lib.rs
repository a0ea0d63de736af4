//! Simulation, real processes, and everything else that needs more than one crate.
//!
//! `sim` runs whole networks in one thread from one seed, `process` drives the true program, `pair`
//! joins two engines, `chat` holds what people really said, `past` fills an account with it, and `store_conformance` says what every store must do.

pub mod chat;
pub mod pair;
pub mod past;
pub mod process;
pub mod sim;
pub mod store_conformance;
