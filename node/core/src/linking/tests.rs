//! Do both ends show one number, and does nothing else fit?

use kith_common::{
    account::Account,
    frame::Frame,
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    linking::{LinkCode, TOKEN_BYTES},
    time::{Timestamp, Uptime},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;
use crate::{
    engine::LinkId,
    limits::{LINK_CODE_MS, LINK_TRIES_MAX},
};

mod mail;

const START: (Timestamp, Uptime) = (Timestamp::from_millis(0), Uptime::from_millis(0));

fn host(rng: &mut ChaCha8Rng) -> Host {
    Host::new(START, (LINK_CODE_MS, None), rng)
}

const LINK: LinkId = LinkId(1);

struct Old {
    account: Account,
    device: SigningKey,
    authority: SigningKey,
    host: Host,
    rng: ChaCha8Rng,
}

fn old() -> Old {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let [recovery, device, authority] = [(); 3].map(|()| SigningKey::random(&mut rng));
    let account = Account::create(&recovery, &device, &authority, [0; 32]);
    let host = host(&mut rng);
    Old { account, device, authority, host, rng }
}

impl Old {
    fn code(&self) -> LinkCode {
        self.host.code(&["/ip4/127.0.0.1/tcp/1".to_owned()])
    }

    fn join(&mut self, joiner: &Joiner) -> Option<Frame> {
        let hello = joiner.hello(&mut self.rng).unwrap();
        let Some(Frame::Join { sealed }) = Frame::decode(&hello).unwrap() else {
            panic!("a joiner begins with a join");
        };
        let me = (&self.account, &self.device);
        let guest = self.host.join(Way::Link(LINK), &sealed, me, &mut self.rng)?;
        self.host.answer(guest, &self.account, &mut self.rng)
    }

    /// The numbers that both show.
    fn compare(&mut self, joiner: &mut Joiner) -> Option<(String, String)> {
        let offer = self.join(joiner)?.encode();
        let Some(JoinStep::Compare { frame, check }) = joiner.handle(LINK, &offer, &mut self.rng)
        else {
            return None;
        };
        let Some(Frame::Accept { sealed }) = Frame::decode(&frame).unwrap() else {
            panic!("a joiner answers with an accept");
        };
        assert!(self.host.accept(Way::Link(LINK), &sealed, self.account.id()).is_some());
        let shown = self.host.guests().next()?.accepted()?.check.clone();
        Some((shown, check))
    }

    fn confirm(&mut self, check: &str) -> Vec<u8> {
        let ack = &self.host.confirmed(check).unwrap().accepted().unwrap().ack;
        let device = DeviceId::from_bytes(*ack.signer());
        let addition = self.account.add_device(&self.authority, ack).unwrap();
        self.account = self.account.join(&[addition]).unwrap();
        self.host.welcome(device, START.1);
        Frame::Accounts { proofs: vec![self.account.proof().to_vec()] }.encode()
    }
}

fn joiner(old: &mut Old) -> Joiner {
    let code = old.code();
    Joiner::new(code, "tablet", &mut old.rng)
}

#[test]
fn both_show_one_number_and_the_device_belongs() {
    let mut old = old();
    let mut new = joiner(&mut old);
    let (one, other) = old.compare(&mut new).unwrap();
    assert_eq!(one, other);
    assert!(old.host.confirmed("no number").is_none());
    let (left, right) = one.split_at(3);
    let welcome = old.confirm(&format!("{left} {right}"));
    let Some(JoinStep::Joined(account)) = new.handle(LINK, &welcome, &mut old.rng) else {
        panic!("the new device sees itself in the account");
    };
    let (device, authority) = new.into_keys();
    assert_eq!(account.authority_of(device.device()), Some(*authority.public()));
}

#[test]
fn a_welcome_that_was_lost_is_said_again_to_that_device_only() {
    let mut old = old();
    let mut new = joiner(&mut old);
    let (check, _) = old.compare(&mut new).unwrap();
    let _lost = old.confirm(&check);
    new.link_down(LINK);
    let other = joiner(&mut old);
    assert!(old.join(&other).is_none());
    let again = old.join(&new).unwrap().encode();
    assert!(matches!(new.handle(LinkId(2), &again, &mut old.rng), Some(JoinStep::Joined(_))));
}

#[test]
fn somebody_who_joins_with_the_code_shows_another_number() {
    let (mut first, mut again) = (old(), old());
    again.rng = ChaCha8Rng::seed_from_u64(2);
    let (mut new, mut thief) = (joiner(&mut first), joiner(&mut again));
    let (honest, _) = first.compare(&mut new).unwrap();
    let (stolen, _) = again.compare(&mut thief).unwrap();
    assert_ne!(honest, stolen);
}

/// Who stands between hands on what it likes: what it changes does not open or fit.
#[test]
fn nothing_of_one_conversation_serves_in_another() {
    let (mut one, mut other) = (old(), old());
    other.rng = ChaCha8Rng::seed_from_u64(2);
    other.host = host(&mut other.rng);
    let new = joiner(&mut one);
    assert!(other.join(&new).is_none(), "sealed to another code");
    let mut new = joiner(&mut one);
    let mut second = joiner(&mut one);
    let offer = one.join(&new).unwrap().encode();
    assert!(second.handle(LINK, &offer, &mut one.rng).is_none(), "an offer to another device");
    assert!(one.join(&second).is_none(), "one guest at a time");
    let Some(JoinStep::Compare { frame, .. }) = new.handle(LINK, &offer, &mut one.rng) else {
        panic!("its own offer is taken");
    };
    let Some(Frame::Accept { sealed }) = Frame::decode(&frame).unwrap() else { panic!() };
    assert!(
        one.host.accept(Way::Link(LinkId(7)), &sealed, one.account.id()).is_none(),
        "on another link"
    );
    assert!(
        one.host.accept(Way::Link(LINK), &sealed, AccountId::from_bytes([1; 32])).is_none(),
        "of another account"
    );
    assert!(one.host.guests().next().is_none(), "what does not fit ends the join");
}

#[test]
fn a_code_ends_after_some_tries_and_some_time() {
    let mut old = old();
    for _ in 0..LINK_TRIES_MAX {
        let new = joiner(&mut old);
        assert!(old.join(&new).is_some());
        assert!(old.host.leave(LINK));
    }
    let new = joiner(&mut old);
    assert!(old.join(&new).is_none());
    assert!(old.host.is_over(Uptime::from_millis(0)));
    assert!(host(&mut old.rng).is_over(Uptime::from_millis(LINK_CODE_MS)));
    let mut code = old.code();
    code.token = [0; TOKEN_BYTES];
    let guessed = Joiner::new(code, "x", &mut old.rng);
    old.host = host(&mut old.rng);
    assert!(old.join(&guessed).is_none());
}
