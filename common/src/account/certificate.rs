//! Which device stands behind a transport? Certificates for throw-away keys (spec 05).

use crate::{
    codec::{DecodeError, Reader, Writer},
    envelope::Payload,
    limits::{CERTIFICATE_ENVELOPE_BYTES_MAX, TRANSPORT_ID_BYTES_MAX},
};

/// A device's certificate for the throw-away key of its transport; shown inside an encrypted link
/// to devices that it knows, and nowhere else (spec 05).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportCert {
    /// The transport id (libp2p peer id) that the device uses.
    pub transport: Box<[u8]>,
    /// The transport id that it talks to: the certificate serves on one link only.
    pub audience: Box<[u8]>,
    /// Milliseconds since the Unix epoch after which the certificate is void.
    pub not_after: u64,
}

impl Payload for TransportCert {
    const KIND: u64 = 4;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/transport-cert/1";
    const ENVELOPE_BYTES_MAX: usize = CERTIFICATE_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                transport: m.required(0)?.bytes("transport id", TRANSPORT_ID_BYTES_MAX)?.into(),
                audience: m.required(1)?.bytes("transport id", TRANSPORT_ID_BYTES_MAX)?.into(),
                not_after: m.required(2)?.uint()?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3);
        writer.uint(0).bytes(&self.transport);
        writer.uint(1).bytes(&self.audience);
        writer.uint(2).uint(self.not_after);
    }
}
