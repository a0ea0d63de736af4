//! Do other implementations, and published vectors, agree with what the core seals and computes?

#[path = "interop/classic.rs"]
mod classic;
#[path = "interop/commits.rs"]
mod commits;
#[path = "interop/openmls.rs"]
mod openmls_members;
#[path = "interop/vectors.rs"]
mod vectors;
