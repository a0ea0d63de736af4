//! placeholder
pub mod pair;
pub mod process;
pub mod sim;
pub mod store_conformance;
