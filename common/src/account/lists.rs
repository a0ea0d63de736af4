//! Which list of devices does a device sign, and can one still come about? (spec 02 R8)

use super::{Account, OperationError, PendingCheckpoint, Standing, operation::DeviceKeys, quorum};
use crate::ids::DeviceId;

impl Account {
    /// The list that a device signs: of these devices; if none is named, the list that waits and of
    /// those the one with most signatures, else one of all that stand.
    ///
    /// # Errors
    /// If the device does not decide or has signed another one, if the account has moved, or if the
    /// list would change nothing or cannot come about.
    pub fn list_for(
        &self,
        by: DeviceId,
        named: &[DeviceId],
    ) -> Result<Vec<DeviceId>, OperationError> {
        if self.base.is_none() {
            return Err(OperationError::Frozen);
        }
        if !self.settled.contains_key(&by) {
            return Err(OperationError::NotSettled);
        }
        if let Some(to) = self.moved {
            return Err(OperationError::Moved(to));
        }
        let signed = self.list_by(by);
        let waiting = self.pending.iter().find(|list| self.can_come_about(&list.devices));
        let wanted = match waiting.filter(|_| signed.is_none() && named.is_empty()) {
            Some(list) => list.devices.clone(),
            None if named.is_empty() => self.keys_of(&self.devices().collect::<Vec<_>>())?,
            None => self.keys_of(named)?,
        };
        match signed {
            Some(list) if !self.can_come_about(&list.devices) => {
                return Err(OperationError::SignedInVain);
            }
            Some(list) if list.devices != wanted => return Err(OperationError::SignedAnother),
            _ if self.moves_by(by).count() > 0 => return Err(OperationError::SignedAnother),
            _ => {}
        }
        if !self.pending.iter().any(|list| list.devices == wanted) && self.is_settled(&wanted) {
            return Err(OperationError::Needless);
        }
        if !self.can_come_about(&wanted) {
            return Err(OperationError::NoQuorum);
        }
        Ok(wanted.iter().map(|keys| keys.device).collect())
    }

    /// The list that waits with this device's signature.
    pub fn list_by(&self, by: DeviceId) -> Option<&PendingCheckpoint> {
        self.lists_by(by).next()
    }

    /// Whether all devices of a list belong, and enough have signed it or still may.
    pub fn can_come_about(&self, list: &[DeviceKeys]) -> bool {
        let belongs = |keys: &DeviceKeys| {
            self.has(keys.device) && self.authority_of(keys.device) == Some(keys.authority)
        };
        let signed = |by: &DeviceId| self.lists_by(*by).any(|own| own.devices == list);
        let signers = self.settled.keys().filter(|by| signed(by)).count();
        list.iter().all(belongs)
            && signers + self.who_may_sign().count() >= quorum(self.settled.len())
    }

    /// Who may sign a list: whoever decides, is not out, and has signed no list or move yet.
    pub fn who_may_sign(&self) -> impl Iterator<Item = DeviceId> {
        let is_out = |by| matches!(self.standing(by), Some(Standing::Former(_)));
        let is_bound = |by| self.list_by(by).is_some() || self.moves_by(by).count() > 0;
        self.settled.keys().copied().filter(move |by| !is_out(*by) && !is_bound(*by))
    }

    /// Whether these devices decide already, and nobody else came in, is to come or was voted about.
    fn is_settled(&self, list: &[DeviceKeys]) -> bool {
        let settles_nobody = |how| how == Standing::Settled || how == super::LEFT_OUT;
        self.invited.is_empty()
            && self.standings().all(|(_, how)| settles_nobody(how))
            && self.settled.keys().eq(list.iter().map(|keys| &keys.device))
    }
}
