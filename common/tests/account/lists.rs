//! Which list does a device sign when it is asked to, and when does it sign none?

use kith_common::{account::OperationError, ids::DeviceId};

use crate::notation::{authority, by_id, folded, history, id};

fn ids(letters: &str) -> Vec<DeviceId> {
    by_id(&letters.chars().collect::<Vec<_>>()).into_iter().map(id).collect()
}

#[track_caller]
fn check(said: &str, by: char, named: &str, wanted: Result<&str, OperationError>) {
    let account = folded(&history(said));
    let list = account.list_for(id(by), &ids(named));
    assert_eq!(list, wanted.map(ids), "{said}: {by} is asked for {{{named}}}");
    if let Ok(list) = list {
        assert!(account.checkpoint(authority(by), &list).is_ok(), "{said}: {list:?}");
    }
}

#[test]
fn a_list_that_waits_is_joined_before_another_is_made() {
    check("R0{ab} a+c", 'a', "", Ok("abc"));
    check("R0{ab} a+cd a:{abc}", 'b', "", Ok("abc"));
    check("R0{abcde} a+xy a:{abcdex} bc:{abcdey}", 'd', "", Ok("abcdey"));
    // Whoever names devices says which list it is.
    check("R0{abc} a+xy a:{abcx}", 'b', "abcxy", Ok("abcxy"));
}

#[test]
fn a_list_is_not_joined_that_names_who_does_not_belong() {
    let gone = "R0{abc} a+xy a:{abcx} ab→x";
    check(gone, 'b', "", Ok("abcy"));
    check(gone, 'b', "abcx", Err(OperationError::Unknown(id('x'))));
    check("R0{abc} a+x a:{abcx} b:{abc} ab→x", 'c', "", Ok("abc"));
    // One voice is enough as long as it is not answered.
    check("R0{abc} a+xy a:{abcx} b→x", 'b', "", Ok("abcy"));
}

#[test]
fn a_device_signs_one_list() {
    check("R0{ab} a+c a:{abc}", 'a', "", Ok("abc"));
    let bound = "R0{ab} a+cd a:{abc}";
    check(bound, 'a', "", Err(OperationError::SignedAnother));
    check(bound, 'a', "abd", Err(OperationError::SignedAnother));
    check(bound, 'a', "abc", Ok("abc"));
    check("R0{ab} a+c a~Q", 'a', "", Err(OperationError::SignedAnother));
    let in_vain = "R0{ab} a+cd a:{abc} b:{abd}";
    for by in ['a', 'b'] {
        check(in_vain, by, "", Err(OperationError::SignedInVain));
    }
    check("R0{ab} a+c a:{abc} ab→c", 'a', "", Err(OperationError::SignedInVain));
}

#[test]
fn no_list_is_made_that_too_few_may_sign() {
    check("R0{ab} a+c a:{abc} ab→c", 'b', "", Err(OperationError::NoQuorum));
    check("R0{ab} a+cd a:{abc}", 'b', "abcd", Err(OperationError::NoQuorum));
    check("R0{ab} a→b", 'a', "", Err(OperationError::NoQuorum));
    check("R0{abc} a→b", 'a', "", Ok("ac"));
    check("R0{ab} a+c b~Q", 'a', "", Err(OperationError::NoQuorum));
}

#[test]
fn no_list_is_made_that_changes_nothing() {
    check("R0{ab}", 'a', "", Err(OperationError::Needless));
    check("R0{ab} a+c", 'a', "ab", Ok("ab"));
    check("R0{ab} a+c ab→c", 'a', "", Ok("ab"));
    check("R0{abc} ab:{ab} >{ab}", 'a', "", Err(OperationError::Needless));
    // Whoever has signed one is bound until the others agree.
    check("R0{ab} a:{ab}", 'b', "", Ok("ab"));
}

#[test]
fn only_who_decides_signs() {
    check("R0{ab} a+c", 'c', "", Err(OperationError::NotSettled));
    check("R0{ab} ab:{a} ab:{b}", 'a', "", Err(OperationError::Frozen));
    let moved = folded(&history("R0{a} a~Q")).list_for(id('a'), &[]);
    assert!(matches!(moved, Err(OperationError::Moved(_))), "{moved:?}");
}
