//! How do requests and answers share a WebSocket? (spec 20 R11)
//!
//! A message is a number and the body that an HTTP request or reply would have. The number of an
//! answer is that of its request.

use super::Operation;
use crate::{
    codec::{DecodeError, Reader},
    limits::{FETCHED_BYTES_MAX, PUT_BODY_BYTES_MAX},
};

/// Bytes of a message in front of its body.
const HEAD_BYTES: usize = 2;
const ARRAY_OF_TWO: u8 = 0x82;
const FAILURE: u8 = 0;
const NEWS: u8 = 6;

/// Largest message to a server in bytes.
pub const ASKED_BYTES_MAX: usize = HEAD_BYTES + PUT_BODY_BYTES_MAX;
/// Largest message of a server in bytes.
pub const ANSWERED_BYTES_MAX: usize = HEAD_BYTES + FETCHED_BYTES_MAX;

/// What a server says; bodies as in a reply of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'b> {
    /// The request was refused; the body is a [`Failure`](crate::service::Failure).
    Refused(&'b [u8]),
    /// The answer to a request of this kind.
    Done(Operation, &'b [u8]),
    /// Something has come.
    News,
}

/// Writes a request.
pub fn ask(operation: Operation, body: &[u8]) -> Vec<u8> {
    message(number(operation), body)
}

/// Reads a request; its body is read by whoever knows the operation.
///
/// # Errors
/// If it is none.
pub fn asked(message: &[u8]) -> Result<(Operation, &[u8]), DecodeError> {
    let (number, body) = split(message)?;
    let operation = operation(number).ok_or(DecodeError::UnknownCritical(u64::from(number)))?;
    Ok((operation, body))
}

impl<'b> Answer<'b> {
    /// Reads what a server says.
    ///
    /// # Errors
    /// If it is nothing that this version knows.
    pub fn decode(message: &'b [u8]) -> Result<Self, DecodeError> {
        match split(message)? {
            (FAILURE, body) => Ok(Self::Refused(body)),
            (NEWS, body) => Reader::all(body, |reader| reader.map(|_| Ok(Self::News))),
            (number, body) => operation(number)
                .map(|operation| Self::Done(operation, body))
                .ok_or(DecodeError::UnknownCritical(u64::from(number))),
        }
    }

    /// Writes it.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Refused(body) => message(FAILURE, body),
            Self::Done(operation, body) => message(number(operation), body),
            Self::News => message(NEWS, &[0xa0]),
        }
    }
}

const fn number(operation: Operation) -> u8 {
    match operation {
        Operation::Open => 1,
        Operation::Put => 2,
        Operation::Fetch => 3,
        Operation::Status => 4,
        Operation::Close => 5,
    }
}

fn operation(found: u8) -> Option<Operation> {
    Operation::ALL.into_iter().find(|operation| number(*operation) == found)
}

fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEAD_BYTES + body.len());
    message.extend_from_slice(&[ARRAY_OF_TWO, number]);
    message.extend_from_slice(body);
    message
}

/// Numbers up to 23 are one byte, and none is larger.
const fn split(message: &[u8]) -> Result<(u8, &[u8]), DecodeError> {
    match message {
        [ARRAY_OF_TWO, number @ 0..=23, body @ ..] => Ok((*number, body)),
        [] | [_] => Err(DecodeError::Malformed),
        [_, _, ..] => Err(DecodeError::Value("message")),
    }
}
