//! How do two accounts become one? Pictures, and how a device says it.

use kith_common::{
    account::{Account, OperationError, PendingMove, Standing, Untrust, acknowledge},
    ids::{AccountId, DeviceId},
    keys::SigningKey,
};

use crate::{
    notation::{account, authority, device, folded, history, id, other, recovery},
    pictures::check,
};

/// ```text
///   seat {a b} ──► moved to Q        the way ends here: only a seat leads on
/// ```
#[test]
fn a_quorum_moves_an_account() {
    check(&[
        ("R0{a} a~Q", "a ~Q"),
        ("R0{ab} a~Q", "a b"),
        ("R0{ab} ab~Q", "a b ~Q"),
        ("R0{abc} ab~Q", "a b c ~Q"),
        ("R0{abcd} ab~Q", "a b c d"),
        ("R0{abct} t~Q t~Q", "a b c t"),
        // Devices that do not decide, and targets that are not the same.
        ("R0{a} a+b b~Q", "a +b"),
        ("R0{ab} a~Q b~P", "a b"),
        ("R0{a} z~Q", "a"),
        // Whoever has signed and is voted against or retires has signed.
        ("R0{abc} ab~Q c→a -b", "-a !b c ~Q"),
        // On a base that is not there, or an older seat.
        ("R0{a} >{ab} a~Q", "a"),
        ("R0{a} a~Q R1{a}", "a"),
        ("R1{a} R0{a} a~Q !~Q", "a"),
        // Behind a checkpoint.
        ("R0{a} a+b a:{ab} >{ab} ab~Q", "a b ~Q"),
        ("R0{a} a+b a:{ab} >{ab} a~Q", "a b"),
        // What is said afterwards is said.
        ("R0{ab} ab~Q a+x a→b", "a -b +x ~Q"),
    ]);
}

/// ```text
///            ┌──► {a b}             a decided alone once; whoever finds a later decides twice
///   {a} ─────┤
///            └──► moved to Q
/// ```
#[test]
fn a_move_and_another_decision_freeze_everything() {
    check(&[
        ("R0{a} a+b a:{ab} a~Q", "?a ?b"),
        ("R0{a} a+b a:{ab} >{ab} ab~P < a~Q", "?a ?b"),
        ("R0{a} a~Q a~P", "?a"),
        ("R0{abt} at~Q bt~P", "?a ?b ?t"),
        ("R0{abt} ab~Q t~P", "a b t ~Q"),
        ("R0{abt} ab~Q t:{t}", "a b t ~Q"),
        ("R0{abt} ab:{ab} t~P", "a b !t"),
        // Two lists count before a move.
        ("R0{a} a+bc a:{ab} a:{ac} a~Q", "?a ?b ?c"),
        ("R0{a} a+b a:{ab} a~P a~Q", "?a ?b"),
        // A list that names somebody whom nobody added is a decision too.
        ("R0{a} a:{ax} a~Q", "?a ?x"),
        ("R0{a} a~Q a~P R1{a}", "a"),
    ]);
}

#[test]
fn the_recovery_key_has_the_last_word_on_its_seat() {
    check(&[
        ("R0{abc} !~Q", "a b c ~Q"),
        ("R0{ab} ab~P !~Q", "a b ~Q"),
        ("R0{a} a~P a~S !~Q", "?a ~Q"),
        ("R0{a} a+b !~Q a:{ab} >{ab} a→b", "a -b ~Q"),
        ("R0{a} a+b a:{ab} >{ab} !~Q", "a b"),
        ("R0{a} !~Q R1{a}", "a"),
        ("R1{a} R1{b} !~Q", "?a ?b"),
    ]);
    let smallest = ['P', 'Q', 'S'].into_iter().min_by_key(|one| other(*one)).unwrap();
    check(&[("R0{a} !~P !~Q !~S", &format!("a ~{smallest}"))]);
}

