//! Does a code by mail survive switching off, and serve one device of those who have it?

use kith_common::{
    linking::CodeMail,
    mail::{MailboxUrl, QueueAddress, QueueSeed},
    service::mailbox::Days,
};

use super::*;
use crate::{
    limits::LINK_CODE_BY_MAIL_MS,
    store::{RecordKind, Store, memory::MemoryStore},
};

fn queue(url: &str, rng: &mut ChaCha8Rng) -> QueueAddress {
    let url = MailboxUrl::parse(url).unwrap();
    QueueAddress { url, seed: QueueSeed::random(rng), days: Days::Seven }
}

fn old_by_mail() -> Old {
    let mut old = old();
    let queue = queue("https://box.example", &mut old.rng);
    let mail = Some(CodeMail { queue, access: "word".to_owned() });
    old.host = Host::new(START, (LINK_CODE_BY_MAIL_MS, mail), &mut old.rng);
    old
}

fn joiner_by_mail(old: &mut Old) -> MailJoiner {
    MailJoiner::new(old.code(), "tablet", None, START.0, &mut old.rng).unwrap()
}

fn sealed(frame: &[u8]) -> Box<[u8]> {
    match Frame::decode(frame).unwrap().unwrap() {
        Frame::Join { sealed } | Frame::Accept { sealed } => sealed,
        other => panic!("{other:?}"),
    }
}

impl Old {
    fn join_by_mail(&mut self, new: &MailJoiner) -> Option<DeviceId> {
        let hello = new.hello(&mut self.rng).unwrap();
        let me = (&self.account, &self.device);
        self.host.join(Way::Mail, &sealed(&hello), me, &mut self.rng)
    }

    /// The numbers that both show, after one letter in each direction.
    fn compare_by_mail(&mut self, new: &mut MailJoiner) -> Option<String> {
        let guest = self.join_by_mail(new)?;
        let offer = self.host.answer(guest, &self.account, &mut self.rng)?.encode();
        let step = new.handle_frame((LINK, &offer), START.1, &mut self.rng);
        let Some(JoinStep::Compare { frame, check }) = step else { return None };
        let account = self.account.id();
        let accepted = self.host.accept(Way::Mail, &sealed(&frame), account)?;
        assert_eq!(accepted.accepted().unwrap().check, check);
        Some(check)
    }

    fn restart(&mut self, store: &mut MemoryStore, at_ms: u64) -> bool {
        self.host.save(store).unwrap();
        let now = (Timestamp::from_millis(at_ms), Uptime::from_millis(0));
        match Host::load(store, self.account.id(), now).unwrap() {
            Some(host) => self.host = host,
            None => return false,
        }
        true
    }
}

fn saved(new: &MailJoiner) -> MailJoiner {
    MailJoiner::load(&new.save().unwrap()).unwrap()
}

#[test]
fn both_may_be_switched_off_after_every_step() {
    let (mut old, mut store) = (old_by_mail(), MemoryStore::new());
    let mut new = saved(&joiner_by_mail(&mut old));
    assert!(old.restart(&mut store, 1));
    let guest = old.join_by_mail(&new).unwrap();
    assert!(old.restart(&mut store, 2));
    assert_eq!(old.host.take_due(START.1).len(), 1, "what was said last is said again");
    let offer = old.host.answer(guest, &old.account, &mut old.rng).unwrap().encode();
    let step = new.handle_frame((LINK, &offer), START.1, &mut old.rng);
    let Some(JoinStep::Compare { frame, check }) = step else { panic!("an offer is compared") };
    new = saved(&new);
    assert_eq!(new.check(), Some(check.as_str()));
    assert!(old.host.accept(Way::Mail, &sealed(&frame), old.account.id()).is_some());
    assert!(old.restart(&mut store, 3));
    assert!(old.host.take_due(START.1).is_empty(), "the person is waited for");
    let welcome = old.confirm(&check);
    assert!(old.restart(&mut store, 4));
    assert_eq!(old.host.welcomed(), Some(guest));
    assert_eq!(old.host.take_due(START.1).len(), 1);
    new = saved(&new);
    let step = new.handle_frame((LINK, &welcome), START.1, &mut old.rng);
    assert!(matches!(step, Some(JoinStep::Joined(_))));
    let ((device, _), came) = new.into_parts().unwrap();
    assert_eq!(device.device(), guest);
    assert_eq!((came.account, came.host), (old.account.id(), old.device.device()));
    assert_eq!(came.access, "word");
    assert!(old.host.reply_of_welcomed(guest).is_some_and(|reply| *reply == came.reply));
}

#[test]
fn the_same_words_get_the_same_offer_and_count_once() {
    let mut old = old_by_mail();
    let mut new = joiner_by_mail(&mut old);
    let check = old.compare_by_mail(&mut new).unwrap();
    for _ in 0..20 {
        assert!(old.join_by_mail(&new).is_some());
        assert_eq!(old.compare_by_mail(&mut new), Some(check.clone()));
    }
    assert_eq!(old.host.guests().count(), 1);
}

