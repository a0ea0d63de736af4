//! Do keys stay where they belong? A home is made, opened, changed, damaged and stolen.

use std::{collections::BTreeMap, fs};

use kith_common::{account::acknowledge, crypto::hash, limits::NAME_BYTES_MAX};
use kith_core::names::NameError;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const COST: PasswordCost = PasswordCost::INTERACTIVE;

fn given(text: &str) -> Passphrase {
    Passphrase::Given(Zeroizing::new(text.to_owned()))
}

fn alice(passphrase: &Passphrase) -> (TempDir, NewHome) {
    let folder = tempfile::tempdir().unwrap();
    let made = create(&folder.path().join("home"), passphrase, COST, "Alice").unwrap();
    (folder, made)
}

fn some(words: &[String], positions: &[u8]) -> BTreeMap<u8, String> {
    positions.iter().map(|at| (*at, words[usize::from(*at) - 1].clone())).collect()
}

#[test]
fn what_is_made_unlocks_again() {
    let (folder, made) = alice(&given("correct horse"));
    let dir = folder.path().join("home");
    let keys = unlock(&dir, &given("correct horse")).unwrap();
    assert_eq!(keys.device.public(), made.keys.device.public());
    assert!(keys.master == made.keys.master);
    assert_eq!(keys.account, made.keys.account);
    assert_eq!(keys.name, "Alice");
    assert!(exists(&dir) && needs_passphrase(&dir).unwrap());
    SqliteStore::open(&database(&dir), &keys.master).unwrap();
}

#[test]
fn only_the_right_passphrase_unlocks() {
    let (folder, made) = alice(&given("correct horse"));
    let dir = folder.path().join("home");
    assert!(matches!(unlock(&dir, &given("wrong")), Err(HomeError::WrongPassphrase)));
    assert!(matches!(authority(&dir, &given("wrong")), Err(HomeError::WrongPassphrase)));
    assert!(matches!(
        recovery_words(&dir, &given("wrong"), made.keys.account.id()),
        Err(HomeError::WrongPassphrase)
    ));
    assert!(matches!(unlock(&dir, &Passphrase::None), Err(HomeError::PassphraseNeeded)));
    let empty = create(&folder.path().join("other"), &given(""), COST, "Alice");
    assert!(matches!(empty, Err(HomeError::PassphraseEmpty)));
}

#[test]
fn a_home_without_passphrase_says_so() {
    let (folder, _) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    assert!(!needs_passphrase(&dir).unwrap());
    assert!(unlock(&dir, &Passphrase::None).is_ok());
    assert!(matches!(unlock(&dir, &given("any")), Err(HomeError::PassphraseNotUsed)));
}

#[test]
fn the_authority_key_is_out_of_reach_of_an_unlocked_node() {
    let (folder, made) = alice(&given("correct horse"));
    let dir = folder.path().join("home");
    let key = authority(&dir, &given("correct horse")).unwrap();
    assert_ne!(key.public(), made.keys.device.public());
    let file = read(&dir).unwrap();
    assert!(file.open(Part::Authority, &made.keys.master).is_err());
    assert!(file.open(Part::Recovery, &made.keys.master).is_err());
    assert!(file.open(Part::Device, &made.keys.master).is_ok());
}

#[test]
fn the_words_are_the_recovery_key_until_they_are_confirmed() {
    let (folder, made) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    let account = made.keys.account.id();
    let words = recovery_words(&dir, &Passphrase::None, account).unwrap();
    assert_eq!((words.len(), &words), (24, &made.recovery_words));
    let mnemonic = bip39::Mnemonic::parse_normalized(&words.join(" ")).unwrap();
    let recovery = SigningKey::from_seed(&mnemonic.to_entropy().try_into().unwrap());
    assert_eq!(recovery.public(), made.keys.account.recovery());
    let sealed = recovery.expose_seed(|seed| seed.to_vec());
    assert_eq!(super::recovery(&dir, account).unwrap(), Recovery::Here);
    confirm_recovery(&dir, &Passphrase::None, account, &some(&words, &[3, 11, 24])).unwrap();
    assert_eq!(super::recovery(&dir, account).unwrap(), Recovery::Confirmed);
    let shown = recovery_words(&dir, &Passphrase::None, account);
    assert!(matches!(shown, Err(HomeError::AlreadyConfirmed)));
    let again = confirm_recovery(&dir, &Passphrase::None, account, &some(&words, &[1, 2, 3]));
    assert!(matches!(again, Err(HomeError::AlreadyConfirmed)));
    assert!(unlock(&dir, &Passphrase::None).is_ok());
    assert!(!fs::read(dir.join("keys")).unwrap().windows(32).any(|seen| seen == sealed));
}

