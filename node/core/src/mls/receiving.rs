//! How is what another device sealed for this one opened? In a group that is joined by a welcome;
//! in any order, each message once: its key is gone when it was opened.

use kith_common::{ids::DeviceId, keys::SigningKey, time::Timestamp};
use zeroize::Zeroizing;

use crate::limits::GROUP_STATE_BYTES_MAX;

use super::{
    GroupId, MlsError, PackageRef, PackageSecret,
    desk::client,
    provider::{Random, XWING_SUITE},
    read, read_sealed,
    state::{End, State},
};
use kith_common::limits::WELCOME_BYTES_MAX;

/// The group in which one device writes to us.
#[derive(Debug)]
pub struct Receiving(State);

/// The package that a welcome was made with.
///
/// # Errors
/// [`MlsError::TooLarge`], [`MlsError::Malformed`], [`MlsError::Suite`], or
/// [`MlsError::OtherGroup`] if it is for several devices.
pub fn welcome_package(welcome: &[u8]) -> Result<PackageRef, MlsError> {
    let message = read(welcome, WELCOME_BYTES_MAX)?;
    match message.cipher_suite() {
        Some(XWING_SUITE) => {}
        Some(_) => return Err(MlsError::Suite),
        None => return Err(MlsError::Malformed),
    }
    match message.welcome_key_package_references()[..] {
        [reference] => PackageRef::read(reference),
        [] => Err(MlsError::Malformed),
        _ => Err(MlsError::OtherGroup),
    }
}

/// Joins the group of a welcome, which has to be `from`'s if that is known, and says whose it is.
/// A package that is not one of last resort has to be forgotten when this is stored. With one that
/// is, a welcome that comes again makes the same group again, as if nothing had been opened in it:
/// who has a group of this [`id`](Receiving::id) keeps that.
///
/// # Errors
/// As [`welcome_package`]; [`MlsError::OtherPackage`], [`MlsError::Lifetime`],
/// [`MlsError::OtherSender`], [`MlsError::OtherGroup`], [`MlsError::Forged`],
/// [`MlsError::OtherDevice`], [`MlsError::Refused`].
pub fn join(
    me: &SigningKey,
    secret: &PackageSecret,
    welcome: &[u8],
    from: Option<DeviceId>,
    now: Timestamp,
) -> Result<(Receiving, DeviceId), MlsError> {
    if welcome_package(welcome)? != secret.reference() {
        return Err(MlsError::OtherPackage);
    }
    let (random, desk) = (Random::none(), secret.desk(now)?);
    let message = read(welcome, WELCOME_BYTES_MAX)?;
    let (mut group, info) = client(me, &random, &desk, 0).join_group(None, &message, None)?;
    if info.sender != 0 {
        return Err(MlsError::OtherGroup);
    }
    let state = State::new(End::Receiving, me.device(), &mut group, &desk)?;
    let sender = state.peer;
    if from.is_some_and(|from| from != sender) {
        return Err(MlsError::OtherSender);
    }
    Ok((Receiving(state), sender))
}

impl Receiving {
    /// Opens a message. The state has to be stored with what becomes of it.
    ///
    /// # Errors
    /// [`MlsError::Opened`] for what was opened before; [`MlsError::Forged`] for what was changed;
    /// [`MlsError::OtherGroup`] for one of another group; [`MlsError::Beyond`] for one that leaves more
    /// messages out than a group has; [`MlsError::State`] if the state is not one of this device; and
    /// as [`group_of`](super::group_of).
    pub fn open(&mut self, me: &SigningKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let (message, group) = read_sealed(sealed)?;
        if group != self.0.group {
            return Err(MlsError::OtherGroup);
        }
        let before = self.to_bytes();
        let opened = self.0.change(me, &Random::none(), |group| group.open(message))?;
        // The library bounds each leap, not their sum: whoever leaps on and on gets no further.
        if self.to_bytes().len() > GROUP_STATE_BYTES_MAX {
            *self = Self::from_bytes(&before)?;
            return Err(MlsError::Beyond(u32::MAX));
        }
        Ok(opened)
    }

    /// Its name.
    pub const fn id(&self) -> GroupId {
        self.0.group
    }

    /// Who writes in it.
    pub const fn from(&self) -> DeviceId {
        self.0.peer
    }

    /// How many messages were opened in it.
    pub const fn opened(&self) -> u32 {
        self.0.count
    }

    /// For the store.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.to_bytes()
    }

    /// From the store.
    ///
    /// # Errors
    /// [`MlsError::TooLarge`] or [`MlsError::State`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        State::from_bytes(End::Receiving, bytes).map(Self)
    }
}
