//! What happens when the bytes are not what they should be? One function for each decoder and one
//! for the engine, used by the fuzzing binaries and by the replay test.
//!
//! | file | answers |
//! |---|---|
//! | `codec` | does the codec accept exactly one form of every value? |
//! | `envelope` | does every envelope have one form? |
//! | `account` | does an account follow from the set of its envelopes alone? |
//! | `frame` | does every frame have one form, and every body? |
//! | `share` | does every shared string, link and code have one form? |
//! | `mail` | does everything about mail have one form? |
//! | `finding` | is what devices leave for each other read in full or refused? |
//! | `record` | does a node open on any record? |
//! | `engine` | does the engine hold its rules, whatever comes? |
//! | `cbor` | what may a byte string mean, read slowly? |
//! | `cast` | who takes part? |
//! | `seeds` | where does a corpus begin? |
//! | `source` | how does a list of operations become bytes and back? |

use kith_common::{
    account::{
        Absorbs, Checkpoint, Cut, DeviceAck, DeviceAdd, DeviceRetire, DeviceUntrust, Genesis,
        MovedTo, Seat, TransportCert,
    },
    entry::Entry,
    frame::ContactRequest,
    frontier::Frontier,
    linking::{JoinRequest, LinkAccept, LinkOffer},
    own::Clear,
};

mod account;
pub mod cast;
mod cbor;
mod codec;
pub mod engine;
mod envelope;
mod finding;
mod frame;
pub mod mail;
pub mod record;
pub mod seeds;
mod share;
pub mod source;

/// A function that panics on bytes that break a rule.
pub type Target = fn(&[u8]);

/// All targets by the names of their binaries and corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("envelope_genesis", envelope::envelope::<Genesis>),
    ("envelope_device_ack", envelope::envelope::<DeviceAck>),
    ("envelope_device_add", envelope::envelope::<DeviceAdd>),
    ("envelope_device_untrust", envelope::envelope::<DeviceUntrust>),
    ("envelope_device_retire", envelope::envelope::<DeviceRetire>),
    ("envelope_checkpoint", envelope::envelope::<Checkpoint>),
    ("envelope_seat", envelope::envelope::<Seat>),
    ("envelope_cut", envelope::envelope::<Cut>),
    ("envelope_moved_to", envelope::envelope::<MovedTo>),
    ("envelope_absorbs", envelope::envelope::<Absorbs>),
    ("envelope_clear", envelope::envelope::<Clear>),
    ("envelope_join_request", envelope::envelope::<JoinRequest>),
    ("envelope_link_offer", envelope::envelope::<LinkOffer>),
    ("envelope_link_accept", envelope::envelope::<LinkAccept>),
    ("envelope_transport_cert", envelope::envelope::<TransportCert>),
    ("envelope_entry", envelope::envelope::<Entry>),
    ("envelope_frontier", envelope::envelope::<Frontier>),
    ("envelope_contact_request", envelope::envelope::<ContactRequest>),
    ("account_fold", account::account_fold),
    ("codec", codec::codec),
    ("frame", frame::frame),
    ("text_body", frame::text_body),
    ("own_body", frame::own_body),
    ("link_code", share::link_code),
    ("shared_string", share::shared_string),
    ("link", share::link),
    ("mail", mail::mail),
    ("service", mail::service),
    ("mls", mail::for_mls),
    ("joining", mail::joining),
    ("finding", finding::finding),
    ("record", record::record),
    ("engine", engine::engine),
];

/// Runs one target.
///
/// # Panics
/// If there is no such target, or the bytes break one of its rules.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = found.expect("a target of this name");
    target(data);
}
