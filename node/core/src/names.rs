//! What may somebody be called? Names tell people apart.

use kith_common::limits::NAME_BYTES_MAX;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Why a name is none to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing of it can be seen.
    #[error("the name is empty: write one")]
    Empty,
    /// It does not fit.
    #[error("the name has {found} bytes, {NAME_BYTES_MAX} are allowed: write a shorter one")]
    TooLong {
        /// Bytes of the name.
        found: usize,
    },
    /// It would be taken for an id.
    #[error("a name that begins with kith1 looks like an id: write another one")]
    LikeId,
}

/// A name that a person here gives to somebody or something, as it is kept.
///
/// # Errors
/// If another name than the given one would be kept.
pub fn chosen_name(name: &str) -> Result<String, NameError> {
    let clean = clean_name(name);
    if clean.is_empty() {
        return Err(NameError::Empty);
    }
    if clean.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { found: clean.len() });
    }
    if is_like_an_id(&clean) {
        return Err(NameError::LikeId);
    }
    Ok(clean)
}

/// A name as it may be shown: no control characters, no leading or trailing space, not too long.
pub fn tidy_name(name: &str) -> String {
    let clean = clean_name(name);
    let clean = trim(cut(&clean, NAME_BYTES_MAX));
    let shown = !clean.is_empty() && !is_like_an_id(clean);
    if shown { clean.to_owned() } else { "Unnamed".to_owned() }
}

/// A name that begins like an id would be taken for one.
fn is_like_an_id(name: &str) -> bool {
    fold_name(name).starts_with("kith1")
}

/// Without what cannot be seen, but for single joiners between characters, which make one picture
/// of several.
fn clean_name(name: &str) -> String {
    let mut clean = String::new();
    for c in name.nfc().filter(|c| !c.is_control()) {
        let joins = c == JOINER && clean.ends_with(|last: char| last != JOINER);
        if joins || !is_invisible(c) {
            clean.push(c);
        }
    }
    trim(&clean).to_owned()
}

fn trim(name: &str) -> &str {
    name.trim_matches(|c: char| c.is_whitespace() || c == JOINER)
}

/// Makes one picture of those beside it.
const JOINER: char = '\u{200d}';

/// What two names have in common if a person may take one for the other: compatibility forms, case
/// and characters that cannot be seen do not count.
pub fn fold_name(name: &str) -> String {
    let folded = name.nfkc().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase);
    folded.nfkc().collect::<String>().trim().to_owned()
}

/// A name like the wanted one that nobody has yet: names tell people apart.
pub(crate) fn free_name(wanted: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    let wanted = tidy_name(wanted);
    let numbered = |number: u64| {
        let suffix = format!(" {number}");
        let room = NAME_BYTES_MAX.saturating_sub(suffix.len());
        format!("{}{suffix}", cut(&wanted, room))
    };
    let names = std::iter::once(wanted.clone()).chain((2..).map(numbered));
    let mut free = names.filter(|name| !is_taken(&fold_name(name)));
    free.next().unwrap_or(wanted)
}

/// Characters that are not seen or turn the direction of text around, and could make one name look
/// like another.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The longest start of a text that has at most `bytes` bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_play_tricks() {
        assert_eq!(tidy_name("  A\u{202e}li\nce\u{7} "), "Alice");
        assert_eq!(tidy_name("\u{200e}\t"), "Unnamed");
        assert_eq!(tidy_name("kith1qysgelc"), "Unnamed");
        assert_eq!(tidy_name(&"ä".repeat(40)).len(), 64);
        assert_eq!(tidy_name("\u{200d}A\u{200d}\u{200d}b\u{200d} \u{200d}"), "A\u{200d}b");
    }

    #[test]
    fn pictures_of_several_characters_stay_whole() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(tidy_name(family), family);
        assert_eq!(chosen_name(family).as_deref(), Ok(family));
        assert_eq!(fold_name("A\u{200d}lice"), "alice", "a joiner makes no other name");
    }

    #[test]
    fn a_name_that_would_not_be_kept_is_refused() {
        assert_eq!(chosen_name(" Zoë "), Ok("Zoë".to_owned()));
        assert_eq!(chosen_name(" \u{200b}\n"), Err(NameError::Empty));
        assert_eq!(chosen_name("\u{200d}"), Err(NameError::Empty));
        assert_eq!(chosen_name("Ｋith1x"), Err(NameError::LikeId));
        assert_eq!(chosen_name(&"ä".repeat(33)), Err(NameError::TooLong { found: 66 }));
    }
}