/// ```text
///   P {x y} ── x acknowledges ──► {a b} + x        y is named and has not signed
/// ```
#[test]
fn who_is_named_and_acknowledges_is_added() {
    check(&[
        ("R0{ab} a*P", "a b *P"),
        ("R0{ab} a*P(xy)", "a b @x @y *P"),
        ("R0{ab} a*P(xy) x@a", "a b +x @y *P"),
        ("R0{ab} x@a a*P(xy) y@a", "a b +x +y *P"),
        ("R0{ab} a*P(x) a*P(xy) y@a", "a b @x +y *P"),
        ("R0{ab} a*P(x) b*Q(y) x@a y@b", "a b +x +y *P *Q"),
        // One side only, another inviter, another device, nobody who decides.
        ("R0{ab} x@a", "a b"),
        ("R0{ab} a*P(x) x@b", "a b @x *P"),
        ("R0{ab} a*P(y) x@a", "a b @y *P"),
        ("R0{ab} a+c c*P(x) x@c", "a b +c"),
        ("R0{ab} z*P(x) x@z", "a b"),
        // Who is settled, or was.
        ("R0{ab|x} a*P(xb) x@a b@a", "a b !x *P"),
        ("R0{ab} a*P(x) x@a(b)", "a b @x *P"),
        // On an older base it names the account and takes nobody in.
        ("R0{a} a+b a:{ab} a*P(x) x@a", "a b *P"),
        ("R0{ab} ab:{a} b*P", "a !b *P"),
        ("R0{ab} ab:{a} >{a} b*P", "a !b"),
        // An old acknowledgement serves its inviter again.
        ("R0{ab} a*P(x) x@a ab:{ab} >{ab}", "a b *P"),
        ("R0{abc} a*P(x) x@a ab:{ab} >{ab} a*P(x)", "a b +x !c *P"),
    ]);
}

#[test]
fn who_was_taken_in_is_added_like_any_other() {
    check(&[
        ("R0{abt} t*P(x) x@t a→t", "a b -t -x *P"),
        ("R0{abt} t*P(x) x@t ab→t", "a b !t !x *P"),
        ("R0{abt} t*P(x) x@t t→a a→t", "?a b ?t ?x *P"),
        ("R0{abt} t*P(x) x@t a+x a→t", "a b -t +x *P"),
        ("R0{ab} a*P(x) x@a x→a x~Q", "a b +x *P"),
        ("R0{ab} a*P(x) x@a a→x", "a b -x *P"),
        ("R0{ab} a*P(x) x@a -x", "a b !x *P"),
        ("R0{ab} a+x b*P(x) x@b(y)", "a b ?x *P"),
        // It is settled by a checkpoint, and retires from where it came in.
        ("R0{a} a*P(x) x@a a:{ax}", "a x *P"),
        ("R0{a} a*P(xy) x@a y@a a:{axy} >{axy} xy→a", "!a x y *P"),
        ("R0{ab} a*P(x) x@a a:{abx}", "a b +x *P"),
        ("R0{ab} a*P(x) a:{abx} b:{abx}", "a b @x *P"),
        ("R0{a} a*P(x) x@a a:{ax} -x", "a !x *P"),
        ("R0{a} a*P(x) x@a a:{ax} a:{a}", "?a ?x *P"),
    ]);
}

/// ```text
///   a absorbs P with x ── x is in other hands before it has acknowledged
/// ```
#[test]
fn who_is_named_and_not_there_can_be_voted_out() {
    check(&[
        ("R0{abc} a*P(x) b→x", "a b c -x *P"),
        ("R0{abc} a*P(x) ab⇒x", "a b c !x *P"),
        ("R0{abc} b→x", "a b c"),
        ("R0{abc} a*P(x) a→x", "a b c -x *P"),
        // By devices that decide alone.
        ("R0{ab} a+y a*P(x) y→x z→x", "a b +y @x *P"),
        // The vote holds when it comes over, whatever comes first.
        ("R0{abc} a*P(x) b→x x@a", "a b c -x *P"),
        ("R0{abc} a*P(x) ab→x x@a", "a b c !x *P"),
        ("R0{abc} x@a b→x c*P(x) x@c a*P(x)", "a b c -x *P"),
        ("R0{abc} a*P(x) x@a b→x", "a b c -x *P"),
        // Who is invited has no vote, and answers nobody.
        ("R0{abc} a*P(x) b→x x→b", "a b c -x *P"),
        ("R0{abc} a*P(x) b→x c→b b→c", "a ?b ?c ?x *P"),
        ("R0{abc} a*P(x) b→x ac→b", "a !b c @x *P"),
        // On the last base only; another one may be voted about again.
        ("R0{ab} a*P(x) a→x ab:{ab}", "a b *P"),
        ("R0{ab} a*P(x) a→x ab:{ab} >{ab} a*P(x)", "a b @x *P"),
        ("R0{ab} a*P(x) ab:{ab} >{ab} b*P(x) a→x x@b", "a b -x *P"),
        ("R0{ab} a*P(x) ab:{ab} >{ab} a→x", "a b *P"),
        // A seat invites nobody; who was voted out is dropped, and never comes in again.
        ("R0{ab} a*P(x) R1{ab;P}", "a b *P"),
        ("R0{ab} a*P(x) R1{ab|x;P} a*P(x) x@a", "a b !x *P"),
    ]);
}

