//! Does every shared string and link name one account in one form, and every code one device?

use bech32::{Bech32m, Fe32, Fe32IterExt, Hrp};
use data_encoding::BASE64URL_NOPAD;
use kith_common::{
    linking::LinkCode,
    share::{ContactCard, SharedId},
};

use crate::{cast::CAST, cbor::Value};

const AS_IT_IS: u8 = 0;
const SYMBOLS_MAX: usize = 200;

/// The first byte says whether a text follows, or symbols that need a checksum.
pub(crate) fn shared_string(data: &[u8]) {
    let text = match data.split_first() {
        Some((&AS_IT_IS, bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some((_, symbols)) => with_checksum(symbols),
        None => return,
    };
    if let Ok(shared) = SharedId::decode(&text) {
        assert_eq!(shared.encode(), text.to_ascii_lowercase(), "a shared id has one string");
        assert_eq!(SharedId::decode(&shared.encode()), Ok(shared));
    }
}

fn with_checksum(symbols: &[u8]) -> String {
    let prefix = Hrp::parse("kith").expect("a valid prefix");
    let symbols = symbols.iter().take(SYMBOLS_MAX);
    let symbols = symbols.map(|byte| Fe32::try_from(byte & 31).expect("five bits"));
    symbols.with_checksum::<Bech32m>(&prefix).chars().collect()
}

/// The first byte says whether a text follows, or a card that needs a link around it.
pub(crate) fn link(data: &[u8]) {
    let text = match data.split_first() {
        Some((&AS_IT_IS, bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some((person, card)) => {
            let person = if person % 2 == 0 { &CAST.alice } else { &CAST.bob };
            let shared = SharedId::of(&person.account).encode();
            format!("kith:{shared}#{}", BASE64URL_NOPAD.encode(card))
        }
        None => return,
    };
    let Ok(card) = ContactCard::decode(&text) else { return };
    let encoded = card.encode();
    assert_eq!(ContactCard::decode(&encoded).as_ref(), Ok(&card));
    let value = content(&text).expect("a card is in the one allowed form").without_extensions();
    if proof(&value).as_deref() == Some(card.account.proof()) {
        assert_eq!(content(&encoded), Some(value));
    }
}

/// The first byte says whether a text follows, or what is to stand in a code.
pub(crate) fn link_code(data: &[u8]) {
    let text = match data.split_first() {
        Some((&AS_IT_IS, bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some((_, content)) => format!("kith-device:{}", BASE64URL_NOPAD.encode(content)),
        None => return,
    };
    let Ok(code) = LinkCode::decode(&text) else { return };
    let encoded = code.encode();
    assert_eq!(LinkCode::decode(&encoded), Ok(code));
    let read = |text: &str| {
        let (_, content) = text.trim().split_once(':')?;
        Value::parse(&BASE64URL_NOPAD.decode(content.as_bytes()).ok()?)
    };
    let known = read(&text).expect("a code is in the one allowed form");
    assert_eq!(read(&encoded), Some(known.without_extensions()));
}

fn content(link: &str) -> Option<Value> {
    let (_, card) = link.trim().split_once('#')?;
    Value::parse(&BASE64URL_NOPAD.decode(card.as_bytes()).ok()?)
}

/// The proof on a card as it stands there: what does not count is not handed on.
fn proof(card: &Value) -> Option<Vec<Box<[u8]>>> {
    let Value::Map(fields) = card else { return None };
    let (_, Value::Array(proof)) = fields.get(1)? else { return None };
    proof
        .iter()
        .map(|envelope| match envelope {
            Value::Bytes(bytes) => Some(bytes.as_slice().into()),
            _ => None,
        })
        .collect()
}
