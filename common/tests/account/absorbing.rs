//! What do hostile devices try with moves and absorbs, and what do the bounds leave of it?

use std::collections::BTreeSet;

use kith_common::{
    account::{Absorbs, Account, DeviceAck, MovedTo, Standing, Untrust, acknowledge},
    envelope::{Payload, Signed, sign},
    ids::{AccountId, DeviceId},
    keys::SigningKey,
    limits::{
        ABSORBED_ACCOUNTS_MAX, ABSORBED_DEVICES_MAX, ACCOUNT_PROOF_BYTES_MAX, ADDITIONS_BYTES_MAX,
    },
};

use crate::notation::{
    Base, Operation, account, authority, device, folded, history, id, other, outcome, proof,
    recovery,
};

fn with(account: &Account, more: &[Box<[u8]>]) -> Account {
    account.join(more).unwrap()
}

#[test]
fn forged_and_foreign_envelopes_change_nothing() {
    let said = history("R0{ab} a*P(x) x@a ab~Q");
    for at in 1..said.len() {
        let mut broken = proof(&said);
        *broken[at + 1].last_mut().unwrap() ^= 1;
        let mut without = said.clone();
        without.remove(at);
        let account = Account::fold(&broken).unwrap();
        assert_eq!(account, folded(&without), "{:?}", said[at].said);
        assert_eq!(folded(&without).join(&broken).unwrap(), folded(&without));
    }
    let mut last_word = proof(&history("R0{a} !~Q"));
    *last_word[2].last_mut().unwrap() ^= 1;
    assert_eq!(Account::fold(&last_word).unwrap(), folded(&history("R0{a}")));

    let ab = folded(&said[..1]);
    let (base, elsewhere) = (ab.base().unwrap(), AccountId::from_bytes([1; 32]));
    let moved = MovedTo { account: elsewhere, base, to: other('Q') };
    let words = sign(recovery(), moved).into_bytes();
    let device_key =
        sign(device('a'), MovedTo { account: account(), base, to: other('Q') }).into_bytes();
    let absorbs = Absorbs { account: elsewhere, base, from: other('P'), devices: vec![] };
    let of_another = sign(authority('a'), absorbs.clone()).into_bytes();
    let here = Absorbs { account: account(), devices: vec![id('x')], ..absorbs };
    let by_words = sign(recovery(), here.clone()).into_bytes();
    assert_eq!(with(&ab, &[words, device_key, of_another, by_words]), ab);

    let absorbing = with(&ab, &[sign(authority('a'), here).into_bytes()]);
    let to_elsewhere = DeviceAck {
        inviter: *authority('a').public(),
        authority: *authority('x').public(),
        nonce: [0; 32],
        account: elsewhere,
    };
    assert_eq!(with(&absorbing, &[sign(device('x'), to_elsewhere).into_bytes()]), absorbing);
}

#[test]
fn no_account_merges_with_itself() {
    let base = folded(&history("R0{a}")).base().unwrap();
    let moved = MovedTo { account: account(), base, to: account() };
    assert!(Signed::<MovedTo>::decode(sign(recovery(), moved).bytes()).is_err());
    let absorbs = Absorbs { account: account(), base, from: account(), devices: vec![] };
    assert!(Signed::<Absorbs>::decode(sign(authority('a'), absorbs).bytes()).is_err());
}

/// An absorbs by a letter; numbers below 10 make small account ids.
fn absorbing(base: &Base, by: char, number: u8, devices: Vec<DeviceId>) -> Box<[u8]> {
    let from = AccountId::from_bytes([number; 32]);
    let absorbs = Absorbs { account: account(), base: base.id(), from, devices };
    sign(authority(by), absorbs).into_bytes()
}

