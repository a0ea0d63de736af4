//! What did we not accept? The peer's faults: typed, counted, without contents.

use std::collections::BTreeMap;

use kith_common::{account::AccountError, codec::DecodeError};
use thiserror::Error;

/// Something that a peer sent and that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A frame or envelope is not well-formed.
    #[error("malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// An account is not proven.
    #[error("account not proven: {0}")]
    Account(#[from] AccountError),
    /// A signature does not hold.
    #[error("a signature does not hold")]
    Signature,
    /// A body is not the one that its entry names.
    #[error("a body is not the one that was signed")]
    Body,
    /// An entry is of another log than it was sent for.
    #[error("an entry belongs to another log")]
    OtherLog,
    /// The writer may not write in this log.
    #[error("the writer may not write in this log")]
    NotEntitled,
    /// A device of ours speaks of somebody whom we do not know yet.
    #[error("the log is not known yet")]
    UnknownLog,
    /// The peer asked for or offered something before it was known.
    #[error("sent before the session was established")]
    NoSession,
    /// A certificate that is not for this link, expired, or of another device.
    #[error("the certificate does not serve on this link")]
    Certificate,
    /// A certificate that would serve, by a clock too far from ours.
    #[error("the clocks differ by about {days} days")]
    ClocksApart {
        /// By about how many days, from 2.
        days: u64,
    },
    /// Two entries of one device with one sequence number.
    #[error("a device wrote two entries with one number")]
    Fork,
    /// What a former device wrote after it was cut off.
    #[error("the device was cut off before it wrote this")]
    BeyondCut,
    /// The account of the writer is disputed.
    #[error("the writer's devices accuse each other")]
    Disputed,
    /// A parent of the own chain.
    #[error("the entry's place in the graph is wrong")]
    Place,
    /// The clock is too far ahead; may come again later.
    #[error("the entry's clock is too far ahead")]
    AheadOfClock,
    /// Too much waits already.
    #[error("too many entries wait for what they depend on")]
    PendingFull,
    /// More devices write than a log may have.
    #[error("too many writers in one log")]
    AuthorsFull,
    /// A record that is none, or does not open.
    #[error("a record that does not serve")]
    Record,
    /// More keys of records on one link than an honest node looks for.
    #[error("too many records looked for on one link")]
    TooManySeeks,
    /// A letter that does not open, or is not for this device.
    #[error("a letter that does not open")]
    Letter,
    /// A contact request that is not for this device or this link.
    #[error("a contact request for somebody else")]
    RequestNotForUs,
    /// More hellos and requests on one link than an honest node has reason for.
    #[error("too many hellos and requests on one link")]
    TooManyIntroductions,
    /// More contact requests on one link than an honest node has reason for.
    #[error("too many contact requests on one link")]
    TooManyRequests,
    /// An account with more devices than can be known beside those of others.
    #[error("too many devices to know")]
    DevicesFull,
    /// Too many requests wait for an answer.
    #[error("too many contact requests wait for an answer")]
    RequestsFull,
    /// More links than the engine keeps.
    #[error("too many links")]
    LinksFull,
}

impl Refusal {
    /// A short name for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Account(_) => "account_not_proven",
            Self::Signature => "bad_signature",
            Self::Body => "bad_body",
            Self::OtherLog => "other_log",
            Self::NotEntitled => "not_entitled",
            Self::UnknownLog => "unknown_log",
            Self::NoSession => "no_session",
            Self::Certificate => "bad_certificate",
            Self::ClocksApart { .. } => "clocks_apart",
            Self::Fork => "fork",
            Self::BeyondCut => "beyond_cut",
            Self::Disputed => "disputed",
            Self::Place => "bad_place",
            Self::AheadOfClock => "ahead_of_clock",
            Self::PendingFull => "pending_full",
            Self::AuthorsFull => "authors_full",
            Self::Record => "bad_record",
            Self::TooManySeeks => "too_many_seeks",
            Self::Letter => "bad_letter",
            Self::RequestNotForUs => "request_not_for_us",
            Self::TooManyIntroductions => "too_many_introductions",
            Self::TooManyRequests => "too_many_requests",
            Self::DevicesFull => "devices_full",
            Self::RequestsFull => "requests_full",
            Self::LinksFull => "links_full",
        }
    }

    /// Whether an honest peer may cause it, so that it does not count against the link.
    pub const fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::AheadOfClock
                | Self::AuthorsFull
                | Self::BeyondCut
                | Self::Disputed
                | Self::Fork
                | Self::PendingFull
                | Self::RequestNotForUs
                | Self::RequestsFull
                | Self::DevicesFull
                | Self::NoSession
                | Self::Record
                | Self::TooManySeeks
                | Self::UnknownLog
        )
    }
}

/// How often each thing was refused since the start.
#[derive(Debug, Clone, Default)]
pub struct Refusals(BTreeMap<&'static str, u64>);

impl Refusals {
    pub(crate) fn count(&mut self, refusal: Refusal) {
        let count = self.0.entry(refusal.name()).or_default();
        *count = count.saturating_add(1);
    }

    /// The counters by name.
    pub const fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}
