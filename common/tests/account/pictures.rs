//! How does each history come out? The table of spec 02, and what else could go wrong.

use std::collections::BTreeSet;

use kith_common::account::{Reason, Standing};

use crate::{
    model,
    notation::{folded, history, id, outcome, standings},
};

/// Checks rows of: what happens, how every device stands.
pub(crate) fn check(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let said = history(text);
        let account = folded(&said);
        let expected: BTreeSet<String> = expected.split_whitespace().map(Into::into).collect();
        assert_eq!(outcome(&account).shown(), expected, "{text}");
        assert_eq!(model::outcome(&said).shown(), expected, "{text}, by the model");
        let stand: BTreeSet<_> = account.devices().collect();
        let of_picture = |one: &&String| one.len() == 1 || one.starts_with('+');
        let letter = |one: &String| id(one.chars().last().unwrap());
        assert_eq!(stand, expected.iter().filter(of_picture).map(letter).collect(), "{text}");
    }
}

/// ```text
///   a ──votes──► t        settled devices of one base; t is the thief's, x are fakes
///   a ◄──votes── t
/// ```
#[test]
fn the_table_of_the_spec() {
    check(&[
        ("R0{at} t→a", "-a t"),
        ("R0{at} t→a a→t", "?a ?t"),
        ("R0{at} t→a a→t R1{a|t}", "a !t"),
        ("R0{abt} t→ab t+vwxyz", "-a -b t +v +w +x +y +z"),
        ("R0{abt} t→ab t+vwxyz ab→t", "a b !t !v !w !x !y !z"),
        ("R0{abt} t+x t→a a→t", "?a b ?t ?x"),
        ("R0{abt} t+x t→a a→t b→t", "a b !t !x"),
        ("R0{abt} t+vwxyz t:{tvwxyz}", "a b t +v +w +x +y +z"),
        ("R0{abct} t→a a→t b→t", "?a b c ?t"),
        ("R0{abct} t→a abc→t", "a b c !t"),
        ("R0{a} a+b a:{ab} a+x", "a b"),
    ]);
}

/// ```text
///   seat {a} ──► {a b} ──► {b c}        a list names devices that are settled or added below it
/// ```
#[test]
fn checkpoints_settle_what_was_added() {
    check(&[
        ("R0{a} a+b", "a +b"),
        ("R0{a} a+b a:{ab}", "a b"),
        ("R0{a} a+b a:{ab} >{ab} b+c a→b", "a -b -c"),
        ("R0{a} a+b a:{ab} >{ab} b+c ab:{bc}", "b c !a"),
        ("R0{a} a+b a:{b}", "b !a"),
        ("R0{ab} a+c a:{abc}", "a b +c"),
        ("R0{ab} a+c ab:{abc}", "a b c"),
        ("R0{abc} a+d ab:{abcd}", "a b c d"),
        ("R0{abcd} a+e ab:{abcde}", "a b c d +e"),
        ("R0{abcd} a+e abc:{abcde}", "a b c d e"),
        // Nobody added c.
        ("R0{a} a:{ac}", "a"),
        // Signed by a device that is only added.
        ("R0{ab} a+c ac:{abc}", "a b +c"),
        // Lists that are not the same do not add up.
        ("R0{ab} a+cd a:{abc} b:{abd}", "a b +c +d"),
        // An added device that is not named is forgotten, a settled one is former.
        ("R0{ab} a+c ab:{a}", "a !b"),
        // A former device never comes in again.
        ("R0{ab} ab:{a} >{a} a+b", "a !b"),
        ("R0{ab} ab:{a} >{a} a+b a:{ab}", "a !b"),
        ("R0{a|b} a+b", "a !b"),
    ]);
}

/// ```text
///            ┌──► {a t}      at least one device has signed both ways
///   {a b t} ─┤
///            └──► {b t}
/// ```
#[test]
fn two_lists_with_a_quorum_freeze_everything() {
    check(&[
        ("R0{abt} at:{at} bt:{bt}", "?a ?b ?t"),
        ("R0{abt} t+x at:{at} bt:{btx}", "?a ?b ?t ?x"),
        ("R0{a} a+b a:{ab} a:{a}", "?a ?b"),
        ("R0{a} a+b a:{ab} >{ab} a→b < a:{a}", "?a ?b"),
        ("R0{abt} at:{at} bt:{bt} ab→t", "?a ?b ?t"),
        ("R0{abt} at:{at} bt:{bt} -a", "?a ?b ?t"),
        ("R0{abt} at:{at} bt:{bt} R1{ab|t}", "a b !t"),
        // On a later base: what was decided before stays.
        ("R0{abc} ab:{ab} >{ab} b+d ab:{ab} ab:{abd}", "?a ?b ?d !c"),
        // A second list without a quorum is none.
        ("R0{abt} at:{at} t:{bt}", "a t !b"),
        ("R0{abt} ab:{ab} t:{t}", "a b !t"),
    ]);
}

