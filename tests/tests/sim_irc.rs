//! Does a real chat come through byte for byte, in order, with its answers?
//!
//! `KITH_IRC` names the file if it is not beside the repository; `KITH_IRC_DAYS` is how many days
//! are replayed.

use std::thread;

use kith_tests::sim::irc;

#[test]
fn a_real_channel_is_replayed() {
    let Some(path) = irc::file() else {
        eprintln!("skipped: no ubuntu-irc.jsonl beside the repository and no KITH_IRC");
        return;
    };
    let count = std::env::var("KITH_IRC_DAYS").ok().and_then(|days| days.parse().ok());
    let days: Vec<_> = irc::days(&path).into_iter().take(count.unwrap_or(2)).collect();
    assert!(!days.is_empty());
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
