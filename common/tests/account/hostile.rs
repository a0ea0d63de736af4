//! What do envelopes do that break a rule by their form, not by their meaning?

use kith_common::{
    account::{
        Account, AccountError, Believed, Cut, CutWord, DeviceAck, DeviceAdd, DeviceUntrust,
        Genesis, Last, OperationError, Seat, Standing, Untrust, acknowledge,
    },
    envelope::{Payload, Signed, sign},
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{ACCOUNT_PROOF_ENVELOPES_MAX, ADDITIONS_PER_INVITER_MAX, SETTLED_DEVICES_MAX},
    time::Timestamp,
};

use crate::notation::{
    Base, Operation, account, ack, authority, device, folded, history, id, proof, recovery, shown,
    standings,
};

fn base_of(seat: &Operation) -> Base {
    Base { seat: seat.id(), lists: Vec::new() }
}

fn with(said: &[Operation], more: &[Box<[u8]>]) -> Account {
    Account::fold(&[proof(said), more.to_vec()].concat()).unwrap()
}

#[test]
fn the_genesis_comes_from_the_recovery_key_alone() {
    let made = Account::create(recovery(), device('a'), authority('a'), [1; 32]);
    assert_eq!(made.proof()[0], Account::genesis(recovery()).1);
    assert_eq!(Account::fold(made.proof()).as_ref(), Ok(&made));
    assert_eq!(made.standing(id('a')), Some(Standing::Settled));
    assert_eq!(made.epoch(), 0);
}

#[test]
fn a_proof_begins_with_genesis_and_seat_and_is_bounded() {
    let said = history("R0{a}");
    let whole = proof(&said);
    assert_eq!(Account::fold::<Box<[u8]>>(&[]), Err(AccountError::Empty));
    assert_eq!(Account::fold(&whole[..1]), Err(AccountError::Seat));
    assert!(matches!(Account::fold(&whole[1..]), Err(AccountError::Genesis(_))));
    let many = vec![whole[0].clone(); ACCOUNT_PROOF_ENVELOPES_MAX + 1];
    assert!(matches!(Account::fold(&many), Err(AccountError::TooLarge(_))));
    let large = [whole[0].clone(), vec![0; 70_000].into()];
    assert!(matches!(Account::fold(&large), Err(AccountError::TooLarge(_))));
    assert!(folded(&said).join(&many).is_err());
    let mut broken = whole[0].to_vec();
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(Account::fold(&[broken]), Err(AccountError::Signature));
}

/// A seat of the recovery key with one thing changed; `None` if it does not hold.
fn seat(change: impl Fn(&mut Seat)) -> Option<Account> {
    let good = history("R0{ab|c}").remove(0);
    let mut seat = Signed::<Seat>::decode(&good.bytes).unwrap().claim().clone();
    change(&mut seat);
    let seat = sign(recovery(), seat).into_bytes();
    Account::fold(&[Account::genesis(recovery()).1, seat]).ok()
}

#[test]
fn a_seat_holds_whole_or_not_at_all() {
    assert!(seat(|_| ()).is_some());
    assert!(seat(|seat| seat.devices.reverse()).is_none(), "out of order");
    assert!(seat(|seat| seat.devices[1] = seat.devices[0].clone()).is_none(), "one twice");
    assert!(seat(|seat| seat.dropped = vec![id('a')]).is_none(), "in and out");
    assert!(seat(|seat| seat.account = AccountId::from_bytes([1; 32])).is_none());
    let claims = |claims| {
        move |seat: &mut Seat| {
            let at = seat.devices.iter().position(|d| **d == *ack('b', recovery(), 'b').bytes());
            seat.devices[at.unwrap()] = ack('b', recovery(), claims).into_bytes();
        }
    };
    assert!(seat(claims('b')).is_some());
    assert!(seat(claims('a')).is_none(), "two devices with one authority key");
    let other = |seat: &mut Seat| {
        let ack = ack('b', recovery(), 'b').value().clone();
        let ack = DeviceAck { account: AccountId::from_bytes([1; 32]), ..ack };
        seat.devices = vec![sign(device('b'), ack).into_bytes()];
    };
    assert!(seat(other).is_none(), "an acknowledgement of another account");
    let unsigned = |seat: &mut Seat| {
        let last = seat.devices[0].len() - 1;
        seat.devices[0][last] ^= 1;
    };
    assert!(seat(unsigned).is_none(), "an acknowledgement that was not signed");
    let invited = |seat: &mut Seat| {
        seat.devices = vec![ack('b', authority('a'), 'b').into_bytes()];
    };
    assert!(seat(invited).is_some(), "whoever invited it");
    let whole = |letter: char| {
        acknowledge(device(letter), [0; 32], *device(letter).public(), [0; 32], account())
    };
    assert!(
        seat(|seat| seat.devices = vec![whole('a').into_bytes()]).is_none(),
        "one key for both"
    );
}

