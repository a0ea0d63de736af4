//! What has a device received? Its signed statement, the only proof of delivery (spec 04).

use crate::{
    codec::{DecodeError, Reader, Writer},
    entry::Mark,
    envelope::Payload,
    ids::LogId,
    limits::{FRONTIER_ENVELOPE_BYTES_MAX, FRONTIER_MARKS_MAX},
};

/// How far a device has received, and read, the chain of every device in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    /// The log.
    pub log: LogId,
    /// The last entry of each chain that was durably stored, every earlier one included.
    pub received: Vec<Mark>,
    /// The last entry of each chain that was read; empty unless the person shares that.
    pub read: Vec<Mark>,
}

impl Payload for Frontier {
    const KIND: u64 = 6;
    const VERSION: u64 = 1;
    const DOMAIN: &'static str = "kith/frontier/1";
    const ENVELOPE_BYTES_MAX: usize = FRONTIER_ENVELOPE_BYTES_MAX;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.map(|m| {
            Ok(Self {
                log: LogId::from_bytes(m.required(0)?.fixed("log")?),
                received: Mark::read_list(m.required(1)?, "marks", FRONTIER_MARKS_MAX)?,
                read: Mark::read_list(m.required(2)?, "marks", FRONTIER_MARKS_MAX)?,
            })
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(3).uint(0).bytes(self.log.as_bytes());
        writer.uint(1);
        Mark::write_list(&self.received, writer);
        writer.uint(2);
        Mark::write_list(&self.read, writer);
    }
}