/// ```text
///   seat {a b t}   t absorbs 60 accounts with the smallest ids, and fakes from each of them
/// ```
#[test]
fn a_thief_pushes_no_absorbed_account_out() {
    let seat = Operation::seat(0, &['a', 'b', 't'], &[]);
    let base = Base { seat: seat.id(), lists: Vec::new() };
    let fakes: Vec<SigningKey> = (1..=60).map(|n| SigningKey::from_seed(&[n; 32])).collect();
    let mut flood: Vec<Box<[u8]>> = Vec::new();
    for (number, fake) in (1..).zip(&fakes) {
        flood.push(absorbing(&base, 't', number, vec![fake.device()]));
        let keys = (*authority('t').public(), [number | 0x80; 32]);
        flood.push(acknowledge(fake, keys.0, keys.1, [0; 32], account()).into_bytes());
    }
    let flooded = with(&folded(&[seat]), &flood);
    assert_eq!(flooded.absorbed().len(), ABSORBED_ACCOUNTS_MAX);
    let fakes_in =
        |account: &Account| account.standings().filter(|(_, how)| *how == Standing::Added).count();
    assert!((1..=8).contains(&fakes_in(&flooded)), "as many as by device-add");
    assert_eq!(fakes_in(&flooded) + flooded.invited().len(), ABSORBED_ACCOUNTS_MAX);
    assert_eq!(with(&flooded, &flood), flooded);
    assert_eq!(&Account::fold(flooded.proof()).unwrap(), &flooded);

    // Two honest ones come late, with larger ids; votes and moves get through.
    let honest = [250_u8, 251].map(|number| absorbing(&base, 'a', number, vec![]));
    let votes = ['a', 'b'].map(|by| Operation::vote(&base, by, 't', Untrust::Stolen).bytes);
    let moves = ['a', 'b'].map(|by| Operation::move_to(&base, Some(by), 'Q').bytes);
    let all = [honest.to_vec(), votes.to_vec(), moves.to_vec()].concat();
    let mut account = flooded;
    for one in all.iter().chain(&flood) {
        account = with(&account, core::slice::from_ref(one));
    }
    for number in [250, 251] {
        assert!(account.has_absorbed(AccountId::from_bytes([number; 32])), "{number}");
    }
    assert_eq!(account.absorbed().len(), ABSORBED_ACCOUNTS_MAX);
    assert_eq!(account.moved_to(), Some(other('Q')));
    assert_eq!(account.devices().collect::<BTreeSet<_>>(), [id('a'), id('b')].into());
    assert_eq!(&Account::fold(account.proof()).unwrap(), &account);

    // What a checkpoint has settled counts before what anybody says.
    let seat = Operation::seat_absorbing(1, &['t'], &[], &['Q']);
    let base = Base { seat: seat.id(), lists: Vec::new() };
    let said = [
        Operation::absorb(&base, 't', 'P', &['x']),
        Operation::ack('x', 't', 'x'),
        Operation::list(&base, 't', &['t', 'x']),
    ];
    let more: Vec<Box<[u8]>> = (1..=40).map(|n| absorbing(&base, 't', n, vec![])).collect();
    let sat = with(&folded(&[&[seat], &said[..]].concat()), &more);
    assert!(sat.has_absorbed(other('P')) && sat.has_absorbed(other('Q')));
    assert_eq!(sat.absorbed().len(), ABSORBED_ACCOUNTS_MAX);
    assert_eq!(&Account::fold(sat.proof()).unwrap(), &sat);
    assert_eq!(with(&sat, &more), sat);
}

/// An extension that makes an envelope as large as it may be.
fn swollen(by: &SigningKey, absorbs: Absorbs, zeros: usize) -> Box<[u8]> {
    use kith_common::codec::{DecodeError, Reader, Writer};

    #[derive(Clone)]
    struct Swollen(Absorbs, usize);

    impl Payload for Swollen {
        const KIND: u64 = Absorbs::KIND;
        const VERSION: u64 = Absorbs::VERSION;
        const DOMAIN: &'static str = Absorbs::DOMAIN;
        const ENVELOPE_BYTES_MAX: usize = Absorbs::ENVELOPE_BYTES_MAX;

        fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            Absorbs::read(reader).map(|absorbs| Self(absorbs, 0))
        }

        fn write(&self, writer: &mut Writer) {
            writer.map(5);
            writer.uint(0).bytes(self.0.account.as_bytes());
            writer.uint(1).bytes(self.0.base.as_bytes());
            writer.uint(2).bytes(self.0.from.as_bytes());
            writer.uint(3).array(self.0.devices.len());
            for device in &self.0.devices {
                writer.bytes(device.as_bytes());
            }
            writer.uint(128).bytes(&vec![0; self.1]);
        }
    }
    sign(by, Swollen(absorbs, zeros)).into_bytes()
}

