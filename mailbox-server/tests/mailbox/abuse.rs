//! What does it cost to annoy a mailbox-server?
