//! What did people really say to each other? Days of a public chat channel (see `tests/data`).

#![expect(clippy::expect_used, clippy::panic, reason = "a harness tells what failed by panicking")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The day that is part of this repository.
const DAY: &str = "data/ubuntu-irc-2012-05-04.jsonl";

/// One message of the channel.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// The day, as in `2012-05-04`.
    pub day: String,
    /// Place in the day's log.
    pub line: u64,
    /// Nickname.
    pub author: String,
    /// What was said; never empty.
    pub text: String,
    /// Lines of the same day that it answers.
    #[serde(default)]
    reply_to: Vec<u64>,
}

impl Line {
    /// The line that this one answers; a message answers one, so of several the last counts.
    pub fn answers(&self) -> Option<u64> {
        self.reply_to.iter().copied().max()
    }
}

/// The lines of each day, in order: of the file that `KITH_CHAT` names, or of the one day that is
/// part of this repository.
///
/// # Panics
/// If the file is not there, is not of this shape or holds nothing.
pub fn days() -> Vec<Vec<Line>> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(DAY);
    let path = std::env::var_os("KITH_CHAT").map_or(ours, PathBuf::from);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("no chat in {}: {error}; name another file with KITH_CHAT", path.display())
    });
    let days = by_day(&text);
    assert!(!days.is_empty(), "{} holds no chat", path.display());
    days
}

fn by_day(text: &str) -> Vec<Vec<Line>> {
    let mut days: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).expect("a line of the data set");
        if !line.text.is_empty() {
            days.entry(line.day.clone()).or_default().push(line);
        }
    }
    let mut days: Vec<Vec<Line>> = days.into_values().collect();
    for day in &mut days {
        day.sort_by_key(|line| line.line);
    }
    days
}
