//! Which devices does the person have? Linking, confirming, cutting off, recovering (spec 02, 08).

use std::collections::BTreeSet;

use kith_common::{
    account::{Account, Believed, Cut, DeviceKeys, OperationError, Reason, Standing, Untrust},
    entry::EntryKind,
    envelope::Verified,
    ids::{AccountId, DeviceId, LogId},
    keys::SigningKey,
    limits::{ABSORBED_ACCOUNTS_MAX, ADDRESSES_MAX, DROPPED_DEVICES_MAX},
    own::{Own, Setting},
    time::Timestamp,
};

use super::{
    Answer, CommandError, Context, Engine, Event, Output, accounts::with, commands::Outcome,
};
use crate::{
    cuts::Cuts,
    names::{chosen_name, fold_name},
    person::Absorbed,
    store::StoreError,
};

pub(super) const CUT_OFF: &str = "this device was cut off from the account";
pub(super) const NOT_THERE: &str = "this device is not in the account yet";

impl Engine {
    /// Whether an authority key is this device's, and this device may use it.
    pub(super) fn check_authority(&self, authority: &SigningKey) -> Result<(), CommandError> {
        match self.me.account.standing(self.me.device.device()) {
            Some(Standing::Former(_)) => Err(CommandError::NotStanding(CUT_OFF)),
            _ => self.check_answer(authority),
        }
    }

    /// The same for a vote, by which a device that was cut off by one voice may answer (02 R11).
    fn check_answer(&self, authority: &SigningKey) -> Result<(), CommandError> {
        let device = self.me.device.device();
        match self.me.account.standing(device) {
            Some(Standing::Former(former)) if former.is_final => {
                return Err(CommandError::NotStanding(CUT_OFF));
            }
            None => {
                return Err(CommandError::NotStanding(NOT_THERE));
            }
            Some(_) => {}
        }
        if self.me.account.authority_of(device) != Some(*authority.public()) {
            return Err(CommandError::OtherKey);
        }
        Ok(())
    }

    pub(super) fn confirm_device(
        &mut self,
        cx: &mut Context<'_>,
        check: &str,
        authority: &SigningKey,
    ) -> Outcome {
        if let Err(error) = self.check_authority(authority) {
            return Ok(Err(error));
        }
        let guest = self.linking.as_ref().and_then(|host| host.confirmed(check));
        let Some((guest, accepted)) = guest.and_then(|g| Some((g, g.accepted()?))) else {
            return Ok(Err(CommandError::UnknownCheck(check.to_owned())));
        };
        let (link, name, ack) = (guest.link(), guest.name().to_owned(), accepted.ack.clone());
        let brings = accepted.brings.clone();
        let device = DeviceId::from_bytes(*ack.signer());
        let taken_in = match &brings {
            None => self.me.account.add_device(authority, &ack).map(|addition| vec![addition]),
            // It broke off before: the device is here already.
            Some(other)
                if self.me.account.has(device) && self.me.account.has_absorbed(other.id()) =>
            {
                Ok(Vec::new())
            }
            Some(other) => {
                let new = Some(device).filter(|device| !self.me.account.has(*device));
                let absorbs = self.me.account.absorb(authority, other.id(), new.as_slice());
                absorbs.map(|absorbs| vec![absorbs, ack.bytes().into()])
            }
        };
        let mut account = match taken_in {
            Ok(operations) => with(&self.me.account, &operations),
            Err(error) => return Ok(Err(error.into())),
        };
        if !account.has(device) {
            return Ok(Err(CommandError::NotStanding(
                "the account has too many devices: cut one off first",
            )));
        }
        // Who is a quorum alone settles the new device at once: two devices watch each other.
        if let Some(settled) = settle_alone(&account, authority, device) {
            account = settled;
        }
        if let Some(other) = brings {
            self.relatives.insert(other.id(), other);
        }
        account = self.absorb_rest(cx.store, account, authority)?;
        self.learn(cx, &account)?;
        self.welcome(cx, device, link)?;
        if !name.is_empty() {
            let _ = self.name_device(cx, device, &name)?;
        }
        self.tell_what_was_alone_ours(cx)?;
        cx.out.push(Output::Event(Event::Linking));
        Ok(Ok(Answer::Done))
    }

