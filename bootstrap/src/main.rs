//! The bootstrap service.

fn main() {}