#[test]
fn wrong_words_erase_nothing() {
    let (folder, made) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    let account = made.keys.account.id();
    let confirm =
        |words: &BTreeMap<u8, String>| confirm_recovery(&dir, &Passphrase::None, account, words);
    let mut words = some(&made.recovery_words, &[1, 2]);
    assert!(matches!(confirm(&words), Err(HomeError::WordsTooFew { given: 2 })));
    words.insert(25, "abandon".to_owned());
    assert!(matches!(confirm(&words), Err(HomeError::WordPosition { position: 25 })));
    words.remove(&25);
    words.insert(7, "none-such".to_owned());
    assert!(matches!(confirm(&words), Err(HomeError::WordWrong { position: 7 })));
    assert_eq!(recovery(&dir, account).unwrap(), Recovery::Here);
    words.insert(7, format!(" {} ", made.recovery_words[6].to_uppercase()));
    confirm(&words).unwrap();
}

#[test]
fn a_passphrase_can_be_changed_and_taken_away() {
    let (folder, made) = alice(&given("old"));
    let dir = folder.path().join("home");
    let wrong = change_passphrase(&dir, &given("guess"), &given("new"), COST);
    assert!(matches!(wrong, Err(HomeError::WrongPassphrase)));
    change_passphrase(&dir, &given("old"), &given("new"), COST).unwrap();
    assert!(matches!(unlock(&dir, &given("old")), Err(HomeError::WrongPassphrase)));
    assert!(unlock(&dir, &given("new")).unwrap().master == made.keys.master);
    assert_eq!(
        recovery_words(&dir, &given("new"), made.keys.account.id()).unwrap(),
        made.recovery_words
    );
    assert!(authority(&dir, &given("new")).is_ok());
    change_passphrase(&dir, &given("new"), &Passphrase::None, COST).unwrap();
    assert!(unlock(&dir, &Passphrase::None).is_ok());
}

#[test]
fn an_interrupted_change_leaves_the_old_passphrase() {
    let (folder, _) = alice(&given("old"));
    let dir = folder.path().join("home");
    let before = fs::read(dir.join("keys")).unwrap();
    fs::write(dir.join("keys.new"), &before[..before.len() / 2]).unwrap();
    assert!(unlock(&dir, &given("old")).is_ok());
    change_passphrase(&dir, &given("old"), &given("new"), COST).unwrap();
    assert!(unlock(&dir, &given("new")).is_ok());
    assert!(!dir.join("keys.new").exists());
    assert!(matches!(
        change_passphrase(&dir, &given("new"), &given(""), COST),
        Err(HomeError::PassphraseEmpty)
    ));
    let nowhere = folder.path().join("nowhere");
    let missing = change_passphrase(&nowhere, &given("old"), &given("new"), COST);
    assert!(matches!(missing, Err(HomeError::Missing(_))));
}

/// Hashing takes a while: what the other one wrote meanwhile must not be undone.
#[cfg(unix)]
#[test]
fn two_changes_at_one_time_both_hold() {
    let (folder, made) = alice(&given("old"));
    let dir = folder.path().join("home");
    let words = some(&made.recovery_words, &[1, 2, 3]);
    let account = made.keys.account.id();
    std::thread::scope(|scope| {
        scope.spawn(|| change_passphrase(&dir, &given("old"), &given("new"), COST).unwrap());
        let first = confirm_recovery(&dir, &given("old"), account, &words);
        if matches!(first, Err(HomeError::WrongPassphrase)) {
            confirm_recovery(&dir, &given("new"), account, &words).unwrap();
        }
    });
    assert!(unlock(&dir, &given("new")).is_ok());
    assert_eq!(recovery(&dir, account).unwrap(), Recovery::Confirmed);
}

