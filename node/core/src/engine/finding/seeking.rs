//! What do those with whom we have a session know of others? (spec 10 R13)

use kith_common::{
    finding::{Day, RecordKey, key_of_record},
    frame::Frame,
    ids::DeviceId,
    limits::FRAME_RECORDS_MAX,
};

use super::{Context, Engine, LinkId, Output};
use crate::{
    finding::{Asked, Target},
    limits::SEEKS_PER_LINK_MAX,
    refusal::Refusal,
    session::Session,
};

impl Engine {
    /// Asks on every session for devices that were looked for in vain.
    pub(super) fn ask_around(&self, cx: &mut Context<'_>, devices: &[DeviceId]) {
        let looked_for = |device: &DeviceId| {
            let target = Target::Device(*device);
            let asked = self.finding.asked.iter();
            asked.filter(move |(_, asked)| asked.target == target)
        };
        let mut keys: Vec<_> = devices.iter().flat_map(looked_for).collect();
        // More than others look at: each round begins somewhere else.
        let begin = usize::try_from(cx.rng.next_u32()).unwrap_or(0) % keys.len().max(1);
        keys.rotate_left(begin);
        keys.truncate(usize::try_from(SEEKS_PER_LINK_MAX).unwrap_or(usize::MAX));
        for (id, link) in self.links.iter().filter(|(_, link)| link.session.is_some()) {
            let (own, peer) = link.transports();
            for keys in keys.chunks(FRAME_RECORDS_MAX) {
                let token = |(key, asked): &(&RecordKey, &Asked)| {
                    asked.addresses.seek_token(**key, own, peer)
                };
                let bytes = Frame::Seek { tokens: keys.iter().map(token).collect() }.encode();
                cx.out.push(Output::Send { link: *id, bytes });
            }
        }
    }

    /// Somebody looks for devices whose keys we may know too.
    pub(in crate::engine) fn sought_by(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        tokens: &[[u8; 32]],
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.session.is_none() {
            self.refuse(cx, id, Refusal::NoSession);
            return;
        }
        if !link.may_seek(tokens.len(), cx.uptime) {
            self.refuse(cx, id, Refusal::TooManySeeks);
            return;
        }
        let (own, peer) = link.transports();
        let known = self.finding.records.sought(tokens, (peer, own), cx.now);
        let records: Vec<Box<[u8]>> = known.take(FRAME_RECORDS_MAX).map(Into::into).collect();
        if !records.is_empty() {
            cx.out.push(Output::Send { link: id, bytes: Frame::Records { records }.encode() });
        }
    }

    /// Records that we look for, or that the device at the other end hands us of its own.
    pub(in crate::engine) fn hear_records(
        &mut self,
        cx: &mut Context<'_>,
        id: LinkId,
        records: &[Box<[u8]>],
    ) {
        let Some(session) = self.links.get(&id).and_then(|link| link.session) else {
            self.refuse(cx, id, Refusal::NoSession);
            return;
        };
        for value in records {
            let Ok(key) = key_of_record(value) else {
                self.refuse(cx, id, Refusal::Record);
                continue;
            };
            if self.finding.asked.contains_key(&key) {
                self.found(cx, key, value);
            } else {
                self.keep_own_word(cx, session, (key, value));
            }
        }
    }

    /// Keeps what a device says of itself, to hand it on to others who know the key.
    fn keep_own_word(
        &mut self,
        cx: &Context<'_>,
        Session { account, device }: Session,
        (key, value): (RecordKey, &[u8]),
    ) {
        let logs = self.logs_of(account);
        let Some(schedule) = self.finding.schedules.of(device, &logs) else { return };
        if !Day::around(cx.now).iter().any(|day| schedule.key(*day) == Some(key)) {
            return;
        }
        match schedule.addresses.open_record(key, value, cx.now) {
            Ok(found) => {
                let age = (found.sequence, found.not_after);
                self.finding.records.keep((key, &schedule.addresses), age, value, cx.now);
            }
            Err(_) => self.refusals.count(Refusal::Record),
        }
    }
}
