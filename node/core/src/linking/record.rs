//! What of a code by mail is kept, so that it survives that the device is switched off?
//!
//! One record for the code, under an empty key; two for each guest, under its device and a number:
//! what it was offered, and what it has accepted. Only signed envelopes are kept of guests.

use kith_common::{
    codec::{DecodeError, Reader, Writer},
    envelope::Signed,
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    limits::{ACCESS_BYTES_MAX, LINK_MESSAGE_BYTES_MAX, LINK_OFFER_BYTES_MAX},
    linking::{CodeMail, JoinRequest},
    mail::QueueAddress,
    time::{Timestamp, Uptime},
};
use zeroize::Zeroize;

use super::host::{Guest, Host, Post, Stage};
use crate::{
    limits::{LINK_CODE_BY_MAIL_MS, LINK_TRIES_MAX},
    store::{RecordKind, Store, StoreError},
};

const OFFERED: u8 = 0;
const ACCEPTED: u8 = 1;

impl Host {
    /// The code by mail that was shown before this run, if it still serves.
    pub(crate) fn load(
        store: &mut dyn Store,
        account: AccountId,
        (now, uptime): (Timestamp, Uptime),
    ) -> Result<Option<Self>, StoreError> {
        let failed = |error| StoreError::new("Reading the code for a new device", error);
        let Some(mut value) = store.record(RecordKind::Linking, &[])? else { return Ok(None) };
        let read = Reader::all(&value, read_host);
        value.zeroize();
        let mut host = read.map_err(failed)?;
        let left_ms = host.ends_at.millis().saturating_sub(now.millis());
        host.ends = uptime.plus_millis(left_ms.min(LINK_CODE_BY_MAIL_MS));
        if host.is_over(uptime) {
            Self::forget(store)?;
            return Ok(None);
        }
        for (key, value) in store.records(RecordKind::Linking)? {
            let Some((device, [OFFERED])) = key.split_first_chunk::<32>() else { continue };
            let read = |reader: &mut Reader<'_>| read_guest(reader, *device);
            let mut guest = Reader::all(&value, read).map_err(failed)?;
            if let Some(said) =
                store.record(RecordKind::Linking, &key_of(guest.device, ACCEPTED))?
                && let Some(accepted) = guest.open(&said, account)
            {
                guest.stage = Stage::Accepted(Box::new(accepted));
            }
            // What was said last may not have come, or be gone since.
            let answers = guest.reply.is_some() && guest.accepted().is_none();
            guest.post = Post::new(answers.then_some(uptime));
            host.guests.push(guest);
        }
        host.guests.sort_by_key(|guest| guest.device);
        Ok(Some(host))
    }

    /// Keeps a code by mail; any other ends with the run.
    pub(crate) fn save(&self, store: &mut dyn Store) -> Result<(), StoreError> {
        let Some(mail) = &self.mail else { return Ok(()) };
        let mut writer = Writer::new();
        writer.array(7).uint(1);
        self.key.expose_seed(|seed| {
            writer.bytes(seed);
        });
        writer.bytes(&self.token).uint(self.ends_at.millis()).uint(u64::from(self.tries));
        mail.queue.write(&mut writer);
        writer.text(&mail.access);
        let mut value = writer.finish();
        let put = store.put_record(RecordKind::Linking, &[], &value);
        value.zeroize();
        put?;
        let mut kept = Vec::new();
        for guest in self.guests.iter().filter(|guest| guest.reply.is_some()) {
            let mut writer = Writer::new();
            writer.array(4).uint(1).bytes(guest.request.bytes()).bytes(&guest.offer);
            writer.bool(guest.is_welcomed());
            let key = key_of(guest.device, OFFERED);
            store.put_record(RecordKind::Linking, &key, &writer.finish())?;
            kept.push(key.to_vec());
            if let Some(accepted) = guest.accepted() {
                let key = key_of(guest.device, ACCEPTED);
                store.put_record(RecordKind::Linking, &key, &accepted.envelope)?;
                kept.push(key.to_vec());
            }
        }
        for (key, _) in store.records(RecordKind::Linking)? {
            if !key.is_empty() && !kept.contains(&key) {
                store.remove_record(RecordKind::Linking, &key)?;
                store.erase();
            }
        }
        Ok(())
    }

    /// Erases what opens what was said.
    pub(crate) fn forget(store: &mut dyn Store) -> Result<(), StoreError> {
        for (key, mut value) in store.records(RecordKind::Linking)? {
            value.zeroize();
            store.remove_record(RecordKind::Linking, &key)?;
            store.erase();
        }
        Ok(())
    }
}

fn key_of(device: DeviceId, part: u8) -> [u8; 33] {
    let mut key = [part; 33];
    key.split_at_mut(32).0.copy_from_slice(device.as_bytes());
    key
}

fn read_host(reader: &mut Reader<'_>) -> Result<Host, DecodeError> {
    reader.tuple("code", 7)?;
    reader.uint_max("version", 1)?;
    let mut seed: [u8; 32] = reader.fixed("key")?;
    let key = SigningKey::from_seed(&seed);
    seed.zeroize();
    let token = reader.fixed("token")?;
    let ends_at = Timestamp::from_millis(reader.uint()?);
    let tries = reader.uint_max("tries", u64::from(LINK_TRIES_MAX) + 1)?;
    let tries = u32::try_from(tries).map_err(|_| DecodeError::Value("tries"))?;
    let queue = QueueAddress::read(reader)?;
    let access = reader.text("access word", ACCESS_BYTES_MAX)?.to_owned();
    let mail = Some(CodeMail { queue, access });
    let ends = Uptime::from_millis(0);
    Ok(Host { key, token, ends, ends_at, tries, mail, guests: Vec::new() })
}

fn read_guest(reader: &mut Reader<'_>, device: [u8; 32]) -> Result<Guest, DecodeError> {
    reader.tuple("guest", 4)?;
    reader.uint_max("version", 1)?;
    let request = reader.bytes("request", LINK_MESSAGE_BYTES_MAX)?;
    let damaged = || DecodeError::Value("request");
    let request = Signed::<JoinRequest>::decode(request).map_err(|_| damaged())?;
    let request = request.verify().map_err(|_| damaged())?;
    let offer = reader.bytes("offer", LINK_OFFER_BYTES_MAX)?.into();
    let stage = if reader.bool()? { Stage::Welcomed } else { Stage::Offered };
    let reply = request.value().reply.clone();
    let device = DeviceId::from_bytes(device);
    Ok(Guest { link: None, reply, device, request, offer, stage, post: Post::new(None) })
}