#[test]
fn a_seat_is_signed_by_the_recovery_key_of_this_account() {
    let said = history("R0{at}");
    let forged = Signed::<Seat>::decode(&Operation::seat(1, &['t'], &['a']).bytes).unwrap();
    let by_thief = sign(authority('t'), forged.claim().clone()).into_bytes();
    assert_eq!(with(&said, &[by_thief]), folded(&said));
}

#[test]
fn an_addition_needs_both_signatures_for_this_account() {
    let said = history("R0{ab}");
    let base = base_of(&said[0]).id();
    let add = |by: char, new_ack: Box<[u8]>| {
        let add = DeviceAdd { account: account(), base, device: new_ack };
        sign(authority(by), add).into_bytes()
    };
    let stands = |add: Box<[u8]>| with(&said, &[add]).has(id('x'));
    let good = ack('x', authority('a'), 'x');
    assert!(stands(add('a', good.bytes().into())));
    assert!(!stands(add('b', good.bytes().into())), "given to another inviter");
    let mut unsigned = good.bytes().to_vec();
    *unsigned.last_mut().unwrap() ^= 1;
    assert!(!stands(add('a', unsigned.into())));
    let elsewhere = DeviceAck { account: AccountId::from_bytes([1; 32]), ..good.value().clone() };
    assert!(!stands(add('a', sign(device('x'), elsewhere).into_bytes())));
    let add_elsewhere =
        DeviceAdd { account: AccountId::from_bytes([1; 32]), base, device: good.bytes().into() };
    assert!(!stands(sign(authority('a'), add_elsewhere).into_bytes()));
    let by_device = DeviceAdd { account: account(), base, device: good.bytes().into() };
    assert!(!stands(sign(device('a'), by_device).into_bytes()), "signed by the signing key");
    let recovery_as_authority = acknowledge(
        device('x'),
        *authority('a').public(),
        *recovery().public(),
        [0; 32],
        account(),
    );
    assert!(!stands(add('a', recovery_as_authority.into_bytes())));
}

#[test]
fn the_recovery_key_does_not_speak_as_a_device() {
    let said = history("R0{ab}");
    let base = base_of(&said[0]).id();
    let device = ack('x', recovery(), 'x').into_bytes();
    let add = sign(recovery(), DeviceAdd { account: account(), base, device }).into_bytes();
    let vote = DeviceUntrust { account: account(), base, device: id('a'), why: Untrust::Stolen };
    let vote = sign(recovery(), vote).into_bytes();
    assert_eq!(with(&said, &[add, vote]), folded(&said));
}

#[test]
fn every_broken_signature_is_left_out() {
    let said = history("R0{ab} a+x b→a a:{ab} -b");
    for at in 1..said.len() {
        let mut broken = proof(&said);
        *broken[at + 1].last_mut().unwrap() ^= 1;
        let mut without = said.clone();
        without.remove(at);
        let account = Account::fold(&broken).unwrap();
        assert_eq!(account, folded(&without), "{:?}", said[at].said);
        assert_eq!(folded(&without).join(&broken).unwrap(), folded(&without));
    }
}

