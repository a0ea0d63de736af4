//! What may a byte string mean? A slow, obvious reading of spec 01 R2, to compare with the codec.

/// Deeper than any format of Kith goes.
const DEPTH_MAX: usize = 16;
/// Map keys from here on are extensions (spec 01 R3).
const EXTENSION_KEYS: u64 = 128;
/// Map keys from here on do not exist (spec 01 R3).
const KEYS_END: u64 = 256;
/// Values an extension may be deep, counting itself (spec 01 R3).
const EXTENSION_DEPTH_MAX: usize = 4;

/// One value of CBOR, as far as Kith uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Major type 0.
    Uint(u64),
    /// Major type 1: `-1 - n`.
    Negative(u64),
    /// Major type 2.
    Bytes(Vec<u8>),
    /// Major type 3.
    Text(String),
    /// Major type 4.
    Array(Vec<Self>),
    /// Major type 5.
    Map(Vec<(Self, Self)>),
    /// Major type 6.
    Tag(u64, Box<Self>),
    /// Major type 7, values 20 and 21.
    Bool(bool),
}

impl Value {
    /// The one value that fills all the bytes; `None` if they are not in the one allowed form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let value = read(&mut rest, DEPTH_MAX)?;
        rest.is_empty().then_some(value)
    }

    /// The values that stand one behind the other and fill all the bytes.
    pub(crate) fn parse_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut rest = bytes;
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(read(&mut rest, DEPTH_MAX)?);
        }
        Some(values)
    }

    /// The bytes of the value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self, &mut out);
        out
    }

    /// The value as a reader of this version understands it.
    #[must_use]
    pub(crate) fn without_extensions(self) -> Self {
        match self {
            Self::Array(items) => {
                Self::Array(items.into_iter().map(Self::without_extensions).collect())
            }
            Self::Map(pairs) => Self::Map(
                pairs
                    .into_iter()
                    .filter(|(key, _)| !matches!(key, Self::Uint(EXTENSION_KEYS..)))
                    .map(|(key, value)| (key, value.without_extensions()))
                    .collect(),
            ),
            Self::Tag(number, value) => Self::Tag(number, Box::new(value.without_extensions())),
            other => other,
        }
    }

    /// Whether the value is a map of extensions and nothing else.
    pub(crate) fn is_all_extensions(&self) -> bool {
        let Self::Map(pairs) = self else { return false };
        pairs.iter().all(|(key, value)| {
            matches!(key, Self::Uint(EXTENSION_KEYS..KEYS_END))
                && value.may_extend(EXTENSION_DEPTH_MAX)
        })
    }

    fn may_extend(&self, depth: usize) -> bool {
        depth > 0
            && match self {
                Self::Uint(_) | Self::Bytes(_) | Self::Text(_) | Self::Bool(_) => true,
                Self::Negative(n) => *n < 1 << 63,
                Self::Array(items) => items.iter().all(|item| item.may_extend(depth - 1)),
                Self::Map(_) | Self::Tag(..) => false,
            }
    }
}

fn read(rest: &mut &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let first = take(rest, 1)?[0];
    if first >> 5 == 7 {
        return match first & 31 {
            20 => Some(Value::Bool(false)),
            21 => Some(Value::Bool(true)),
            _ => None,
        };
    }
    let number = number(first & 31, rest)?;
    let count = usize::try_from(number).ok();
    Some(match first >> 5 {
        0 => Value::Uint(number),
        1 => Value::Negative(number),
        2 => Value::Bytes(take(rest, count?)?.to_vec()),
        3 => Value::Text(std::str::from_utf8(take(rest, count?)?).ok()?.to_owned()),
        4 => Value::Array((0..number).map(|_| read(rest, depth)).collect::<Option<_>>()?),
        5 => Value::Map(pairs(number, rest, depth)?),
        _ => Value::Tag(number, Box::new(read(rest, depth)?)),
    })
}

/// Keys ascend by their bytes, each once.
fn pairs(count: u64, rest: &mut &[u8], depth: usize) -> Option<Vec<(Value, Value)>> {
    let pairs: Vec<(Value, Value)> = (0..count)
        .map(|_| Some((read(rest, depth)?, read(rest, depth)?)))
        .collect::<Option<_>>()?;
    pairs.is_sorted_by(|a, b| a.0.encode() < b.0.encode()).then_some(pairs)
}

/// The number behind the first byte, in no more bytes than it needs.
fn number(short: u8, rest: &mut &[u8]) -> Option<u64> {
    let (bytes, lowest) = match short {
        0..=23 => return Some(u64::from(short)),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return None,
    };
    let number = take(rest, bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number >= lowest).then_some(number)
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (here, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(here)
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Uint(number) => head(0, *number, out),
        Value::Negative(number) => head(1, *number, out),
        Value::Bytes(bytes) => {
            head(2, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len() as u64, out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(pairs) => {
            head(5, pairs.len() as u64, out);
            pairs.iter().for_each(|(key, value)| {
                write(key, out);
                write(value, out);
            });
        }
        Value::Tag(number, value) => {
            head(6, *number, out);
            write(value, out);
        }
        Value::Bool(value) => out.push(0xf4 | u8::from(*value)),
    }
}

fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let (short, bytes) = match number {
        0..=23 => (number.to_be_bytes()[7], 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | short);
    out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
}