#[test]
fn a_home_is_never_made_over_another() {
    let (folder, made) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    assert!(matches!(must_be_free(&dir), Err(HomeError::Exists(_))));
    let second = create(&dir, &Passphrase::None, COST, "Mallory");
    assert!(matches!(second, Err(HomeError::Exists(_))));
    fs::remove_file(dir.join("keys")).unwrap();
    assert!(matches!(must_be_free(&dir), Err(HomeError::DatabaseAlone(_))));
    assert!(matches!(unlock(&dir, &Passphrase::None), Err(HomeError::Missing(_))));
    assert!(SqliteStore::open(&database(&dir), &made.keys.master).is_ok());
}

#[cfg(unix)]
#[test]
fn of_many_who_make_a_home_at_one_time_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("home");
    let make = || create(&dir, &given("correct horse"), COST, "Alice");
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1, "{refused:?}");
    assert!(refused.iter().all(|refused| matches!(refused, Err(HomeError::Exists(_)))));
    let keys = unlock(&dir, &given("correct horse")).unwrap();
    assert_eq!(keys.account, made[0].as_ref().unwrap().keys.account);
    SqliteStore::open(&database(&dir), &keys.master).unwrap();
}

#[cfg(unix)]
#[test]
fn an_empty_folder_that_others_can_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    create(folder.path(), &Passphrase::None, COST, "Alice").unwrap();
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(unlock(folder.path(), &Passphrase::None).is_ok());
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("home");
    folder::claim(&dir).unwrap();
    for file in ["store.db.new", "store.db.new-wal", "keys.new"] {
        fs::write(dir.join(file), b"half").unwrap();
    }
    create(&dir, &Passphrase::None, COST, "Alice").unwrap();
    assert!(unlock(&dir, &Passphrase::None).is_ok());
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
}

#[test]
fn every_changed_byte_of_the_key_file_is_noticed() {
    let (folder, _) = alice(&Passphrase::None);
    let path = folder.path().join("home/keys");
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = KeyFile::decode(&changed);
        assert!(refused.is_err(), "byte {at} of {}", bytes.len());
    }
    assert!(KeyFile::decode(&bytes).is_ok());
    assert!(KeyFile::decode(&bytes[..bytes.len() - 1]).is_err());
}

/// Somebody who repairs the checksum still cannot exchange one sealed key for another.
#[test]
fn a_sealed_key_opens_in_its_own_field_only() {
    let (folder, _) = alice(&Passphrase::None);
    let mut keys = read(&folder.path().join("home")).unwrap();
    let kek = passphrase::key(&Passphrase::None, keys.kdf()).unwrap();
    keys.exchange(Part::Authority, Part::Recovery);
    let keys = KeyFile::decode(&keys.encode()).unwrap();
    assert!(matches!(keys.open(Part::Authority, &kek), Err(HomeError::WrongPassphrase)));
    assert!(keys.open(Part::Master, &kek).is_ok());
}

/// Nor put another account around the keys of this one.
#[test]
fn a_sealed_key_opens_with_its_own_account_only() {
    let (folder, _) = alice(&Passphrase::None);
    let (_other, mallory) = alice(&Passphrase::None);
    let keys = read(&folder.path().join("home")).unwrap();
    let kek = passphrase::key(&Passphrase::None, keys.kdf()).unwrap();
    let keys = keys.moved_to(mallory.keys.account);
    let keys = KeyFile::decode(&keys.encode()).unwrap();
    assert!(keys.open(Part::Master, &kek).is_err());
}

