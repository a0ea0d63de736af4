//! How does a device join? The two ends of the conversation that the code begins (spec 08).
//!
//! ```text
//!   host     the old device: shows a code, answers guests, on links and by mail
//!   joiner   the new one: read the code, shows the check number
//!   by_mail  the new one while the old one is not there: a queue, and what is asked of its server
//! ```

mod by_mail;
mod host;
mod joiner;
mod record;
#[cfg(test)]
mod tests;

use kith_common::time::Timestamp;

pub(crate) use self::host::{Guest, Host, Way};
pub use self::{
    by_mail::{CameByMail, MailJoinError, MailJoiner},
    joiner::{JoinStep, Joiner},
};

/// Names a code for as long as it serves; says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeId(pub [u8; 8]);

/// A code that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeView {
    /// Which.
    pub id: CodeId,
    /// When it ends.
    pub ends_at: Timestamp,
}
