//! What do requests and answers about the account and its devices look like?

use kith_common::account::{Account as Known, Former, PendingCheckpoint, Reason, Standing};
use kith_core::view::DeviceView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hex;

/// The person's own account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Account {
    /// Its id, in hex.
    pub id: String,
    /// The account as a shared string.
    pub account: String,
    /// What the person calls themselves.
    pub name: String,
    /// All devices, those that are out included: those that stand first.
    pub devices: Vec<Device>,
    /// Whether devices accuse each other: until that is decided, they are frozen.
    pub disputed: bool,
    /// Whether nobody but the recovery words can decide any more.
    pub frozen: bool,
    /// Lists of devices that wait for more signatures before they decide together.
    pub proposals: Vec<Proposal>,
    /// Devices to which this one can agree now: the list that waits, or else all that belong; in hex,
    /// empty if there is nothing to agree to here.
    pub to_settle: Vec<String>,
    /// An account into which this one is to merge, if some devices have agreed and more must.
    pub merging: Option<PendingMerge>,
    /// Accounts that this one has absorbed, as shared strings.
    pub absorbed: Vec<String>,
    /// Whether the recovery words were confirmed on this device.
    pub recovery_confirmed: bool,
    /// Where the recovery words are: `here` (until they are confirmed), `confirmed`, or `elsewhere`
    /// (never on this device: it joined the account, or its own became part of this one).
    pub recovery: &'static str,
}

/// An account that is to go over into another one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PendingMerge {
    /// The account that stays, in hex.
    pub into: String,
    /// Devices that have agreed, in hex.
    pub signed: Vec<String>,
    /// Devices that could still agree, in hex.
    pub missing: Vec<String>,
    /// How many must agree.
    pub needed: usize,
}

/// A device of the account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Device {
    /// The device, in hex.
    pub device: String,
    /// What the person calls it.
    pub name: Option<String>,
    /// `settled` (it decides), `added` (it belongs), `invited` (it is to come over from an absorbed
    /// account and has not yet), `disputed` (it is frozen) or `former`.
    pub standing: &'static str,
    /// Why a former device is out: `removed`, `stolen`, `retired`, `left_out` or `with_inviter`.
    pub reason: Option<&'static str>,
    /// Whether a former device is out for good.
    pub is_final: bool,
    /// Whether it is the one that is asked.
    pub is_this: bool,
    /// Whether it is connected.
    pub online: bool,
}

/// A list of devices that are to decide from now on, once enough have agreed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Proposal {
    /// The devices, in hex.
    pub devices: Vec<String>,
    /// Who has agreed, in hex.
    pub signed: Vec<String>,
    /// Who could still agree, in hex: a device agrees to one list.
    pub missing: Vec<String>,
    /// How many must agree in all.
    pub needed: usize,
    /// Whether it can still come about: all of its devices belong, and enough can agree.
    pub possible: bool,
}

/// What kind of code is wanted.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LinkWish {
    /// For a device that is never there together with this one: through the mailbox, for a day.
    #[serde(default)]
    pub by_mail: bool,
}

/// What to show to the new device.
#[derive(Serialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct LinkCode {
    /// One line; as secret as the account for as long as it serves.
    pub code: String,
    /// Names the code, and is no secret.
    pub id: String,
    /// How long it serves, in seconds.
    pub seconds_left: u64,
}

/// The code that serves now.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownCode {
    /// Which; `null` if there is none.
    pub id: Option<String>,
    /// How long it serves, in seconds; 0 if there is none.
    pub seconds_left: u64,
    /// Whether it can be answered through the mailbox by now; `null` if it is none by mail.
    pub is_open: Option<bool>,
}

/// Which device is taken in.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Confirm {
    /// The six digits that the new device shows too.
    pub check: String,
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
}

/// Why a device is trusted no longer.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The person does not use it any more.
    Removed,
    /// Somebody else has it.
    Stolen,
}

