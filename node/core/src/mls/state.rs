//! How is a group kept? As bytes: who is at the other end, how many messages went through, and what
//! the library keeps of it, without the device's key. They are taken up anew for every message, so
//! a message that is refused leaves nothing behind.

use core::fmt;

use kith_common::{crypto, ids::DeviceId, keys::SigningKey};
use mls_rs::{Group, client_builder::MlsConfig};
use zeroize::Zeroizing;

use super::{
    GroupId, MlsError,
    desk::{Desk, client, device},
    provider::Random,
};
use crate::limits::GROUP_STATE_BYTES_MAX;

/// Which end of a group this is; the first byte of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    Sending = 1,
    Receiving = 2,
}

impl End {
    const fn own_index(self) -> u32 {
        match self {
            Self::Sending => 0,
            Self::Receiving => 1,
        }
    }
}

/// One end of a group.
pub(super) struct State {
    pub(super) end: End,
    pub(super) group: GroupId,
    pub(super) peer: DeviceId,
    pub(super) count: u32,
    library: Zeroizing<Vec<u8>>,
}

impl State {
    /// A group that was just made or joined: it has to be one of ours.
    pub(super) fn new(
        end: End,
        me: DeviceId,
        group: &mut Group<impl MlsConfig>,
        desk: &Desk,
    ) -> Result<Self, MlsError> {
        let peer = peer(end, me, group)?;
        let id = GroupId::read(group.group_id()).map_err(|_| MlsError::OtherGroup)?;
        let ours = group.current_epoch() == 1 && group.context().extensions.is_empty();
        if !ours {
            return Err(MlsError::OtherGroup);
        }
        Ok(Self { end, group: id, peer, count: 0, library: put_down(group, desk)? })
    }

    /// Takes up the group, lets `change` work with it, and keeps what comes of it if it succeeds.
    pub(super) fn change<T>(
        &mut self,
        me: &SigningKey,
        random: &Random,
        change: impl FnOnce(&mut dyn Messages) -> Result<T, MlsError>,
    ) -> Result<T, MlsError> {
        let desk = Desk::with_state(&self.library);
        let client = client(me, random, &desk, 0);
        let mut group = client.load_group(self.group.as_bytes()).map_err(|_| MlsError::State)?;
        if peer(self.end, me.device(), &group)? != self.peer {
            return Err(MlsError::State);
        }
        let result = change(&mut group)?;
        self.library = put_down(&mut group, &desk)?;
        self.count = self.count.saturating_add(1);
        Ok(result)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SUM_BYTES + 69 + self.library.len()));
        bytes.push(self.end as u8);
        bytes.extend_from_slice(self.group.as_bytes());
        bytes.extend_from_slice(self.peer.as_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.library);
        with_sum(bytes)
    }

    pub(super) fn from_bytes(end: End, bytes: &[u8]) -> Result<Self, MlsError> {
        if bytes.len() > GROUP_STATE_BYTES_MAX {
            return Err(MlsError::TooLarge { bytes: bytes.len(), max: GROUP_STATE_BYTES_MAX });
        }
        let bytes = without_sum(bytes)?;
        let (&[first], rest) = bytes.split_first_chunk().ok_or(MlsError::State)?;
        let (group, rest) = rest.split_first_chunk().ok_or(MlsError::State)?;
        let (peer, rest) = rest.split_first_chunk().ok_or(MlsError::State)?;
        let (count, rest) = rest.split_first_chunk().ok_or(MlsError::State)?;
        if first != end as u8 {
            return Err(MlsError::State);
        }
        Ok(Self {
            end,
            group: GroupId::from_bytes(*group),
            peer: DeviceId::from_bytes(*peer),
            count: u32::from_be_bytes(*count),
            library: Zeroizing::new(rest.to_vec()),
        })
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({:?} with {:?}, {})", self.end, self.group, self.peer, self.count)
    }
}

/// Bytes of the sum behind what is stored.
pub(super) const SUM_BYTES: usize = 16;

/// The library believes what it finds stored, and panics if that is damaged: so it never sees it.
pub(super) fn with_sum(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let sum = sum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

pub(super) fn without_sum(bytes: &[u8]) -> Result<&[u8], MlsError> {
    let (bytes, found) = bytes.split_last_chunk().ok_or(MlsError::State)?;
    (sum(bytes) == *found).then_some(bytes).ok_or(MlsError::State)
}

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    sum.copy_from_slice(crypto::hash(b"kith/mls-state/1", bytes).split_at(SUM_BYTES).0);
    sum
}

fn put_down(
    group: &mut Group<impl MlsConfig>,
    desk: &Desk,
) -> Result<Zeroizing<Vec<u8>>, MlsError> {
    group.write_to_storage()?;
    desk.take_state().ok_or(MlsError::State)
}

/// Who else is in the group: there are two members, who writes stands first.
fn peer(end: End, me: DeviceId, group: &Group<impl MlsConfig>) -> Result<DeviceId, MlsError> {
    let mut members = group.roster().members_iter().map(|m| (m.index, device(&m.signing_identity)));
    let (Some((0, Some(first))), Some((1, Some(second))), None) =
        (members.next(), members.next(), members.next())
    else {
        return Err(MlsError::OtherGroup);
    };
    let (own, peer) = match end {
        End::Sending => (first, second),
        End::Receiving => (second, first),
    };
    let ours = own == me && group.current_member_index() == end.own_index();
    ours.then_some(peer).ok_or(MlsError::OtherGroup)
}

/// What is done with a group that was taken up.
pub(super) trait Messages {
    fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, MlsError>;
    fn open(&mut self, sealed: mls_rs::MlsMessage) -> Result<Zeroizing<Vec<u8>>, MlsError>;
}

impl<C: MlsConfig> Messages for Group<C> {
    fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, MlsError> {
        let message = self.encrypt_application_message(plain, Vec::new())?;
        Ok(message.to_bytes()?)
    }

    fn open(&mut self, sealed: mls_rs::MlsMessage) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let mls_rs::group::ReceivedMessage::ApplicationMessage(message) =
            self.process_incoming_message(sealed)?
        else {
            return Err(MlsError::NoMessage);
        };
        if message.sender_index != 0 || !message.authenticated_data.is_empty() {
            return Err(MlsError::Refused);
        }
        Ok(Zeroizing::new(message.data().to_vec()))
    }
}
