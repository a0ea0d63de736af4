//! Which moment does a person mean? RFC 3339, a time of today, or so long ago.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DAY_S: u64 = 24 * 60 * 60;

/// A moment in milliseconds since 1970, as written after `--since` or `--before`.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let now = SystemTime::now();
    let moment = humantime::parse_rfc3339(text)
        .ok()
        .or_else(|| ago(text, now))
        .or_else(|| today(text, now, zone_s))
        .ok_or_else(|| {
            "write a time as 2026-07-31T14:30:00Z, as 14:30 (today), or as 2h (two hours ago)"
                .to_owned()
        })?;
    if moment > now {
        return Err("this time has not come yet".to_owned());
    }
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn ago(text: &str, now: SystemTime) -> Option<SystemTime> {
    now.checked_sub(humantime::parse_duration(text).ok()?)
}

/// `HH:MM` of today where the person is.
fn today(text: &str, now: SystemTime, zone_s: impl Fn() -> Option<i64>) -> Option<SystemTime> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let zone_s = zone_s()?;
    let now_s = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let here_s = now_s.checked_add_signed(zone_s)?;
    let meant_s = here_s - here_s % DAY_S + hours * 3600 + minutes * 60;
    UNIX_EPOCH.checked_add(Duration::from_secs(meant_s.checked_add_signed(-zone_s)?))
}

/// A time as the node says it, as the clocks here show it, with how far they are ahead of UTC.
pub(super) fn here(rfc3339: &str) -> String {
    static ZONE_S: OnceLock<i64> = OnceLock::new();
    at(rfc3339, *ZONE_S.get_or_init(|| zone_s().unwrap_or_default()))
}

fn at(rfc3339: &str, zone_s: i64) -> String {
    let since = humantime::parse_rfc3339(rfc3339).ok().map(|time| time.duration_since(UNIX_EPOCH));
    let shown_s = since.and_then(|since| since.ok()?.as_secs().checked_add_signed(zone_s));
    let shown = shown_s.map(|shown_s| UNIX_EPOCH + Duration::from_secs(shown_s));
    let text = shown.map(|shown| humantime::format_rfc3339_seconds(shown).to_string());
    let text = text.unwrap_or_default();
    let (sign, minutes) = (if zone_s < 0 { '-' } else { '+' }, zone_s.unsigned_abs() / 60);
    let zone = match minutes {
        0 => " UTC".to_owned(),
        _ => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    };
    format!("{}{zone}", text.get(..16).unwrap_or_default().replace('T', " "))
}

/// How far the clocks here are ahead of UTC, in seconds, as the system's `date` says.
fn zone_s() -> Option<i64> {
    let output = std::process::Command::new("date").arg("+%z").output().ok()?;
    read_zone(std::str::from_utf8(&output.stdout).ok()?)
}

fn read_zone(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_ways() {
        assert_eq!(parse("2001-09-09T01:46:40Z"), Ok(1_000_000_000_000));
        let hour = Duration::from_secs(3600);
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_eq!(ago("1h", now), Some(now - hour));
        // 01:46:40 UTC is 03:46:40 two hours further east.
        let east = || Some(2 * 3600);
        let at = today("03:00", now, east).unwrap();
        assert_eq!(now.duration_since(at).unwrap().as_secs(), 46 * 60 + 40);
        // … and still the day before ten hours further west.
        let west = || Some(-10 * 3600);
        let at = today("15:00", now, west).unwrap();
        assert_eq!(now.duration_since(at).unwrap().as_secs(), 46 * 60 + 40);
    }

    #[test]
    fn times_are_shown_as_the_clocks_here_show_them() {
        let time = "2026-12-31T23:30:05.123Z";
        assert_eq!(at(time, 3600), "2027-01-01 00:30+01:00");
        assert_eq!(at(time, -(3 * 3600 + 30 * 60)), "2026-12-31 20:00-03:30");
        assert_eq!(at(time, 0), "2026-12-31 23:30 UTC");
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "yesterday", "25:00", "12:60", "12", "-", "2999-01-01T00:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(read_zone("+0530\n"), Some(5 * 3600 + 30 * 60));
        assert_eq!(read_zone("-0330"), Some(-(3 * 3600 + 30 * 60)));
        assert_eq!(read_zone("UTC"), None);
    }
}
