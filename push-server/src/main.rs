//! The push-server service.

fn main() {}
