//! Does every envelope have one form, and does what it says survive being signed again?

use core::fmt::Debug;

use kith_common::{
    codec::Writer,
    crypto::SIGNATURE_BYTES,
    envelope::{self, Payload, Signed, sign},
    ids::EntryId,
};

use crate::{cast::CAST, cbor::Value};

const WHOLE: u8 = 0;
const WITH_HEADER: u8 = 2;

/// The first byte says whether a whole envelope follows, or a payload to be put into one, or an
/// unprotected header with its length and a payload.
pub(crate) fn envelope<T: Payload + Clone + PartialEq + Debug>(data: &[u8]) {
    match data.split_first() {
        Some((&WHOLE, bytes)) => check::<T>(bytes),
        Some((&WITH_HEADER, rest)) => {
            let Some((length, rest)) = rest.split_first() else { return };
            let Some((header, payload)) = rest.split_at_checked(usize::from(*length)) else {
                return;
            };
            check::<T>(&with_header(&wrapped::<T>(payload), header));
        }
        Some((_, payload)) => check::<T>(&wrapped::<T>(payload)),
        None => {}
    }
}

/// An envelope around any payload, with a signature that does not hold.
pub(crate) fn wrapped<T: Payload>(payload: &[u8]) -> Vec<u8> {
    let signer = CAST.bob.devices[0].public();
    parts(&protected::<T>(signer), payload, &[7; SIGNATURE_BYTES]).encode()
}

/// The envelope with other bytes in place of its unprotected header.
pub(crate) fn with_header(envelope: &[u8], header: &[u8]) -> Vec<u8> {
    let (before, behind) = envelope.split_at(4 + usize::from(envelope[3]));
    [before, header, &behind[1..]].concat()
}

/// An envelope with a signature that does not hold.
pub(crate) fn unsigned<T: Payload>(signer: &[u8; 32], value: &T) -> Vec<u8> {
    parts(&protected::<T>(signer), &written(value), &[7; SIGNATURE_BYTES]).encode()
}

pub(crate) fn check<T: Payload + Clone + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(signed) = Signed::<T>::decode(bytes) else { return };
    assert!(bytes.len() <= T::ENVELOPE_BYTES_MAX);
    assert_eq!(signed.id(), EntryId::of(bytes));
    assert_eq!(envelope::kind(bytes), Ok(T::KIND));
    let payload = payload(bytes);
    let known = Value::parse(&payload).expect("the payload is in the one allowed form");
    let known = known.without_extensions().encode();
    assert_eq!(written(signed.claim()), known, "the value is what stands in the payload");

    let (_, signature) = bytes.split_at(bytes.len() - SIGNATURE_BYTES);
    let again = parts(&protected::<T>(signed.signer()), &payload, signature).encode();
    assert_eq!(again, bytes, "no byte but the payload and the signature is free");

    let resigned = sign(&CAST.bob.devices[0], signed.claim().clone());
    assert_eq!(resigned.value(), signed.claim());
    let read = Signed::<T>::decode(resigned.bytes()).expect("what is signed can be read");
    assert_eq!(read.verify().expect("what is signed holds"), resigned);
    assert_eq!(self::payload(resigned.bytes()), known);

    if let Ok(verified) = signed.verify() {
        assert_eq!(verified.bytes(), bytes);
        assert_eq!(*verified.into_bytes(), *bytes);
    }
}

fn written<T: Payload>(value: &T) -> Vec<u8> {
    let mut writer = Writer::new();
    value.write(&mut writer);
    writer.finish()
}

/// The payload by the slow reading.
pub(crate) fn payload(envelope: &[u8]) -> Vec<u8> {
    let Some(Value::Tag(18, content)) = Value::parse(envelope) else {
        panic!("an envelope is in the one allowed form: {envelope:02x?}");
    };
    let Value::Array(parts) = *content else { panic!("an envelope has four parts") };
    let [_, Value::Map(unprotected), Value::Bytes(payload), _] = parts.as_slice() else {
        panic!("an envelope has four parts");
    };
    assert!(unprotected.is_empty(), "no signature covers the unprotected header");
    payload.clone()
}

fn protected<T: Payload>(signer: &[u8; 32]) -> Vec<u8> {
    Value::Map(vec![
        (Value::Uint(1), Value::Negative(7)),
        (Value::Uint(4), Value::Bytes(signer.to_vec())),
        (Value::Negative(65_536), Value::Uint(T::KIND)),
        (Value::Negative(65_537), Value::Uint(T::VERSION)),
    ])
    .encode()
}

fn parts(protected: &[u8], payload: &[u8], signature: &[u8]) -> Value {
    let bytes = |part: &[u8]| Value::Bytes(part.to_vec());
    let unprotected = Value::Map(Vec::new());
    let content = vec![bytes(protected), unprotected, bytes(payload), bytes(signature)];
    Value::Tag(18, Box::new(Value::Array(content)))
}