#[test]
fn helpers_make_what_counts() {
    let account = folded(&history("R0{ab}"));
    let new = ack('x', authority('a'), 'x');
    let account = account.join(&[account.add_device(authority('a'), &new).unwrap()]).unwrap();
    let list = [id('a'), id('b'), id('x')];
    let signed = account.checkpoint(authority('a'), &list).unwrap();
    let account = account.join(&[signed]).unwrap();
    let [waiting] = account.pending_checkpoints() else { panic!("one list waits") };
    assert_eq!(waiting.signed, [id('a')].into());
    assert_eq!(waiting.missing, [id('b')].into());
    assert_eq!(waiting.quorum, 2);
    let another = account.checkpoint(authority('a'), &list[..2]);
    assert_eq!(another, Err(OperationError::SignedAnother));
    let signed = account.checkpoint(authority('b'), &list).unwrap();
    let account = account.join(&[signed]).unwrap();
    assert_eq!(account.standing(id('x')), Some(Standing::Settled));
    assert_eq!(account.authority_of(id('x')), Some(*authority('x').public()));
    let vote = account.untrust(authority('x'), id('a'), Untrust::Stolen).unwrap();
    let account = account.join(&[vote]).unwrap();
    assert_eq!(account.votes().len(), 1);
    assert_eq!(account.former().count(), 1);
    let answer = account.untrust(authority('a'), id('x'), Untrust::Stolen).unwrap();
    let account = account.join(&[answer]).unwrap();
    assert!(account.is_disputed());
    assert_eq!(account.disputed().count(), 2);
    let seat = account.seat(recovery(), &[id('a'), id('b')], vec![]).unwrap();
    let account = account.join(&[seat]).unwrap();
    assert_eq!(account.epoch(), 1);
    assert_eq!(shown(&standings(&account)), ["a", "b", "!x"].map(String::from).into());
    let gone = account.retire(authority('b'), id('b')).unwrap();
    let account = account.join(&[gone]).unwrap();
    assert_eq!(account.devices().collect::<Vec<_>>(), [id('a')]);
}

#[test]
fn helpers_refuse_what_would_not_count() {
    let account = folded(&history("R0{ab|z} a+x"));
    let known = account.add_device(authority('a'), &ack('x', authority('a'), 'x'));
    assert_eq!(known, Err(OperationError::Known(id('x'))));
    let former = account.add_device(authority('a'), &ack('z', authority('a'), 'z'));
    assert_eq!(former, Err(OperationError::Unknown(id('z'))));
    let for_b = account.add_device(authority('a'), &ack('y', authority('b'), 'y'));
    assert_eq!(for_b, Err(OperationError::Acknowledgement(id('y'))));
    let shared = account.add_device(authority('a'), &ack('y', authority('a'), 'b'));
    assert_eq!(shared, Err(OperationError::List));
    let unsettled = account.untrust(authority('x'), id('a'), Untrust::Removed);
    assert_eq!(unsettled, Err(OperationError::NotSettled));
    let itself = account.untrust(authority('a'), id('a'), Untrust::Removed);
    assert_eq!(itself, Err(OperationError::Unknown(id('a'))));
    assert_eq!(account.checkpoint(authority('a'), &[]), Err(OperationError::List));
    let unknown = account.checkpoint(authority('a'), &[id('y')]);
    assert_eq!(unknown, Err(OperationError::Unknown(id('y'))));
    let twice = account.checkpoint(authority('a'), &[id('a'), id('a')]);
    assert_eq!(twice, Err(OperationError::List));
    assert_eq!(account.retire(authority('a'), id('b')), Err(OperationError::Unknown(id('b'))));
    let stranger = SigningKey::from_seed(&[1; 32]);
    assert_eq!(account.seat(&stranger, &[id('a')], vec![]), Err(OperationError::NotRecovery));
    let frozen = folded(&history("R1{a} R1{b}"));
    let vote = frozen.untrust(authority('a'), id('b'), Untrust::Removed);
    assert_eq!(vote, Err(OperationError::Frozen));
}