#[test]
fn strangers_with_the_code_do_not_keep_the_honest_one_out() {
    let mut old = old_by_mail();
    for _ in 1..LINK_TRIES_MAX {
        let stranger = joiner_by_mail(&mut old);
        assert!(old.join_by_mail(&stranger).is_some());
    }
    let mut new = joiner_by_mail(&mut old);
    let check = old.compare_by_mail(&mut new).unwrap();
    let late = joiner_by_mail(&mut old);
    assert!(old.join_by_mail(&late).is_none(), "five tries are used up");
    assert!(!old.host.is_over(START.1), "who is a guest can still come in");
    let welcome = old.confirm(&check);
    let step = new.handle_frame((LINK, &welcome), START.1, &mut old.rng);
    assert!(matches!(step, Some(JoinStep::Joined(_))));
    assert!(old.join_by_mail(&late).is_none());
    assert_eq!(old.host.guests().count(), 0, "the others are forgotten");
}

#[test]
fn nothing_that_is_swapped_or_said_elsewhere_fits() {
    let mut old = old_by_mail();
    let (mut one, mut other) = (joiner_by_mail(&mut old), joiner_by_mail(&mut old));
    let first = old.join_by_mail(&one).unwrap();
    let second = old.join_by_mail(&other).unwrap();
    let to_first = old.host.answer(first, &old.account, &mut old.rng).unwrap().encode();
    assert!(other.handle_frame((LINK, &to_first), START.1, &mut old.rng).is_none());
    let to_second = old.host.answer(second, &old.account, &mut old.rng).unwrap().encode();
    assert!(one.handle_frame((LINK, &to_second), START.1, &mut old.rng).is_none());
    // A queue at another server than the code's is written to by nobody.
    let mut code = old.code();
    code.mail.as_mut().unwrap().queue = queue("https://elsewhere.example", &mut old.rng);
    let lured = MailJoiner::new(code, "x", None, START.0, &mut old.rng).unwrap();
    assert!(old.join_by_mail(&lured).is_none());
    // And who has no queue cannot come by mail.
    let code = old.code();
    let plain = Joiner::new(code, "x", &mut old.rng);
    let hello = plain.hello(&mut old.rng).unwrap();
    let me = (&old.account, &old.device);
    assert!(old.host.join(Way::Mail, &sealed(&hello), me, &mut old.rng).is_none());
}

#[test]
fn a_link_that_ends_leaves_who_can_be_written_to() {
    let mut old = old_by_mail();
    let new = joiner_by_mail(&mut old);
    let hello = new.hello(&mut old.rng).unwrap();
    let me = (&old.account, &old.device);
    assert!(old.host.join(Way::Link(LINK), &sealed(&hello), me, &mut old.rng).is_some());
    assert!(old.host.leave(LINK));
    assert_eq!(old.host.guests().count(), 1);
}

#[test]
fn nothing_is_kept_once_it_is_over() {
    let (mut old, mut store) = (old_by_mail(), MemoryStore::new());
    let mut new = joiner_by_mail(&mut old);
    old.compare_by_mail(&mut new).unwrap();
    assert!(old.restart(&mut store, 1));
    assert_eq!(store.records(RecordKind::Linking).unwrap().len(), 3);
    assert!(!old.restart(&mut store, LINK_CODE_BY_MAIL_MS));
    assert!(store.records(RecordKind::Linking).unwrap().is_empty());
    // A code that is not by mail ends with the run.
    let plain = super::old();
    plain.host.save(&mut store).unwrap();
    assert!(store.records(RecordKind::Linking).unwrap().is_empty());
}

#[test]
fn a_guest_is_answered_at_most_so_often() {
    let mut old = old_by_mail();
    let new = joiner_by_mail(&mut old);
    let guest = old.join_by_mail(&new).unwrap();
    let at = Uptime::from_millis;
    old.host.owe(guest, at(0));
    assert_eq!(old.host.take_due(at(0)).len(), 1);
    old.host.owe(guest, at(1));
    assert!(old.host.take_due(at(60_000)).is_empty(), "one is under way");
    old.host.answered(guest, true, at(2));
    assert!(old.host.take_due(at(2)).is_empty());
    assert_eq!(old.host.take_due(at(5_000)).len(), 1);
    old.host.answered(guest, false, at(5_001));
    assert_eq!(old.host.deadline(), at(10_001), "what was not stored is put again");
}

#[test]
fn what_a_joiner_keeps_is_read_whole_or_not_at_all() {
    let mut old = old_by_mail();
    let mut new = joiner_by_mail(&mut old);
    old.compare_by_mail(&mut new).unwrap();
    let bytes = new.save().unwrap();
    for at in (0..bytes.len()).step_by(97) {
        assert!(MailJoiner::load(bytes.split_at(at).0).is_err());
    }
    assert_eq!(*MailJoiner::load(&bytes).unwrap().save().unwrap(), *bytes);
}