    /// A second device comes: what one alone had no reason to write down.
    fn tell_what_was_alone_ours(&mut self, cx: &mut Context<'_>) -> Result<(), StoreError> {
        self.tell_name(cx)?;
        if self.profile.read_receipts {
            self.tell(cx, &Own::Setting(Setting::ReadReceipts(true)))?;
        }
        let logs: Vec<LogId> = self.conversations.keys().copied().collect();
        for log in logs {
            self.tell_read(cx, log)?;
        }
        Ok(())
    }

    /// Agrees that these devices decide; without any, to the list that others propose, or proposes
    /// all that stand.
    pub(super) fn settle_devices(
        &mut self,
        cx: &mut Context<'_>,
        devices: &[DeviceId],
        authority: &SigningKey,
    ) -> Outcome {
        if let Err(error) = self.check_authority(authority) {
            return Ok(Err(error));
        }
        let known = &self.me.account;
        let list = known.list_for(self.me.device.device(), devices);
        // Even then somebody may have to be invited anew.
        let needless = list == Err(OperationError::Needless);
        let account = match list.and_then(|list| known.checkpoint(authority, &list)) {
            Ok(operation) => with(known, &[operation]),
            Err(_) if needless => known.clone(),
            Err(error) => return Ok(Err(self.not_settled(error))),
        };
        let account = self.absorb_rest(cx.store, account, authority)?;
        if needless && account == self.me.account {
            return Ok(Err(OperationError::Needless.into()));
        }
        self.cut_former(cx, (&account, Vec::new()), None, authority)?;
        Ok(Ok(Answer::Done))
    }

    /// Which devices this one would agree to now, if it is asked for a list.
    pub fn to_settle(&self) -> Vec<DeviceId> {
        let (account, own) = (&self.me.account, self.me.device.device());
        let may_sign = account.has(own) && account.list_by(own).is_none();
        let list = account.list_for(own, &[]).ok().filter(|_| may_sign);
        list.unwrap_or_default()
    }

    /// Why no list was signed: if it is another one that binds this device, which.
    fn not_settled(&self, error: OperationError) -> CommandError {
        let Some(list) = self.me.account.list_by(self.me.device.device()) else {
            return error.into();
        };
        let name = |keys: &DeviceKeys| {
            let name = self.profile.device_name(keys.device).map(str::to_owned);
            name.unwrap_or_else(|| format!("{:?}", keys.device))
        };
        let mut names: Vec<String> = list.devices.iter().map(name).collect();
        names.sort_unstable();
        match error {
            OperationError::SignedAnother => CommandError::Agreed(names.join(", ")),
            OperationError::SignedInVain => CommandError::AgreedInVain(names.join(", ")),
            other => other.into(),
        }
    }

    /// Somebody says where our other devices may be, whichever it is.
    pub(super) fn look_for_own(
        &mut self,
        cx: &mut Context<'_>,
        mut addresses: Vec<String>,
    ) -> Result<(), StoreError> {
        addresses.truncate(ADDRESSES_MAX);
        self.own_hints = addresses;
        self.save_own_account(cx)?;
        self.reach_anew(cx.uptime, self.me.account.id());
        Ok(())
    }

    /// A name that a person chooses means one device.
    pub(super) fn rename_device(
        &mut self,
        cx: &mut Context<'_>,
        device: DeviceId,
        name: &str,
    ) -> Outcome {
        let wanted = fold_name(name.trim());
        let is_called = |other: &DeviceId| {
            self.profile.device_name(*other).is_some_and(|name| fold_name(name) == wanted)
        };
        if self.own_person().devices().any(|other| other != device && is_called(&other)) {
            return Ok(Err(CommandError::DeviceNameTaken(name.trim().to_owned())));
        }
        self.name_device(cx, device, name)
    }