#[test]
fn only_the_words_are_left() {
    let (found, _) = Account::genesis(recovery());
    let new = acknowledge(device('n'), [0; 32], *authority('n').public(), [0; 32], found);
    let begun = Account::begin(recovery(), 7, vec![new]).unwrap();
    let known = folded(&history("R6{ab} a→b b→a"));
    let account = begun.join(known.proof()).unwrap();
    assert_eq!(account, begun, "a higher epoch replaces what others knew");
    assert_eq!(known.join(begun.proof()).unwrap(), begun);
}

#[test]
fn cuts_count_by_who_signs_them() {
    let account = folded(&history("R0{abt} ab→t t+x a+d"));
    let (log, other) = (LogId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
    let said = Believed { lasts: Vec::new(), since: Timestamp::from_millis(8) };
    let word = |key: &SigningKey, device: DeviceId| {
        let (lasts, since) = (Vec::new(), said.since);
        let cut = Cut { account: account.id(), log, device, lasts, since };
        account.weigh(&sign(key, cut))
    };
    assert_eq!(word(recovery(), id('t')), Some(CutWord::Recovery));
    assert_eq!(word(authority('a'), id('t')), Some(CutWord::Device));
    assert_eq!(word(device('a'), id('t')), Some(CutWord::Witness));
    assert_eq!(word(device('d'), id('t')), Some(CutWord::Witness), "added");
    assert_eq!(word(authority('d'), id('t')), None, "it is not settled");
    for key in [authority('t'), device('t')] {
        assert_eq!(word(key, id('x')), None, "it does not stand");
    }
    assert_eq!(word(authority('a'), id('x')), Some(CutWord::Device));
    assert_eq!(word(authority('a'), id('b')), None, "not former");
    assert_eq!(word(device('z'), id('t')), None, "a stranger");
    assert_eq!(word(authority('a'), id('z')), Some(CutWord::Device), "forgotten, perhaps");
    let invited = folded(&history("R0{ab} a*P(x)"));
    let of_invited = invited.cut(authority('a'), log, id('x'), said.clone()).unwrap_err();
    assert_eq!(of_invited, OperationError::NotFormer(id('x')));
    let made = account.cut(authority('a'), log, id('t'), said.clone()).unwrap();
    assert!(account.accepts_cut(&made));
    let elsewhere = Cut { account: other, ..made.value().clone() };
    assert!(!account.accepts_cut(&sign(authority('a'), elsewhere)));
    let wrong = account.cut(authority('a'), log, id('b'), said).unwrap_err();
    assert_eq!(wrong, OperationError::NotFormer(id('b')));
}

/// What devices say of a chain: how far they have it, when that came, and since when it is not
/// believed.
#[test]
fn cuts_combine_by_when_something_was_there() {
    use CutWord::{Device, Recovery, Witness};
    let time = Timestamp::from_millis;
    let (account, log, device) =
        (AccountId::from_bytes([2; 32]), LogId::from_bytes([1; 32]), id('t'));
    let said = |entries: &[(u64, u64)], since| {
        let last = |(seq, received): &(u64, u64)| {
            let id = u8::try_from(*seq).unwrap();
            Last { seq: *seq, entry: EntryId::from_bytes([id; 32]), received: time(*received) }
        };
        let lasts = entries.iter().map(last).collect();
        Cut { account, log, device, lasts, since: time(since) }
    };
    let holds = |words: &[(CutWord, Cut)]| {
        let words: Vec<_> = words.iter().map(|(word, cut)| (*word, cut)).collect();
        let found = Believed::by(&words);
        let reversed: Vec<_> = words.into_iter().rev().collect();
        assert_eq!(Believed::by(&reversed), found);
        found.map(|b| (b.since.millis(), b.lasts.iter().map(|last| last.seq).collect::<Vec<_>>()))
    };
    assert_eq!(holds(&[]), None);
    assert_eq!(holds(&[(Witness, said(&[(3, 10)], 50))]), None, "nobody has decided");
    assert_eq!(holds(&[(Device, said(&[], 50))]), Some((50, vec![])));
    // Who was behind takes nothing away, whoever decides.
    let behind = (Device, said(&[(1, 10)], 50));
    for word in [Device, Witness] {
        let more = (word, said(&[(3, 30)], 90));
        assert_eq!(holds(&[behind.clone(), more]), Some((50, vec![1, 3])), "{word:?}");
        let late = (word, said(&[(3, 50)], 90));
        assert_eq!(holds(&[behind.clone(), late]), Some((50, vec![1])), "{word:?}");
    }
    // Two histories, each by who had it.
    let both = [(Device, said(&[(3, 10)], 50)), (Device, said(&[(9, 40)], 60))];
    assert_eq!(holds(&both), Some((50, vec![3, 9])));
    // A witness moves no time, and the recovery key goes before every device.
    assert_eq!(holds(&[behind, (Witness, said(&[], 5))]), Some((50, vec![1])));
    let recovered = (Recovery, said(&[(1, 10)], 80));
    assert_eq!(holds(&[recovered, (Device, said(&[(3, 4)], 5))]), Some((80, vec![1, 3])));
}

/// ```text
///   seat {a b} ─► {a b 1} ─► {a b 2} ─► … as far as the proof has room
/// ```
#[test]
fn the_way_ends_where_the_proof_is_full() {
    let mut account = folded(&history("R0{ab}"));
    let inviter = authority('a');
    let key = |n: u8| SigningKey::from_seed(&[n; 32]);
    let mut steps = 0;
    for n in 1..100_u8 {
        let (new, its, before) = (key(n), key(n | 0x80), account.base());
        let new_ack = acknowledge(&new, *inviter.public(), *its.public(), [n; 32], account.id());
        let add = account.add_device(inviter, &new_ack).unwrap();
        account = account.join(&[add]).unwrap();
        let list = [id('a'), id('b'), new.device()];
        let signed = ['a', 'b'].map(|by| account.checkpoint(authority(by), &list).unwrap());
        account = account.join(&signed).unwrap();
        assert_eq!(&Account::fold(account.proof()).unwrap(), &account);
        if account.base() == before {
            break;
        }
        steps += 1;
    }
    assert!((20..=64).contains(&steps), "{steps} steps fit");
    assert!(account.proof().len() <= ACCOUNT_PROOF_ENVELOPES_MAX);
    let seat = account.seat(recovery(), &[id('a'), id('b')], vec![]).unwrap();
    assert_eq!(account.join(&[seat]).unwrap().proof().len(), 2, "a seat begins a new way");
}

#[test]
fn the_largest_envelopes_fit_their_bounds() {
    let key = |n: u8, of: u8| SigningKey::from_seed(&[n, of].repeat(16).try_into().unwrap());
    let sixteen: Vec<_> = (0..SETTLED_DEVICES_MAX)
        .map(|n| u8::try_from(n).unwrap())
        .map(|n| acknowledge(&key(n, 1), [0; 32], *key(n, 2).public(), [n; 32], account()))
        .collect();
    let mut account = Account::begin(recovery(), u64::MAX - 1, sixteen).unwrap();
    for (at, add) in (0..ADDITIONS_PER_INVITER_MAX).map(|n| (n, u8::try_from(0x40 + n).unwrap())) {
        let by = key(u8::try_from(at).unwrap(), 2);
        let new =
            acknowledge(&key(add, 1), *by.public(), *key(add, 2).public(), [0; 32], account.id());
        account = account.join(&[account.add_device(&by, &new).unwrap()]).unwrap();
    }
    let settled: Vec<DeviceId> =
        (0..SETTLED_DEVICES_MAX).map(|n| key(u8::try_from(n).unwrap(), 1).device()).collect();
    let list = account.checkpoint(&key(0, 2), &settled).unwrap();
    assert!(list.len() + 200 <= kith_common::account::Checkpoint::ENVELOPE_BYTES_MAX);
    let seat = account.seat(recovery(), &settled, vec![]).unwrap();
    assert!(seat.len() <= Seat::ENVELOPE_BYTES_MAX);
    assert!(Account::genesis(recovery()).1.len() <= Genesis::ENVELOPE_BYTES_MAX);
    let last = account.join(&[seat]).unwrap();
    assert_eq!(last.epoch(), u64::MAX);
    assert_eq!(last.seat(recovery(), &settled, vec![]), Err(OperationError::Epoch));
}