/// ```text
///   t absorbs P with x ── t is out: nobody who stands invites x
/// ```
#[test]
fn who_is_out_invites_nobody() {
    check(&[
        ("R0{abt} t*P(x)", "a b t @x *P"),
        ("R0{abt} t*P(x) a→t", "a b -t *P"),
        ("R0{abt} t*P(x) a→t t→a", "?a b ?t *P"),
        ("R0{abt} t*P(x) -t", "a b !t *P"),
        ("R0{abt} t*P(x) a→t b*P(x)", "a b -t @x *P"),
        ("R0{abt} t*P(x) ab→t b→x", "a b !t -x *P"),
        ("R0{ab} a*P(x) a~Q b~Q", "a b @x *P ~Q"),
        // A fork: nobody decides.
        ("R0{ab} a*P(x) ab~Q ab~P", "?a ?b *P"),
        ("R1{a} R1{b} a*P(x)", "?a ?b"),
    ]);
}

#[test]
fn what_was_absorbed_stays_so() {
    check(&[
        ("R0{ab} a*P b→a", "-a b *P"),
        ("R0{abc} a*P bc:{bc}", "!a b c *P"),
        ("R0{a} a*P R1{a}", "a"),
        ("R0{a} a*P R1{a;P}", "a *P"),
        ("R1{a;PQ} R0{a;S}", "a *P *Q"),
        ("R0{a;P} a*P(x) x@a", "a +x *P"),
        ("R0{a;P} a*P(x) x@a a:{ax}", "a x *P"),
        ("R1{a;P} R1{b;Q}", "?a ?b *P *Q"),
        // A fork behind an earlier base forgets what was said later.
        ("R0{a} a*P a+b a:{ab} >{ab} b*Q < a:{a}", "?a ?b *P"),
        // Both at once: in the middle of a chain.
        ("R0{a} a*P a~Q", "a *P ~Q"),
    ]);
}

