//! The nameserver service.

fn main() {}
