//! Does a real chat come through byte for byte, in order, with its answers?
//!
//! The day in `tests/data`, or every day of the file that `KITH_CHAT` names.

use std::thread;

use kith_tests::{chat, sim::irc};

#[test]
fn a_real_channel_is_replayed() {
    let days = chat::days();
    thread::scope(|scope| {
        for chunk in days.chunks(days.len().div_ceil(2)) {
            scope.spawn(move || {
                for day in chunk {
                    let (messages, answers) = irc::replay(day, "a_real_channel_is_replayed");
                    eprintln!("{}: {messages} messages, {answers} answers", day[0].day);
                    assert!(messages > day.len() / 2 && answers > 0);
                }
            });
        }
    });
}