#[test]
fn helpers_make_what_counts() {
    let alone = folded(&history("R0{x}"));
    let stays = other('Q');
    assert_eq!(alone.pending_moves(), []);
    let moved = alone.join(&[alone.move_to(authority('x'), stays).unwrap()]).unwrap();
    assert_eq!(moved.moved_to(), Some(stays));

    let three = folded(&history("R0{abc}"));
    let three = three.join(&[three.move_to(authority('a'), stays).unwrap()]).unwrap();
    assert_eq!(three.moved_to(), None);
    let waits = PendingMove {
        to: stays,
        signed: [id('a')].into(),
        missing: [id('b'), id('c')].into(),
        quorum: 2,
    };
    assert_eq!(three.pending_moves(), [waits]);
    let three = three.join(&[three.move_to(authority('b'), stays).unwrap()]).unwrap();
    assert_eq!((three.moved_to(), three.pending_moves().len()), (Some(stays), 0));

    let words = three.move_to(recovery(), other('P')).unwrap();
    assert_eq!(three.join(&[words]).unwrap().moved_to(), Some(other('P')));

    let from = other('P');
    let ab = folded(&history("R0{ab}"));
    let absorbs = ab.absorb(authority('a'), from, &[id('y'), id('x')]).unwrap();
    let ack = |one: char| {
        let keys = (*authority('a').public(), *authority(one).public());
        acknowledge(device(one), keys.0, keys.1, [7; 32], account()).into_bytes()
    };
    let ab = ab.join(&[absorbs, ack('x')]).unwrap();
    assert_eq!(ab.absorbed().collect::<Vec<_>>(), [from]);
    assert_eq!(ab.standing(id('x')), Some(Standing::Added));
    assert!(ab.invites(id('y')) && !ab.invites(id('x')));
    let voted = ab.untrust(authority('b'), id('y'), Untrust::Stolen).unwrap();
    let voted = ab.join(&[voted, ack('y')]).unwrap();
    assert!(matches!(voted.standing(id('y')), Some(Standing::Former(_))));
    let kept = |keep: &[DeviceId], gone: &[DeviceId]| {
        let seat = ab.seat_without(recovery(), keep, vec![], &[from], gone).unwrap();
        let seated = ab.join(&[seat]).unwrap();
        let out = |one: char| matches!(seated.standing(id(one)), Some(Standing::Former(_)));
        (out('x'), out('y'), out('z'))
    };
    assert_eq!(kept(&[id('a'), id('y')], &[]), (true, false, false), "y is neither in nor out");
    assert_eq!(kept(&[id('a'), id('x')], &[id('z')]), (false, true, true));
    let ab = ab.join(&[ack('y')]).unwrap();
    assert_eq!(ab.standing(id('y')), Some(Standing::Added), "the absorbs waits for it");
    assert_eq!(ab.invited().len(), 0);
    // Who is there already, or has been, is not invited, whoever says so.
    for said in ["R0{ab} a*P(b)", "R0{abc} ab:{ab} >{ab} a*P(c)", "R0{ab|c} a*P(c)"] {
        assert_eq!(folded(&history(said)).invited().len(), 0, "{said}");
    }
    // Then it is not kept either.
    let before = "R0{abc} a*P ab:{ab} >{ab}";
    for said in ["a*P(b)", "a*P(c)"] {
        let both = folded(&history(&format!("{before} {said}")));
        assert_eq!(both, folded(&history(before)), "{said}");
    }
    let list = [id('a'), id('b'), id('x')];
    let signed = ['a', 'b'].map(|by| ab.checkpoint(authority(by), &list).unwrap());
    let ab = ab.join(&signed).unwrap();
    assert_eq!(ab.standing(id('x')), Some(Standing::Settled));
    assert_eq!(&Account::fold(ab.proof()).unwrap(), &ab);

    let seat = ab.seat(recovery(), &[id('x')], vec![]).unwrap();
    let again = ab.join(&[seat]).unwrap();
    assert_eq!(again.absorbed().collect::<Vec<_>>(), [from], "a recovery undoes no merge");
    assert_eq!(again.standing(id('x')), Some(Standing::Settled));
    let seat = ab.seat_absorbing(recovery(), &[id('a')], vec![], &[other('S')]).unwrap();
    assert_eq!(ab.join(&[seat]).unwrap().absorbed().collect::<Vec<_>>(), [other('S')]);
}

#[test]
fn a_seat_leaves_an_account_out() {
    let (from, thief) = (other('P'), folded(&history("R0{x}")));
    let ab = folded(&history("R0{ab|z}"));
    let absorbs = ab.absorb(authority('a'), from, &[]).unwrap();
    let ab = ab.join(&[absorbs]).unwrap();
    assert!(ab.vouches_for(from) && !ab.leaves_out(&thief));
    let again = ab.seat_absorbing(recovery(), &[id('a')], vec![], &[from]).unwrap();
    let again = ab.join(&[again]).unwrap();
    assert!(again.vouches_for(from), "the recovery key says it");
    let left = ab.seat_without(recovery(), &[id('a')], vec![], &[], &[id('x')]).unwrap();
    let left = ab.join(&[left]).unwrap();
    assert!(!left.vouches_for(from) && left.leaves_out(&thief));
    assert!(matches!(left.standing(id('x')), Some(Standing::Former(_))), "it never comes in");
    let after = left.join(&[left.seat(recovery(), &[id('a')], vec![]).unwrap()]).unwrap();
    assert!(after.leaves_out(&thief), "the next seat says so too");
    let out = ab.join(&[ab.untrust(authority('b'), id('a'), Untrust::Stolen).unwrap()]).unwrap();
    assert!(out.has_absorbed(from) && !out.vouches_for(from), "who was cut off speaks for nobody");
}