#[test]
fn additions_leave_room_however_large_they_are() {
    let seat = Operation::seat(0, &['a', 'b', 'c', 't', 'u'], &[]);
    let base = Base { seat: seat.id(), lists: Vec::new() };
    let mut flood = Vec::new();
    for by in ['t', 'u'] {
        for n in 1..=8_u8 {
            let fake = SigningKey::from_seed(&[n | if by == 't' { 0x10 } else { 0x20 }; 32]);
            let devices = vec![fake.device()];
            let absorbs =
                Absorbs { account: account(), base: base.id(), from: other('P'), devices };
            let envelope = swollen(authority(by), absorbs, 750);
            assert!((1000..=Absorbs::ENVELOPE_BYTES_MAX).contains(&envelope.len()));
            flood.push(envelope);
            let inviter = *authority(by).public();
            let own = *fake.public();
            let authority = own.map(|byte| !byte);
            flood.push(acknowledge(&fake, inviter, authority, [0; 32], account()).into_bytes());
        }
    }
    let account = with(&folded(&[seat]), &flood);
    let added = account.standings().filter(|(_, how)| *how == Standing::Added).count();
    assert!((10..16).contains(&added), "{added} fit");
    let bytes: usize = account.proof().iter().map(|one| one.len()).sum();
    assert!(bytes <= ACCOUNT_PROOF_BYTES_MAX);
    let honest: Vec<Box<[u8]>> = ['a', 'b', 'c']
        .into_iter()
        .map(|by| Operation::move_to(&base, Some(by), 'Q').bytes)
        .collect();
    assert!(honest.iter().map(|one| one.len()).sum::<usize>() < ADDITIONS_BYTES_MAX);
    let moved = with(&account, &honest);
    assert_eq!(moved.moved_to(), Some(other('Q')));
    assert_eq!(&Account::fold(moved.proof()).unwrap(), &moved);
}

/// ```text
///   five devices invite eight each, in envelopes as large as they may be
/// ```
#[test]
fn an_absorbs_that_does_not_fit_invites_nobody() {
    let by = ['a', 'b', 'c', 't', 'u'];
    let seat = Operation::seat(0, &by, &[]);
    let base = Base { seat: seat.id(), lists: Vec::new() };
    let numbered = by.into_iter().zip((0..).step_by(8)).flat_map(|(by, n)| {
        let base = base.id();
        (n..n + 8_u8).map(move |n| {
            let devices = vec![DeviceId::from_bytes([n; 32])];
            let absorbs = Absorbs { account: account(), base, from: other('P'), devices };
            swollen(authority(by), absorbs, 750)
        })
    });
    let account = with(&folded(&[seat]), &numbered.collect::<Vec<_>>());
    let invited = account.invited().len();
    assert!((20..40).contains(&invited), "{invited} fit");
    assert_eq!(&Account::fold(account.proof()).unwrap(), &account);
}

#[test]
fn of_several_absorbs_the_same_ones_are_kept() {
    let base = Base { seat: Operation::seat(0, &['a', 'b'], &[]).id(), lists: Vec::new() };
    let absorbs = |zeros| {
        let (base, from) = (base.id(), other('P'));
        let devices = vec![id('x'), id('y')];
        let devices = devices.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        swollen(authority('a'), Absorbs { account: account(), base, from, devices }, zeros)
    };
    let mut all = proof(&history("R0{ab} x@a y@a"));
    let fewest = absorbs(0);
    all.extend([absorbs(9), fewest.clone(), absorbs(30)]);
    let account = Account::fold(&all).unwrap();
    assert_eq!(outcome(&account).shown(), ["a", "b", "+x", "+y", "*P"].map(String::from).into());
    assert_eq!(account.proof().len(), 5, "two acknowledgements stand on one absorbs");
    assert!(account.proof().contains(&fewest));
    // A device-add goes before, for a checkpoint; the absorbs still names the account.
    let add = history("R0{ab} a+x").pop().unwrap().bytes;
    all.push(add.clone());
    all.extend(history("R0{ab} ab:{abx}").drain(1..).map(|one| one.bytes));
    let account = Account::fold(&all).unwrap();
    assert_eq!(outcome(&account).shown(), ["a", "b", "x", "*P"].map(String::from).into());
    assert_eq!(account.proof().len(), 6);
    assert!(account.proof().contains(&add));
    assert_eq!(&Account::fold(account.proof()).unwrap(), &account);
}

#[test]
fn the_largest_absorbs_fits_its_bound() {
    let devices = (0_u8..).map(|n| DeviceId::from_bytes([n; 32]));
    let devices = devices.take(ABSORBED_DEVICES_MAX).collect();
    let base = folded(&history("R0{a}")).base().unwrap();
    let absorbs = Absorbs { account: account(), base, from: other('P'), devices };
    let length = sign(authority('a'), absorbs).bytes().len();
    assert!(length + 400 <= Absorbs::ENVELOPE_BYTES_MAX, "{length}");
}

/// ```text
///   a absorbs P with x ── a absorbs P with x and y ── y acknowledges, last of all
/// ```
#[test]
fn an_absorbs_waits_for_the_devices_that_it_names() {
    let said = history("R0{ab} a*P(x) a*P(xy) y@a");
    for order in [[1, 2, 3], [2, 1, 3]] {
        let mut account = folded(&said[..1]);
        for at in order {
            account = with(&account, core::slice::from_ref(&said[at].bytes));
        }
        assert_eq!(account, folded(&said));
        assert_eq!(account.standing(id('y')), Some(Standing::Added));
    }
}
