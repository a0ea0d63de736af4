//! What does everybody say to a service, and how does it refuse? (spec 20)
//!
//! A request is an envelope whose payload begins with a [`Stamp`]; a refusal is a [`Failure`].
//! Each service has a file of its own below.

use std::borrow::Cow;

use thiserror::Error;

use crate::{
    codec::{DecodeError, Fields, Reader, Writer},
    envelope::{Payload, Signed, Verified},
    limits::{AUDIENCE_BYTES_MAX, CODE_BYTES_MAX, REQUEST_AGE_MS_MAX, SENTENCE_BYTES_MAX, SEQ_MAX},
    time::Timestamp,
};

pub mod mailbox;

/// Bytes of the random number that makes each request another one.
pub const NONCE_BYTES: usize = 16;

/// Whom a request is for, when it was made, and which one it is: fields 0 to 2 of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Host, and port if it is not the usual one, in lower case; 1 to 256 bytes.
    pub audience: String,
    /// When it was signed, by the clock that the server is known to have.
    pub time: Timestamp,
    /// Random.
    pub nonce: [u8; NONCE_BYTES],
}

impl Stamp {
    pub(crate) fn read(m: &mut Fields<'_, '_>) -> Result<Self, DecodeError> {
        let audience = some_text(m.required(0)?, "audience", AUDIENCE_BYTES_MAX)?;
        let millis = m.required(1)?.uint_max("time", Timestamp::LAST.millis())?;
        let nonce = m.required(2)?.fixed("nonce")?;
        Ok(Self { audience, time: Timestamp::from_millis(millis), nonce })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.uint(0).text(&self.audience).uint(1).uint(self.time.millis());
        writer.uint(2).bytes(&self.nonce);
    }
}

pub(crate) fn some_text(
    reader: &mut Reader<'_>,
    what: &'static str,
    limit: usize,
) -> Result<String, DecodeError> {
    let text = reader.text(what, limit)?;
    if text.is_empty() { Err(DecodeError::Value(what)) } else { Ok(text.to_owned()) }
}

/// A signed request to a service.
pub trait Request: Payload {
    /// Its first three fields.
    fn stamp(&self) -> &Stamp;
}

/// Reads and believes a request: its form, whom it is for (R2), its time (R3), its signature, in
/// this order, so that what is cheap to see comes first. Whether it came before is for the caller to
/// know.
///
/// # Errors
/// `malformed`, `wrong-audience`, `stale` with the time `now`, `bad-signature`.
pub fn believed<T: Request>(
    envelope: &[u8],
    is_audience: impl FnOnce(&str) -> bool,
    now: Timestamp,
) -> Result<Verified<T>, Failure> {
    let signed = Signed::<T>::decode(envelope).map_err(|_| Code::Malformed)?;
    let stamp = signed.claim().stamp();
    if !is_audience(&stamp.audience) {
        return Err(Code::WrongAudience.into());
    }
    if stamp.time.millis().abs_diff(now.millis()) > REQUEST_AGE_MS_MAX {
        return Err(Failure::with(Code::Stale, now.millis()));
    }
    signed.verify().map_err(|_| Code::BadSignature.into())
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $sentence:literal;)*) => {
        /// Why a service refused. The texts stay as they are for ever.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it travels.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What to do about it, in a sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

codes! {
    /// No request of the spec.
    Malformed = "malformed", 400, "no request that this server knows, or it came cut short: check the address, try again, or update the program";
    /// The request names another server.
    WrongAudience = "wrong-audience", 400, "this server does not go by that name: ask who runs it for the right address";
    /// A blob that has none of the five sizes.
    BadClass = "bad-class", 400, "a blob has 4, 16, 64, 256 or 1024 KiB exactly: pad it";
    /// The signature does not hold.
    BadSignature = "bad-signature", 401, "the signature does not hold: sign the request with the key that it names";
    /// Signed too long ago or too far ahead; the value is the server's time in milliseconds.
    Stale = "stale", 401, "the request is too old or from the future: sign it anew with the time that stands here";
    /// The server wants an access word.
    Access = "access", 403, "the access word is missing or wrong: ask who runs the server, then kith mailbox set URL --access WORD";
    /// No queue has this key as what is needed.
    UnknownQueue = "unknown-queue", 404, "no queue has this key: it was closed or never opened here";
    /// The same request came before.
    Replayed = "replayed", 409, "this request was seen before: sign a new one";
    /// A key belongs to another queue.
    Taken = "taken", 409, "one of the keys belongs to another queue: make new keys";
    /// The connection serves another owner or writer.
    OtherQueue = "other-queue", 409, "this connection serves another queue: open one for each";
    /// Larger than what is allowed; the value says how many bytes are.
    TooLarge = "too-large", 413, "the request is larger than this server takes";
    /// Too many requests from one address; the value says for how many milliseconds to wait.
    SlowDown = "slow-down", 429, "too many requests: wait as long as it says here, then try again";
    /// Stopping, or its database is away.
    Unavailable = "unavailable", 503, "the server cannot answer now: try again later or elsewhere";
    /// The queue has no room for this blob.
    Full = "full", 507, "the queue is full until its owner comes: try again later";
    /// The server has no room for another queue or blob.
    NoRoom = "no-room", 507, "the server is full: try again later or elsewhere";
}

impl Code {
    /// The code with this text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.text() == text)
    }
}

/// A refusal of a service.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{sentence} ({})", .code.text())]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people; at most 256 bytes.
    pub sentence: Cow<'static, str>,
    /// What the code says that it is.
    pub value: Option<u64>,
}

impl Failure {
    /// A refusal in the words of its code, with a value.
    pub const fn with(code: Code, value: u64) -> Self {
        Self { code, sentence: Cow::Borrowed(code.sentence()), value: Some(value) }
    }

    /// Reads a refusal.
    ///
    /// # Errors
    /// If it is none. A code of a later version counts as none: the reader knows no more than that
    /// the server did not do it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::all(bytes, |reader| {
            reader.map(|m| {
                let code = m.required(0)?.text("code", CODE_BYTES_MAX)?;
                let code = Code::named(code).ok_or(DecodeError::Value("code"))?;
                let sentence = m.required(1)?.text("sentence", SENTENCE_BYTES_MAX)?.to_owned();
                let value = m.optional(2)?.map(|r| r.uint_max("value", SEQ_MAX)).transpose()?;
                Ok(Self { code, sentence: Cow::Owned(sentence), value })
            })
        })
    }

    /// Writes the refusal.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(2 + usize::from(self.value.is_some()));
        writer.uint(0).text(self.code.text()).uint(1).text(&self.sentence);
        if let Some(value) = self.value {
            writer.uint(2).uint(value);
        }
        writer.finish()
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { code, sentence: Cow::Borrowed(code.sentence()), value: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refusals_come_back() {
        for code in Code::ALL {
            assert!(code.text().len() <= CODE_BYTES_MAX && (400..600).contains(&code.status()));
            assert!(code.sentence().len() <= SENTENCE_BYTES_MAX);
            for failure in [Failure::from(*code), Failure::with(*code, SEQ_MAX)] {
                assert_eq!(Failure::decode(&failure.encode()), Ok(failure));
            }
        }
    }

    #[test]
    fn a_code_of_a_later_version_is_no_refusal_we_know() {
        let mut writer = Writer::new();
        writer.map(2).uint(0).text("later").uint(1).text("");
        assert_eq!(Failure::decode(&writer.finish()), Err(DecodeError::Value("code")));
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>) {
            let _ = Failure::decode(&bytes);
        }
    }
}
