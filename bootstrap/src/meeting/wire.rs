//! How do requests about meeting places look on the wire? As libp2p's rendezvous specification has
//! them: one message each way on a stream, its length in front.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use prost::Message as _;

use super::Refusal;
use crate::limits::MEETING_BYTES_MAX;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    /// To be registered.
    Register {
        /// Where.
        namespace: String,
        /// Whoever it is and its addresses, signed.
        signed: Vec<u8>,
        /// For how long.
        seconds: Option<u64>,
    },
    /// To be registered no longer.
    Unregister {
        /// Where.
        namespace: String,
    },
    /// Who is registered.
    Discover {
        /// Where; empty is nowhere.
        namespace: String,
        /// How many are wanted.
        limit: Option<u64>,
    },
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Registered for so many seconds.
    Registered(Result<u64, Refusal>),
    /// They are registered in this namespace.
    Discovered(Result<(String, Vec<Registered>), Refusal>),
}

/// Somebody who is registered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registered {
    pub(crate) signed: Vec<u8>,
    pub(crate) seconds: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(enumeration = "Kind", optional, tag = "1")]
    kind: Option<i32>,
    #[prost(message, optional, tag = "2")]
    register: Option<Register>,
    #[prost(message, optional, tag = "3")]
    registered: Option<RegisterResponse>,
    #[prost(message, optional, tag = "4")]
    unregister: Option<Unregister>,
    #[prost(message, optional, tag = "5")]
    discover: Option<Discover>,
    #[prost(message, optional, tag = "6")]
    discovered: Option<DiscoverResponse>,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Register = 0,
    RegisterResponse = 1,
    Unregister = 2,
    Discover = 3,
    DiscoverResponse = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Register {
    #[prost(string, optional, tag = "1")]
    namespace: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    signed: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "3")]
    seconds: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RegisterResponse {
    #[prost(int32, optional, tag = "1")]
    status: Option<i32>,
    #[prost(uint64, optional, tag = "3")]
    seconds: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Unregister {
    #[prost(string, optional, tag = "1")]
    namespace: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Discover {
    #[prost(string, optional, tag = "1")]
    namespace: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    limit: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DiscoverResponse {
    #[prost(message, repeated, tag = "1")]
    registrations: Vec<Register>,
    #[prost(bytes = "vec", optional, tag = "2")]
    cookie: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    status: Option<i32>,
}

const OK: i32 = 0;

const fn status(refusal: Refusal) -> i32 {
    match refusal {
        Refusal::Namespace => 100,
        Refusal::NotAuthorised => 200,
        Refusal::PeerFull | Refusal::Full => 400,
    }
}

impl Request {
    fn read(bytes: &[u8]) -> Option<Self> {
        let message = Message::decode(bytes).ok()?;
        Some(match Kind::try_from(message.kind?).ok()? {
            Kind::Register => {
                let Register { namespace, signed, seconds } = message.register?;
                Self::Register {
                    namespace: namespace.unwrap_or_default(),
                    signed: signed?,
                    seconds,
                }
            }
            Kind::Unregister => {
                Self::Unregister { namespace: message.unregister?.namespace.unwrap_or_default() }
            }
            // Whoever was told before is told all again: what it knows is not remembered here.
            Kind::Discover => {
                let Discover { namespace, limit } = message.discover?;
                Self::Discover { namespace: namespace.unwrap_or_default(), limit }
            }
            Kind::RegisterResponse | Kind::DiscoverResponse => return None,
        })
    }
}

impl Answer {
    fn write(self) -> Vec<u8> {
        let message = match self {
            Self::Registered(registered) => Message {
                kind: Some(Kind::RegisterResponse as i32),
                registered: Some(RegisterResponse {
                    status: Some(registered.err().map_or(OK, status)),
                    seconds: registered.ok(),
                }),
                ..Message::default()
            },
            Self::Discovered(found) => Message {
                kind: Some(Kind::DiscoverResponse as i32),
                discovered: Some(match found {
                    Ok((namespace, found)) => discovered(&namespace, found),
                    Err(refusal) => DiscoverResponse {
                        status: Some(status(refusal)),
                        ..DiscoverResponse::default()
                    },
                }),
                ..Message::default()
            },
        };
        message.encode_length_delimited_to_vec()
    }
}

fn discovered(namespace: &str, found: Vec<Registered>) -> DiscoverResponse {
    let registrations = found.into_iter().map(|one| Register {
        namespace: Some(namespace.to_owned()),
        signed: Some(one.signed),
        seconds: Some(one.seconds),
    });
    // Clients want one; it says nothing.
    let cookie = [&[0; 8], namespace.as_bytes()].concat();
    DiscoverResponse {
        registrations: registrations.collect(),
        cookie: Some(cookie),
        status: Some(OK),
    }
}

/// Reads requests and writes answers.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Codec;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Answer;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Request> {
        let length = read_length(io).await?;
        let mut bytes = vec![0; length];
        io.read_exact(&mut bytes).await?;
        Request::read(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        answer: Answer,
    ) -> io::Result<()> {
        io.write_all(&answer.write()).await
    }

    /// Nothing is asked from here.
    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Answer> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nothing is asked from here.
    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Request,
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The length in front of a message: seven bits a byte, the last one below 128.
async fn read_length(io: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<usize> {
    let mut length = 0;
    for shift in [0, 7] {
        let mut byte = [0];
        io.read_exact(&mut byte).await?;
        let [byte] = byte;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 && length <= MEETING_BYTES_MAX {
            return Ok(length);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use libp2p::request_response::Codec as _;

    use super::*;

    const NAME: StreamProtocol = StreamProtocol::new("/rendezvous/1.0.0");

    async fn read(bytes: &[u8]) -> io::Result<Request> {
        Codec.read_request(&NAME, &mut Cursor::new(bytes)).await
    }

    #[tokio::test]
    async fn requests_are_read_within_bounds() {
        let discover = Message {
            kind: Some(Kind::Discover as i32),
            discover: Some(Discover { namespace: Some("here".to_owned()), limit: Some(3) }),
            ..Message::default()
        };
        let bytes = discover.encode_length_delimited_to_vec();
        let expected = Request::Discover { namespace: "here".to_owned(), limit: Some(3) };
        assert_eq!(read(&bytes).await.unwrap(), expected);
        assert!(read(&bytes[..bytes.len() - 1]).await.is_err());
        let long = Message {
            kind: Some(Kind::Unregister as i32),
            unregister: Some(Unregister { namespace: Some("x".repeat(MEETING_BYTES_MAX)) }),
            ..Message::default()
        };
        assert!(read(&long.encode_length_delimited_to_vec()).await.is_err());
        for bytes in [&[][..], &[0], &[0xff; 5], &[0x80, 0x80, 0x01], &[2, 8, 1], &[2, 8, 9]] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
    }
    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            kind in 0..6_u8,
        ) {
            let _ = Request::read(&bytes);
            let _ = Request::read(&[&[8, kind][..], &bytes].concat());
        }
    }
}