#[test]
fn helpers_refuse_what_would_not_count() {
    let (p, q) = (other('P'), other('Q'));
    let ab = folded(&history("R0{ab|z} a+x"));
    let moves = |account: &Account, key: &SigningKey, to| account.move_to(key, to).unwrap_err();
    assert_eq!(moves(&ab, authority('a'), account()), OperationError::Itself);
    assert_eq!(moves(&ab, recovery(), account()), OperationError::Itself);
    assert_eq!(moves(&ab, authority('x'), q), OperationError::NotSettled);
    let signed = folded(&history("R0{ab} a~Q"));
    assert_eq!(moves(&signed, authority('a'), p), OperationError::SignedAnother);
    assert!(signed.move_to(authority('a'), q).is_ok(), "once more the same");
    let list = signed.checkpoint(authority('a'), &[id('a')]);
    assert_eq!(list, Err(OperationError::SignedAnother));
    let listed = folded(&history("R0{ab} a:{a}"));
    assert_eq!(moves(&listed, authority('a'), q), OperationError::SignedAnother);
    let moved = folded(&history("R0{a} a~Q"));
    assert_eq!(moves(&moved, authority('a'), q), OperationError::Moved(q));
    assert_eq!(moved.checkpoint(authority('a'), &[id('a')]), Err(OperationError::Moved(q)));
    let word = folded(&history("R0{a} a~Q !~P"));
    assert_eq!(moves(&word, recovery(), q), OperationError::Moved(p));
    assert_eq!(moves(&word, authority('a'), q), OperationError::Moved(p));
    assert_eq!(word.checkpoint(authority('a'), &[id('a')]), Err(OperationError::Moved(q)));
    let frozen = folded(&history("R0{a} a~Q a~P"));
    assert_eq!(moves(&frozen, authority('a'), q), OperationError::Frozen);
    assert!(frozen.move_to(recovery(), q).is_ok());
    let two = folded(&history("R1{a} R1{b}"));
    assert_eq!(moves(&two, recovery(), q), OperationError::Frozen);

    let absorbs = |devices: &[DeviceId]| ab.absorb(authority('a'), p, devices).unwrap_err();
    assert_eq!(ab.absorb(authority('a'), account(), &[]), Err(OperationError::Itself));
    assert_eq!(ab.absorb(authority('x'), p, &[]), Err(OperationError::NotSettled));
    assert_eq!(absorbs(&[id('b')]), OperationError::Known(id('b')));
    assert_eq!(absorbs(&[id('z')]), OperationError::Unknown(id('z')));
    assert_eq!(absorbs(&[id('y'), id('y')]), OperationError::List);
    let nine: Vec<DeviceId> = ('c'..='k').map(id).collect();
    assert_eq!(absorbs(&nine), OperationError::List);
    let many: Vec<AccountId> = ('A'..='P').map(other).collect();
    let full = ab.seat_absorbing(recovery(), &[id('a')], vec![], &many).unwrap();
    let full = ab.join(&[full]).unwrap();
    assert_eq!(full.absorb(authority('a'), q, &[]), Err(OperationError::Absorbed(16)));
    assert!(full.absorb(authority('a'), p, &[id('y')]).is_ok());
    let seat = |absorbed: &[AccountId]| ab.seat_absorbing(recovery(), &[id('a')], vec![], absorbed);
    assert_eq!(seat(&[account()]), Err(OperationError::Itself));
    assert_eq!(seat(&[p, p]), Err(OperationError::List));
    assert_eq!(seat(&('A'..='Q').map(other).collect::<Vec<_>>()), Err(OperationError::List));
}