#[test]
fn what_was_decided_stays_whatever_comes_late() {
    check(&[
        // Votes, additions and retirements on an older base.
        ("R0{a} a+b a:{ab} a→b", "a b"),
        ("R0{at} t+b at:{atb} t→a t→b", "a b t"),
        ("R0{abt} ab:{ab} t→a t+x t:{tx}", "a b !t"),
        // The quorum of a base does not shrink by later retirements.
        ("R0{abt} t+x ab:{ab} >{ab} -a -b < t:{tx}", "!a !b !t"),
        ("R0{abt} -a -b t:{t}", "!a !b t"),
        // t adds c once more with an authority key of its own.
        ("R0{at} a+c at:{act} t+c(x)", "a c t"),
    ]);
}

#[test]
fn seats_replace_everything() {
    check(&[
        ("R0{a} R1{b|a}", "b !a"),
        ("R0{a} R1{b|a} R0{c}", "b !a"),
        ("R1{b|a} R0{a} a→b a+x", "b !a"),
        ("R0{a} R7{b} R3{c}", "b"),
        ("R0{at} at:{t} R1{a|t} t→a", "a !t"),
        // The recovery key is in two hands.
        ("R0{a} R1{b|a} R1{c|a}", "!a ?b ?c"),
        ("R0{a} R1{ab} R1{ac} a→b b→a", "?a ?b ?c"),
        ("R0{a} R1{b|a} R1{c|b} R2{c|ab}", "!a !b c"),
        ("R1{a|b} R1{b|a}", "?a ?b"),
        // Retired under an earlier seat: the person took it in again.
        ("R0{ab} -b R1{ab}", "a b"),
        ("R0{ab} R1{a|b} R2{ab}", "a b"),
    ]);
}

#[test]
fn one_voice_removes_until_it_is_answered() {
    check(&[
        ("R0{ab} a→b", "a -b"),
        ("R0{abc} a→b", "a -b c"),
        ("R0{abc} a→bc", "a -b -c"),
        // Somebody answers for a; t never does.
        ("R0{abct} t→a b→t", "?a b c -t"),
        ("R0{abct} t→a b→t t→b", "?a ?b c ?t"),
        ("R0{abct} t→abc a→t", "?a ?b ?c ?t"),
        ("R0{abct} t→abc abc→t", "a b c !t"),
        // A circle: everybody is accused by somebody who is accused.
        ("R0{abcd} a→b b→c c→d d→a", "?a ?b ?c ?d"),
        ("R0{abcd} a→b b→c c→d", "a -b ?c ?d"),
        // Two accusers of whom one was answered.
        ("R0{abcde} a→t a→e b→e e→a", "?a b c d ?e"),
        // A vote against oneself and one against a stranger.
        ("R0{ab} a→a", "a b"),
        ("R0{ab} a→z", "a b"),
        // By a device without a vote.
        ("R0{ab} a+x x→a x→b", "a b +x"),
        ("R0{ab} z→a", "a b"),
        // Twice counts once.
        ("R0{abcd} a→b a⇒b a→b", "a -b c d"),
    ]);
}

#[test]
fn a_quorum_removes_for_good() {
    check(&[
        ("R0{abt} t→ab a→t b→t", "a b !t"),
        ("R0{abcdt} tc→a abd→t", "-a b c d !t"),
        ("R0{abcdtu} tu→abcd abcd→t abcd→u", "a b c d !t !u"),
        // Both sides have one: both are out.
        ("R0{abc} ab→c bc→a", "!a b !c"),
        // One of one.
        ("R0{a} a+x a→x", "a !x"),
        ("R0{abc} c+x ab→x", "a b c !x"),
        // Fakes give no votes, however many.
        ("R0{abt} t+uvwxyz tuvwxyz→a a→t b→t", "a b !t !u !v !w !x !y !z"),
    ]);
}