#[test]
fn a_newer_file_is_refused_by_its_version() {
    let (folder, _) = alice(&Passphrase::None);
    let path = folder.path().join("home/keys");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1] = 2;
    fs::write(&path, &bytes).unwrap();
    let refused = unlock(&folder.path().join("home"), &Passphrase::None).unwrap_err();
    assert!(matches!(refused, HomeError::Newer { found: 2 }), "{refused}");
}

#[test]
fn neither_secrets_nor_the_name_stand_in_the_file() {
    let (folder, made) = alice(&given("correct horse"));
    let bytes = fs::read(folder.path().join("home/keys")).unwrap();
    let has = |secret: &[u8]| bytes.windows(secret.len()).any(|seen| seen == secret);
    assert!(made.keys.device.expose_seed(|seed| !has(seed)));
    assert!(made.keys.master.expose(|master| !has(master)));
    assert!(!has(b"Alice") && !has(b"correct horse"));
    assert!(has(made.keys.device.public()), "the search finds what is there");
    let words = format!("{:?}", made.recovery_words);
    assert!(!format!("{made:?}").contains(words.trim_matches(['[', ']'])));
    assert!(!format!("{:?}", given("correct horse")).contains("horse"));
}

#[cfg(unix)]
#[test]
fn others_are_kept_out() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, _) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in ["keys", "store.db"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    for path in [dir.clone(), dir.join("keys"), dir.join("store.db")] {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let refused = unlock(&dir, &Passphrase::None);
        assert!(matches!(refused, Err(HomeError::TooOpen { mode: 0o750, .. })), "{path:?}");
        fs::set_permissions(&path, before).unwrap();
    }
    assert!(unlock(&dir, &Passphrase::None).is_ok());
}

#[test]
fn a_private_file_is_replaced_whole_and_the_old_one_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_private(&path, b"the old secret").unwrap();
    let mut old = fs::File::open(&path).unwrap();
    write_private(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut old, &mut left).unwrap();
    if cfg!(unix) {
        assert_eq!(left, [0; 14]);
    }
    fs::hard_link(&path, folder.path().join("copy")).unwrap();
    write_private(&path, b"newer").unwrap();
    assert_eq!(fs::read(folder.path().join("copy")).unwrap(), b"new", "a copy is left alone");
}

#[test]
fn names_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, why) in [(" \u{200b} ", NameError::Empty), ("kith1qysgelc", NameError::LikeId)] {
        let refused = create(folder.path(), &Passphrase::None, COST, name);
        assert!(matches!(refused, Err(HomeError::Name(found)) if found == why), "{name:?}");
    }
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    let refused = create(folder.path(), &Passphrase::None, COST, &long);
    assert!(matches!(refused, Err(HomeError::Name(NameError::TooLong { .. }))));
    let full = "n".repeat(NAME_BYTES_MAX);
    create(folder.path(), &Passphrase::None, COST, &full).unwrap();
    assert_eq!(unlock(folder.path(), &Passphrase::None).unwrap().name, full);
}

proptest! {
    #[test]
    fn decoding_anything_never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeyFile::decode(&body);
        let mut writer = kith_common::codec::Writer::new();
        let sum = hash(b"kith/home-keys/1", &body);
        writer.array(3).uint(1).bytes(&body).bytes(&sum);
        let _ = KeyFile::decode(&writer.finish());
    }
}

/// The account of a home once another device has joined it.
fn with_another(made: &NewHome) -> Account {
    let words = made.recovery_words.join(" ");
    let recovery = recovery_key(&words).unwrap();
    let account = &made.keys.account;
    let [device, authority] = [8, 9].map(|seed| SigningKey::from_seed(&[seed; 32]));
    let (key, id) = (*recovery.public(), account.id());
    let ack = acknowledge(&device, key, *authority.public(), [0; 32], id);
    let seat = account.seat(&recovery, &[made.keys.device.device()], vec![ack]).unwrap();
    account.join(&[seat]).unwrap()
}

