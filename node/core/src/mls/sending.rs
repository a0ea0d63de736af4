//! How is something sealed for another device? In a group that was made with one of its packages;
//! what is in the welcome lets that device, and nobody else, join it.

use kith_common::{ids::DeviceId, keys::SigningKey, time::Timestamp};
use mls_rs::{Group, MlsMessage, client_builder::MlsConfig};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    CheckedPackage, GroupId, MlsError,
    desk::{Desk, client, seconds},
    provider::Random,
    state::{End, State},
};
use crate::limits::{GROUP_MESSAGES_MAX, SEALED_PLAIN_BYTES_MAX};

/// How long our own leaf says that it is good. Nobody asks: the group is replaced long before.
const LEAF_LIFETIME_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// The group in which we write to one device.
#[derive(Debug)]
pub struct Sending(State);

impl Sending {
    /// Makes a group with the owner of a package, and the welcome by which it joins.
    ///
    /// # Errors
    /// [`MlsError::Lifetime`] if the package has ended since it was checked.
    pub fn begin(
        me: &SigningKey,
        package: CheckedPackage,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), MlsError> {
        let (random, desk) = (Random::draw(rng), Desk::default());
        let owner = package.owner();
        let (package, moment) = package.into_message(now)?;
        let (mut group, welcome) = pair(me, package, moment, &random, &desk)?;
        let state = State::new(End::Sending, me.device(), &mut group, &desk)?;
        (state.peer == owner).then_some(()).ok_or(MlsError::OtherDevice)?;
        Ok((Self(state), welcome))
    }

    /// Seals a message. The state has to be stored before it leaves.
    ///
    /// # Errors
    /// [`MlsError::TooLarge`]; [`MlsError::Spent`] after [`GROUP_MESSAGES_MAX`] messages;
    /// [`MlsError::State`] if the state is not one of this device.
    pub fn seal(
        &mut self,
        me: &SigningKey,
        plain: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, MlsError> {
        if plain.len() > SEALED_PLAIN_BYTES_MAX {
            return Err(MlsError::TooLarge { bytes: plain.len(), max: SEALED_PLAIN_BYTES_MAX });
        }
        if self.0.count >= GROUP_MESSAGES_MAX {
            return Err(MlsError::Spent);
        }
        self.0.change(me, &Random::draw(rng), |group| group.seal(plain))
    }

    /// Its name.
    pub const fn id(&self) -> GroupId {
        self.0.group
    }

    /// Who reads it.
    pub const fn to(&self) -> DeviceId {
        self.0.peer
    }

    /// How many messages were sealed in it.
    pub const fn sealed(&self) -> u32 {
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
        State::from_bytes(End::Sending, bytes).map(Self)
    }
}

/// A group of `me` and the owner of the package, and its welcome.
pub(super) fn pair<'a>(
    me: &'a SigningKey,
    package: MlsMessage,
    moment: Timestamp,
    random: &'a Random,
    desk: &'a Desk,
) -> Result<(Group<impl MlsConfig + 'a>, Vec<u8>), MlsError> {
    let time = seconds(moment.millis());
    let client = client(me, random, desk, LEAF_LIFETIME_MS);
    let mut group = client.group_builder()?.with_now_time(time).build()?;
    let commit = group.commit_builder().add_member(package)?.commit_time(time).build()?;
    group.apply_pending_commit()?;
    let [welcome] = commit.welcome_messages() else { return Err(MlsError::Refused) };
    let welcome = welcome.to_bytes()?;
    Ok((group, welcome))
}
