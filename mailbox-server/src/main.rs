//! The mailbox-server service.

fn main() {}