/// The account that was begun here has become part of another one.
#[test]
fn the_words_of_an_account_that_ended_are_neither_shown_nor_confirmed() {
    let (folder, made) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    let (_other_folder, other) = alice(&Passphrase::None);
    let stays = other.keys.account.id();
    assert_eq!(recovery(&dir, stays).unwrap(), Recovery::Elsewhere);
    let shown = recovery_words(&dir, &Passphrase::None, stays);
    assert!(matches!(shown, Err(HomeError::WordsEnded)));
    let words = some(&made.recovery_words, &[1, 2, 3]);
    let confirmed = confirm_recovery(&dir, &Passphrase::None, stays, &words);
    assert!(matches!(confirmed, Err(HomeError::WordsEnded)));
}

#[test]
fn a_joined_home_has_no_recovery_words() {
    let (_folder, made) = alice(&Passphrase::None);
    let other = tempfile::tempdir().unwrap();
    let dir = other.path().join("home");
    let device = made.keys.device.expose_seed(SigningKey::from_seed);
    let authority_key = SigningKey::from_seed(&[7; 32]);
    let public = *authority_key.public();
    let account = with_another(&made);
    let id = account.id();
    let joined = Joined { account, device, authority: authority_key };
    create_joined(&dir, &given("correct horse"), COST, joined, "").unwrap();
    assert_eq!(recovery(&dir, id).unwrap(), Recovery::Elsewhere);
    let shown = recovery_words(&dir, &given("correct horse"), id);
    assert!(matches!(shown, Err(HomeError::WordsElsewhere)));
    assert_eq!(*authority(&dir, &given("correct horse")).unwrap().public(), public);
    let keys = unlock(&dir, &given("correct horse")).unwrap();
    assert_eq!(keys.device.public(), made.keys.device.public());
}

#[test]
fn the_words_are_the_recovery_key() {
    let (_folder, made) = alice(&Passphrase::None);
    let text = made.recovery_words.join(" ");
    let recovery = recovery_key(&text).unwrap();
    assert_eq!(recovery.public(), made.keys.account.recovery());
    let shouted = recovery_key(&format!(" {}\n", text.to_uppercase())).unwrap();
    assert_eq!(shouted.public(), recovery.public());

    let with = |at: usize, word: &str| {
        let mut words = made.recovery_words.clone();
        words[at] = word.to_owned();
        recovery_key(&words.join(" ")).map(drop)
    };
    assert!(matches!(with(6, "xyzzy"), Err(HomeError::WordUnknown { position: 7 })));
    let few = recovery_key("abandon ability").map(drop);
    assert!(matches!(few, Err(HomeError::WordsCount { given: 2 })));
    // One word in 256 fits by chance, so not every one of these does.
    let swapped = ["abandon", "ability", "able", "about"].map(|word| with(23, word));
    assert!(swapped.iter().any(|read| matches!(read, Err(HomeError::WordsUnfit))));
}

#[test]
fn a_home_that_was_cut_off_is_locked_or_erased() {
    let (folder, _) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    must_not_be_cut_off(&dir).unwrap();
    lock_away(&dir).unwrap();
    assert!(matches!(must_not_be_cut_off(&dir), Err(HomeError::Locked)));
    assert!(unlock(&dir, &Passphrase::None).is_ok(), "nothing is lost");
    take_back(&dir).unwrap();
    must_not_be_cut_off(&dir).unwrap();

    fs::write(dir.join("store.db-wal"), b"what was written last").unwrap();
    erase(&dir).unwrap();
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["cut-off"]);
    assert!(matches!(must_not_be_cut_off(&dir), Err(HomeError::Erased)));
    assert!(matches!(unlock(&dir, &Passphrase::None), Err(HomeError::Erased)));
    // The folder can be used again, and then the mark is gone.
    create(&dir, &Passphrase::None, COST, "Alice").unwrap();
    must_not_be_cut_off(&dir).unwrap();
}

#[test]
fn an_interrupted_erasure_is_finished() {
    let (folder, _) = alice(&Passphrase::None);
    let dir = folder.path().join("home");
    fs::write(dir.join("cut-off"), b"erased\n").unwrap();
    assert!(matches!(must_not_be_cut_off(&dir), Err(HomeError::Erased)));
    assert!(!exists(&dir) && !database(&dir).exists());
}
