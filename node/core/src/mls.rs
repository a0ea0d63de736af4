//! How is what waits in a mailbox sealed for one device? With MLS (RFC 9420), in groups of two.
//!
//! A device that wants to write to another makes a group with it from one of its packages, and is
//! the only one who writes in it; nobody ever commits to it again. A new group takes the place of
//! the old one when it is due: each heals both ends, and any order of arrival is right. What is
//! made here are bytes; time and randomness are handed in, and the state of a group is a value.
//!
//! | file | answers |
//! |---|---|
//! | `package` | what must another device have to write to us? |
//! | `sending` | how is something sealed? |
//! | `receiving` | how is it opened? |
//! | `state` | how is a group kept? |
//! | `provider` | how does the library compute? |
//! | `desk` | what does the library see of us? |

mod desk;
mod package;
pub mod provider;
mod receiving;
mod sending;
mod state;
#[cfg(test)]
mod tests;

use core::fmt;

use mls_rs::{MlsMessage, MlsMessageDescription, error::MlsError as Fault};
use thiserror::Error;

pub use self::{
    package::{CheckedPackage, Package, PackageSecret, check_package, make_package},
    receiving::{Receiving, join, welcome_package},
    sending::Sending,
};
use crate::limits::SEALED_BYTES_MAX;

/// `mls10` of RFC 9420 §6, with which every message begins.
const MLS_1_0: [u8; 2] = 1_u16.to_be_bytes();

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            fn read(bytes: &[u8]) -> Result<Self, MlsError> {
                bytes.try_into().map(Self).map_err(|_| MlsError::Malformed)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!($label, ":{:02x}{:02x}{:02x}{:02x}"), a, b, c, d)
            }
        }
    };
}

id!(
    /// Names a group: random, made by who writes in it.
    GroupId,
    "group"
);
id!(
    /// Names a package: `KeyPackageRef` of RFC 9420 §5.2.
    PackageRef,
    "package"
);

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MlsError {
    /// More bytes than are taken.
    #[error("{bytes} bytes where at most {max} are taken")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many may be.
        max: usize,
    },
    /// These bytes are not what they should be.
    #[error("the bytes are not what they should be")]
    Malformed,
    /// A cipher suite that is not ours.
    #[error("another cipher suite")]
    Suite,
    /// A package of another device than it should be.
    #[error("a package of another device")]
    OtherDevice,
    /// A package that is not valid yet, or no more.
    #[error("a package that is not valid now")]
    Lifetime,
    /// A welcome that was made for another package.
    #[error("a welcome for another package")]
    OtherPackage,
    /// A welcome by another device than was expected.
    #[error("a welcome by another device")]
    OtherSender,
    /// A group that has not exactly the two members that ours have, or not in that order.
    #[error("a group that is none of ours")]
    OtherGroup,
    /// A signature, a tag or an encryption does not hold.
    #[error("it does not open or was not signed by who it should be")]
    Forged,
    /// This message was opened already.
    #[error("message {0} of this group was opened already")]
    Opened(u32),
    /// A message number that no group reaches.
    #[error("message {0} is further than a group goes")]
    Beyond(u32),
    /// No message, but a proposal or a commit.
    #[error("no message, but something that would change the group")]
    NoMessage,
    /// The group has carried as many messages as it may.
    #[error("the group has carried as many messages as it may")]
    Spent,
    /// The state is not one of this version.
    #[error("the state of a group or a package cannot be read")]
    State,
    /// Refused by a rule of MLS.
    #[error("refused by a rule of MLS")]
    Refused,
}

impl From<Fault> for MlsError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::SerializationError(_) | Fault::UnexpectedMessageType => Self::Malformed,
            Fault::UnsupportedCipherSuite(_) | Fault::CipherSuiteMismatch => Self::Suite,
            Fault::InvalidLifetime { .. } => Self::Lifetime,
            Fault::WelcomeKeyPackageNotFound => Self::OtherPackage,
            Fault::GroupIdMismatch | Fault::InvalidEpoch | Fault::EpochNotFound => Self::OtherGroup,
            Fault::InvalidSignature
            | Fault::InvalidConfirmationTag
            | Fault::InvalidMembershipTag
            | Fault::CryptoProviderError(_) => Self::Forged,
            Fault::IdentityProviderError(_) => Self::OtherDevice,
            Fault::KeyMissing(number) => Self::Opened(number),
            Fault::InvalidFutureGeneration(number) => Self::Beyond(number),
            _ => Self::Refused,
        }
    }
}

/// The group that a sealed message belongs to.
///
/// # Errors
/// [`MlsError::TooLarge`], [`MlsError::Malformed`] or [`MlsError::NoMessage`].
pub fn group_of(sealed: &[u8]) -> Result<GroupId, MlsError> {
    read_sealed(sealed).map(|(_, group)| group)
}

fn read_sealed(sealed: &[u8]) -> Result<(MlsMessage, GroupId), MlsError> {
    let message = read(sealed, SEALED_BYTES_MAX)?;
    let MlsMessageDescription::PrivateProtocolMessage { group_id, content_type, .. } =
        message.description()
    else {
        return Err(MlsError::Malformed);
    };
    if content_type != mls_rs::group::ContentType::Application {
        return Err(MlsError::NoMessage);
    }
    let group = GroupId::read(group_id)?;
    Ok((message, group))
}

fn read(bytes: &[u8], max: usize) -> Result<MlsMessage, MlsError> {
    if bytes.len() > max {
        return Err(MlsError::TooLarge { bytes: bytes.len(), max });
    }
    // The library does not look at the version in front, which no signature covers.
    if !bytes.starts_with(&MLS_1_0) {
        return Err(MlsError::Malformed);
    }
    MlsMessage::from_bytes(bytes).map_err(|_| MlsError::Malformed)
}