    fn name_device(&mut self, cx: &mut Context<'_>, device: DeviceId, name: &str) -> Outcome {
        let name = match chosen_name(name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error.into())),
        };
        if self.own_person().standing(device).is_none() {
            return Ok(Err(CommandError::UnknownDevice));
        }
        let position = self.tell(cx, &Own::DeviceName { device, name: name.clone() })?;
        if self.profile.name_device(device, &name, position) {
            self.profile.save(cx.store)?;
        }
        cx.out.push(Output::Event(Event::Account));
        Ok(Ok(Answer::Done))
    }

    pub(super) fn untrust(
        &mut self,
        cx: &mut Context<'_>,
        (device, why): (DeviceId, Untrust),
        since: Option<Timestamp>,
        authority: &SigningKey,
    ) -> Outcome {
        if let Err(error) = self.check_answer(authority) {
            return Ok(Err(error));
        }
        if device == self.me.device.device() {
            return Ok(Err(CommandError::ThisDevice));
        }
        let mut account = self.me.account.clone();
        if account.standing(device).is_none() {
            // Who has not come over must be invited to be voted out.
            account = self.absorb_rest(cx.store, account, authority)?;
            if !account.invites(device) {
                return Ok(Err(CommandError::UnknownDevice));
            }
        }
        let operation = match account.untrust(authority, device, why) {
            Ok(operation) => operation,
            Err(error) => return Ok(Err(error.into())),
        };
        let account = self.absorb_rest(cx.store, with(&account, &[operation]), authority)?;
        let was_out =
            |device| matches!(self.me.account.standing(device), Some(Standing::Former(_)));
        let out = account.former().map(|(device, _)| device);
        let out = out.filter(|now_out| *now_out == device || !was_out(*now_out)).collect();
        self.cut_former(cx, (&account, out), since, authority)?;
        Ok(Ok(Answer::Done))
    }

    pub(super) fn recover(
        &mut self,
        cx: &mut Context<'_>,
        recovery: &SigningKey,
        (keep, without): (&[DeviceId], &[AccountId]),
        since: Option<Timestamp>,
    ) -> Outcome {
        if self.own_absorbed.iter().any(|old| old.account.recovery() == recovery.public()) {
            return Ok(Err(CommandError::EndedWords));
        }
        let own = self.me.device.device();
        let (out, stay): (Vec<&Absorbed>, Vec<&Absorbed>) =
            self.own_absorbed.iter().partition(|old| without.contains(&old.account.id()));
        if without.iter().any(|account| !out.iter().any(|old| old.account.id() == *account)) {
            return Ok(Err(CommandError::UnknownAbsorbed));
        }
        if out.iter().any(|old| old.account.standing(own).is_some()) {
            return Ok(Err(CommandError::CameFromThere));
        }
        // Half of the room is for devices of our own that go.
        let room = DROPPED_DEVICES_MAX / 2 / out.len().max(1);
        let gone = out.iter().flat_map(|old| old.account.devices().take(room));
        // Devices that only an older proof names are out, whatever the seat names again.
        let gone: Vec<DeviceId> =
            gone.chain(self.own_bygone.devices().take(DROPPED_DEVICES_MAX / 4)).collect();
        let stays = |device: &DeviceId| {
            *device != own && !out.iter().any(|old| old.account.standing(*device).is_some())
        };
        let mut keep: Vec<DeviceId> = keep.iter().copied().filter(stays).collect();
        keep.push(own);
        // Who is to come over stays so if kept, and is out for good if not.
        let (away, unkept): (BTreeSet<DeviceId>, BTreeSet<DeviceId>) =
            self.away().into_iter().partition(|device| keep.contains(device));
        keep.retain(|device| !away.contains(device) || self.me.account.invites(*device));
        let gone: Vec<DeviceId> = gone.into_iter().chain(unkept).collect();
        let absorbed: BTreeSet<AccountId> = stay.iter().map(|old| old.account.id()).collect();
        let absorbed: Vec<AccountId> = absorbed.into_iter().take(ABSORBED_ACCOUNTS_MAX).collect();
        let seat = self.me.account.seat_without(recovery, &keep, Vec::new(), &absorbed, &gone);
        let seat = match seat {
            Ok(seat) => seat,
            Err(error) => return Ok(Err(error.into())),
        };
        let account = with(&self.me.account, &[seat]);
        let out = account.former().map(|(device, _)| device).collect();
        self.cut_former(cx, (&account, out), since, recovery)?;
        Ok(Ok(Answer::Done))
    }

    /// Goes over to what the account is now, and says how far devices are believed that are out:
    /// who was voted against, what it had brought in, and whoever would not be cut any more.
    fn cut_former(
        &mut self,
        cx: &mut Context<'_>,
        (account, out): (&Account, Vec<DeviceId>),
        since: Option<Timestamp>,
        key: &SigningKey,
    ) -> Result<(), StoreError> {
        let carried_out = self.carried_out(cx, account)?;
        // What came in this very millisecond is here too.
        let since = since.unwrap_or(cx.now.plus_millis(1));
        let mut times: Vec<(LogId, DeviceId, Timestamp)> = Vec::new();
        for log in self.conversations.keys() {
            times.extend(out.iter().map(|device| (*log, *device, since)));
            for device in self.own_person().past().filter(|device| !out.contains(device)) {
                let lost = self.lost_cut(cx, account, (*log, device))?;
                times.extend(lost.map(|since| (*log, device, since)));
            }
        }
        let mut cuts = Vec::new();
        // What is believed is decided by what was here before.
        for (log, device, since) in times {
            // A device that is disputed is not cut; once that is decided, it can be.
            let Some(cut) = self.cut(cx, (account, key), (log, device), since)? else { continue };
            cuts.push((log, cut.bytes().to_vec()));
            Cuts::keep(cut, account, cx.store)?;
        }
        self.learn(cx, account)?;
        // A log may have gone with the account that was left out.
        let open = |(log, _): &(LogId, Vec<u8>)| self.conversations.contains_key(log);
        let cuts: Vec<(LogId, Vec<u8>)> = cuts.into_iter().filter(open).collect();
        for (log, cut) in cuts {
            self.refresh_limits(cx, log)?;
            self.write_cut(cx, log, &cut)?;
        }
        self.tell_carried_out(cx, carried_out, key)
    }

    /// Since when a device was not believed that nobody would cut any more, for those who did go: as
    /// they said, but for who was stolen himself.
    fn lost_cut(
        &self,
        cx: &Context<'_>,
        now: &Account,
        (log, device): (LogId, DeviceId),
    ) -> Result<Option<Timestamp>, StoreError> {
        let cuts = Cuts::load(cx.store, now.id(), (log, device))?;
        if cuts.believed(now).is_some() || cuts.believed(&self.me.account).is_none() {
            return Ok(None);
        }
        let honest = cuts.since(&self.me.account, |signer| !is_stolen(now, signer));
        Ok(Some(honest.unwrap_or(cx.now.plus_millis(1))))
    }

    /// What is said of a device in a log: what is here of what came before a time, put aside or not.
    fn cut(
        &self,
        cx: &Context<'_>,
        (account, key): (&Account, &SigningKey),
        (log, device): (LogId, DeviceId),
        mut since: Timestamp,
    ) -> Result<Option<Verified<Cut>>, StoreError> {
        let Some(conversation) = self.conversations.get(&log) else { return Ok(None) };
        if key.public() == account.recovery() {
            // Beside it nobody decides: what devices said that it keeps goes on to hold.
            let said = Cuts::load(cx.store, account.id(), (log, device))?.believed(account);
            since = said.map_or(since, |said| since.min(said.since));
        }
        let lasts = conversation.log.lasts_before(device, since, cx.store)?;
        Ok(account.cut(key, log, device, Believed { lasts, since }).ok())
    }

    /// A device of ours is believed less than this one knows: it came before the time that holds.
    pub(super) fn witness(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        device: DeviceId,
    ) -> Result<bool, StoreError> {
        let account = &self.me.account;
        let Some(conversation) = self.conversations.get(&log) else { return Ok(false) };
        let said = Cuts::load(cx.store, account.id(), (log, device))?.believed(account);
        let Some(Believed { since, .. }) = said else { return Ok(false) };
        let lasts = conversation.log.lasts_before(device, since, cx.store)?;
        if conversation.log.believes(device, &lasts, cx.store)? {
            return Ok(false);
        }
        let believed = Believed { lasts, since };
        let Ok(cut) = account.cut(&self.me.device, log, device, believed) else {
            return Ok(false);
        };
        let bytes = cut.bytes().to_vec();
        if !Cuts::keep(cut, account, cx.store)? {
            return Ok(false);
        }
        self.write_cut(cx, log, &bytes)?;
        Ok(true)
    }

    fn write_cut(
        &mut self,
        cx: &mut Context<'_>,
        log: LogId,
        cut: &[u8],
    ) -> Result<(), StoreError> {
        self.write_entry(cx, log, EntryKind::CUT, |salt| [&salt[..], cut].concat()).map(drop)
    }
}

/// Whether the device with this key was put out as stolen.
fn is_stolen(account: &Account, signer: &[u8; 32]) -> bool {
    let mut stolen = account.former().filter(|(_, former)| former.reason == Reason::Stolen);
    stolen.any(|(device, _)| account.authority_of(device).as_ref() == Some(signer))
}

/// The account with a new device settled, if the signer is a quorum by itself.
fn settle_alone(account: &Account, authority: &SigningKey, device: DeviceId) -> Option<Account> {
    let devices: Vec<DeviceId> = account.devices().collect();
    let checkpoint = account.checkpoint(authority, &devices).ok()?;
    let settled = with(account, &[checkpoint]);
    (settled.standing(device) == Some(Standing::Settled)).then_some(settled)
}