#[test]
fn retired_devices_are_out_and_what_they_voted_in_a_quorum_stays() {
    check(&[
        ("R0{ab} -b", "a !b"),
        ("R0{ab} -b b→a", "a !b"),
        ("R0{ab} a+x -x", "a b !x"),
        ("R0{ab} a+x -a", "!a b !x"),
        ("R0{ab} a+x b+x -a", "!a b +x"),
        ("R0{ab} a+x ab:{bx} -a", "!a b x"),
        // The thief does not come back because the honest ones left.
        ("R0{abt} ab→t -a -b", "!a !b !t"),
        ("R0{abt} ab→t -a t→b", "!a b !t"),
        // A retired accuser has no voice, but its vote was cast.
        ("R0{abc} -a a→b", "!a b c"),
        ("R0{abc} -a ac→b", "!a !b c"),
        // It retires while others still settle it.
        ("R0{ab} a+c -b ab:{abc}", "a !b c"),
        ("R0{ab} a+c -c ab:{abc}", "a b !c"),
        ("R0{ab} a+c -b ab:{abc} >{abc} a:{abc}", "a !b c"),
        // Somebody else's retirement.
        ("R0{ab} -z", "a b"),
    ]);
}

#[test]
fn what_a_device_brought_in_goes_with_it() {
    check(&[
        ("R0{abt} t+x a→t", "a b -t -x"),
        ("R0{abt} t+x b+x a→t", "a b -t +x"),
        ("R0{abt} t+x ab→t", "a b !t !x"),
        ("R0{abt} t+x b+y ab→t a→y", "a b !t !x -y"),
        ("R0{abt} t+x t→a a→t", "?a b ?t ?x"),
        ("R0{abt} t+x t→a a→t b→x", "?a b ?t -x"),
        ("R0{abt} t+x a+x t→a a→t", "?a b ?t ?x"),
        // An accuser who is accused freezes only.
        ("R0{abt} b+x t→a a→x", "-a b t ?x"),
        // A fake brings nobody in.
        ("R0{ab} a+x x+y", "a b +x"),
    ]);
}

#[test]
fn one_key_one_device() {
    check(&[
        // x claims the authority key of a settled device.
        ("R0{ab} a+x(b)", "a b"),
        ("R0{ab} a+x(a)", "a b"),
        // Two claim one key: harmless while neither decides, and no list can name both.
        ("R0{ab} a+x b+y(x)", "a b +x +y"),
        // One device with two authority keys: somebody lies.
        ("R0{abt} a+x t+x(y)", "a b t ?x"),
        ("R0{abt} a+x t+x(y) ab→t", "a b !t +x"),
        ("R0{abt} a+x t+x(y) ab:{abx}", "a b x !t"),
    ]);
}

#[test]
fn quotas_of_additions() {
    let count = |text: &str, wanted: &str| {
        let account = folded(&history(text));
        let added = standings(&account);
        let of = |letters: &str| letters.chars().filter(|l| added.contains_key(l)).count();
        wanted.split_whitespace().for_each(|rule| {
            let (letters, number) = rule.split_once('=').unwrap();
            assert_eq!(of(letters), number.parse::<usize>().unwrap(), "{rule} of {text}");
        });
    };
    count("R0{ab} a+nopqrstuvw", "nopqrstuvw=8");
    count("R0{ab} a+nopqrstuvw b+cd", "nopqrstuvw=8 cd=2");
    count("R0{abc} a+defghijk b+lmnopqrs c+tuv", "defghijklmnopqrs=13 tuv=3");
    // The first of an inviter counts, whatever its id.
    for last in 'm'..='z' {
        let all = format!("R0{{abcd}} abc+efghijkl d+{last}");
        count(&all, &format!("{last}=1"));
        assert_eq!(outcome(&folded(&history(&all))), model::outcome(&history(&all)));
    }
}

#[test]
fn reasons_are_told() {
    let reason = |text: &str, device: char| match folded(&history(text)).standing(id(device)) {
        Some(Standing::Former(former)) => Some(former.reason),
        _ => None,
    };
    assert_eq!(reason("R0{ab} a→b", 'b'), Some(Reason::Removed));
    assert_eq!(reason("R0{ab} a⇒b", 'b'), Some(Reason::Stolen));
    assert_eq!(reason("R0{ab} a⇒b a→b", 'b'), Some(Reason::Stolen));
    assert_eq!(reason("R0{abc} a→b c⇒b", 'b'), Some(Reason::Stolen));
    assert_eq!(reason("R0{ab} -b", 'b'), Some(Reason::Retired));
    assert_eq!(reason("R0{ab} ab:{a}", 'b'), Some(Reason::LeftOut));
    assert_eq!(reason("R0{a|b}", 'b'), Some(Reason::LeftOut));
    assert_eq!(reason("R0{ab} b+x a→b", 'x'), Some(Reason::WithInviter));
}