/// How to trust a device no longer.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Untrust {
    /// Why.
    pub why: Why,
    /// From when on what it wrote is not believed, in milliseconds since 1970; from now on if not
    /// given.
    #[serde(default)]
    pub since: Option<u64>,
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
}

/// Which devices are to decide.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Settle {
    /// By id, name, or the beginning of the id; if empty the list that waits, else all that belong.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
}

/// What the recovery words are to decide.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Recover {
    /// The 24 recovery words, in order.
    pub words: String,
    /// Devices that go, by id, name, or the beginning of the id.
    #[serde(default)]
    pub untrust: Vec<String>,
    /// Whether all go but this one.
    #[serde(default)]
    pub untrust_others: bool,
    /// Whether all stay that are not named to go, also those that others accuse. While some are
    /// accused, this or one of the two above must be said.
    #[serde(default)]
    pub keep_all: bool,
    /// Accounts that this one has absorbed and that are not the person's, as shared strings or the
    /// beginnings of them: they and their devices go.
    #[serde(default)]
    pub without: Vec<String>,
    /// From when on what they wrote is not believed, in milliseconds since 1970; from now on if
    /// not given.
    #[serde(default)]
    pub since: Option<u64>,
}

/// Messages to delete on the person's own devices.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DeleteMessages {
    /// Their ids.
    pub ids: Vec<String>,
}

/// What of a conversation to delete on the person's own devices.
#[derive(Deserialize, ToSchema)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ClearMessages {
    /// What was sent before then, in milliseconds since 1970; everything if not given.
    #[serde(default)]
    pub before: Option<u64>,
    /// Empty for a node that is kept without one.
    #[serde(default)]
    pub passphrase: String,
}

/// How much is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// Messages that were deleted on this device.
    pub deleted: usize,
}

/// What is being written to somebody.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Draft {
    /// The text so far; empty: nothing.
    pub text: String,
}

/// A device as shown.
pub fn device(view: &DeviceView) -> Device {
    let former = match view.standing {
        Some(Standing::Former(former)) => Some(former),
        _ => None,
    };
    Device {
        device: hex(view.device.as_bytes()),
        name: view.name.clone(),
        standing: match view.standing {
            Some(Standing::Settled) => "settled",
            Some(Standing::Added) => "added",
            None => "invited",
            Some(Standing::Disputed) => "disputed",
            Some(Standing::Former(_)) => "former",
        },
        reason: former.map(reason),
        is_final: former.is_some_and(|former| former.is_final),
        is_this: view.is_this,
        online: view.online,
    }
}

const fn reason(former: Former) -> &'static str {
    match former.reason {
        Reason::Removed => "removed",
        Reason::Stolen => "stolen",
        Reason::Retired => "retired",
        Reason::LeftOut => "left_out",
        Reason::WithInviter => "with_inviter",
    }
}

/// What some devices want and not enough have agreed to.
pub fn merging(account: &Known) -> Option<PendingMerge> {
    let pending = account.pending_moves().first()?;
    Some(PendingMerge {
        into: hex(pending.to.as_bytes()),
        signed: pending.signed.iter().map(|device| hex(device.as_bytes())).collect(),
        missing: pending.missing.iter().map(|device| hex(device.as_bytes())).collect(),
        needed: pending.quorum,
    })
}

/// The lists that wait for signatures.
pub fn proposals(account: &Known) -> Vec<Proposal> {
    let proposal = |list: &PendingCheckpoint| Proposal {
        devices: list.devices.iter().map(|keys| hex(keys.device.as_bytes())).collect(),
        signed: list.signed.iter().map(|device| hex(device.as_bytes())).collect(),
        missing: account.who_may_sign().map(|device| hex(device.as_bytes())).collect(),
        needed: list.quorum,
        possible: account.can_come_about(&list.devices),
    };
    account.pending_checkpoints().iter().map(proposal).collect()
}
