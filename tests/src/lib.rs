//! placeholder
pub mod pair;
pub mod process;
pub mod store_conformance;
