//! What time is it here?

use std::time::{SystemTime, UNIX_EPOCH};

use kith_common::time::Timestamp;

/// The time of day as this computer has it.
pub(crate) fn wall_clock() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
