//! Does every frame have one form, and every body?

use kith_common::{
    entry::{EntryKind, Text},
    frame::Frame,
    limits::BODY_SALT_BYTES,
    own::Own,
};

use crate::cbor::Value;

/// Bytes that a frame of entries has around them.
const AROUND_ENTRIES_BYTES: usize = 64;

pub(crate) fn frame(data: &[u8]) {
    let Ok(Some(frame)) = Frame::decode(data) else { return };
    let encoded = frame.encode();
    let known = Value::parse(data).expect("a frame is in the one allowed form");
    assert_eq!(encoded, known.without_extensions().encode());
    assert_eq!(Frame::decode(&encoded).as_ref(), Ok(&Some(frame.clone())));
    if let Frame::Entries { entries, .. } = frame {
        let expected: usize = entries.iter().map(|entry| entry.frame_bytes()).sum();
        assert!(encoded.len() <= expected + AROUND_ENTRIES_BYTES);
    }
}

pub(crate) fn text_body(data: &[u8]) {
    let Ok(text) = Text::decode(data) else { return };
    let (salt, content) = data.split_at(BODY_SALT_BYTES);
    let encoded = text.encode(salt.try_into().expect("a salt in front"));
    let known = Value::parse(content).expect("a body is in the one allowed form");
    assert_eq!(encoded[BODY_SALT_BYTES..], known.without_extensions().encode());
    assert_eq!(Text::decode(&encoded), Ok(text));
}

/// The first byte is the kind of the entry; the body of the self log follows.
pub(crate) fn own_body(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let kind = EntryKind(*kind);
    let Ok(Some(own)) = Own::decode(kind, body) else { return };
    assert_eq!(own.kind(), kind);
    let (salt, content) = body.split_at(BODY_SALT_BYTES);
    let encoded = own.encode(salt.try_into().expect("a salt in front"));
    let known = Value::parse(content).expect("a body is in the one allowed form");
    assert_eq!(encoded[BODY_SALT_BYTES..], known.without_extensions().encode());
    assert_eq!(Own::decode(kind, &encoded), Ok(Some(own)));
}
