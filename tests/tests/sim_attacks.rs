//! What hostile readers have tried: strangers, contacts, thieves and broken merges.
#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "attacks/behind.rs"]
mod behind;
#[path = "attacks/contact_merge.rs"]
mod contact_merge;
#[path = "attacks/contacts.rs"]
mod contacts;
#[path = "attacks/crossing.rs"]
mod crossing;
#[path = "attacks/cut_before.rs"]
mod cut_before;
#[path = "attacks/deleting.rs"]
mod deleting;
#[path = "attacks/dialling.rs"]
mod dialling;
#[path = "attacks/dropped.rs"]
mod dropped;
#[path = "attacks/forging.rs"]
mod forging;
#[path = "attacks/large_account.rs"]
mod large_account;
#[path = "attacks/late_knowledge.rs"]
mod late_knowledge;
#[path = "attacks/link_after.rs"]
mod link_after;
#[path = "attacks/many_histories.rs"]
mod many_histories;
#[path = "attacks/merge_known.rs"]
mod merge_known;
#[path = "attacks/merge_restart.rs"]
mod merge_restart;
#[path = "attacks/not_come_over.rs"]
mod not_come_over;
#[path = "attacks/old_self_log.rs"]
mod old_self_log;
#[path = "attacks/story.rs"]
mod story;
#[path = "attacks/taken_back.rs"]
mod taken_back;
#[path = "attacks/thief_absorbs.rs"]
mod thief_absorbs;
#[path = "attacks/who_left.rs"]
mod who_left;
