//! How does a person make one account out of two?

use std::path::Path;

use clap::Args;
use kith_common::{
    account::Account,
    keys::SigningKey,
    linking::LinkCode,
    share::{ContactCard, SharedId},
};
use kith_core::{
    engine::Command as Wish,
    linking::{Joiner, MailJoiner},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{CliError, Global, account, device, joining, show};
use crate::{
    api::types::hex,
    client::{Client, ClientError},
    clock::wall_clock,
    home, join, offline,
    random::OsRandom,
};

/// What a person must know before it is confirmed (spec 02 R26).
pub(super) const COSTS: &str = "two accounts become one: what they wrote to each other is deleted on \
    every device, and nothing brings it back. Only the recovery words of the account that stays part \
    them again (`kith account recover --without`), and its words are the ones that count from then on";

const OTHER_WORDS: &str = "these are not the recovery words of this account, which is the one that \
    ends: give its own, or leave --words out and agree on its other devices";

#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    /// What `kith device link` has printed on a device of the account that stays [default: go on
    /// with what was begun by mail].
    code: Option<String>,
    /// Use the 24 recovery words of the account that ends, so that its other devices need not
    /// agree. They are asked for, or read from standard input.
    #[arg(long)]
    words: bool,
    /// Agree, on another device of the account that ends, to what was begun.
    #[arg(long, conflicts_with_all = ["code", "words"])]
    agree: bool,
    #[command(flatten)]
    mail: joining::MailArguments,
}

pub(super) fn carry_out(global: &Global, arguments: &MergeArguments) -> Result<(), CliError> {
    if arguments.agree {
        return agree(global);
    }
    let folder = global.home()?;
    let code = match joining::code(arguments.code.as_deref())? {
        Some(code) if code.mail.is_none() => code,
        code => return by_mail(global, arguments, code),
    };
    let Ready { passphrase, words, recovery, keys, authority, own } =
        prepare(global, &folder, arguments.words)?;
    let device = hex(keys.device.device().as_bytes());
    let again = home::authority(&folder, &passphrase)?;
    let addresses = code.addresses.clone();
    let joiner = Joiner::merging(
        code,
        &device::computer(),
        (keys.device, authority),
        own,
        &mut OsRandom::new(),
    );
    show::working(global.json, "Looking for the device that shows the code");
    let told = |progress: join::Progress<'_>| device::tell(global.json, progress);
    let joined = super::runtime()?.block_on(join::join(joiner, told))?;
    let stays = SharedId::of(&joined.account).encode();
    let card =
        ContactCard { account: joined.account, name: String::new(), addresses, knocks: Vec::new() };
    let answer = match Client::open(&folder) {
        Ok(client) => {
            let passphrase = global.typed_passphrase()?;
            let body = json!({ "link": card.encode(), "words": *words, "passphrase": *passphrase });
            client.post("/api/account/merge", &body)?
        }
        Err(ClientError::NotRunning) => {
            let keys = home::unlock(&folder, &passphrase)?;
            let key = recovery.unwrap_or(again);
            let account = offline::decide(&folder, keys, |_| {
                let ContactCard { account, addresses, .. } = card;
                Ok(vec![
                    Wish::MergeInto { account: Box::new(account), key },
                    Wish::LookForOwn(addresses),
                ])
            })?;
            merging(&account)
        }
        Err(error) => return Err(error.into()),
    };
    tell(global, &stays, &device, &answer);
    Ok(())
}

/// What the account that ends brings to a merge.
struct Ready {
    passphrase: home::Passphrase,
    words: Zeroizing<String>,
    recovery: Option<SigningKey>,
    keys: home::UnlockedKeys,
    authority: SigningKey,
    own: Account,
}

/// Says what it costs, and opens the keys. What cannot be done must not begin: once confirmed there,
/// this device belongs to both.
fn prepare(global: &Global, folder: &Path, with_words: bool) -> Result<Ready, CliError> {
    show::hint(global.json, COSTS);
    let passphrase = global.passphrase()?;
    let words = if with_words { account::words(&[])? } else { Zeroizing::default() };
    let recovery = with_words.then(|| home::recovery_key(&words)).transpose()?;
    show::working(global.json, "Opening your keys");
    let keys = home::unlock(folder, &passphrase)?;
    let authority = home::authority(folder, &passphrase)?;
    let own = current_account(global, &passphrase)?;
    if recovery.as_ref().is_some_and(|key| key.public() != own.recovery()) {
        return Err(CliError::Refused(OTHER_WORDS.into()));
    }
    Ok(Ready { passphrase, words, recovery, keys, authority, own })
}

/// The same with a device that is never there at the same time. The node does not run meanwhile.
fn by_mail(
    global: &Global,
    arguments: &MergeArguments,
    code: Option<LinkCode>,
) -> Result<(), CliError> {
    let folder = global.home()?;
    if Client::open(&folder).is_ok() {
        return Err(CliError::Refused(
            "stop the node first with `kith stop`, then give this command again: while accounts are \
             merged by mail it does not run"
                .into(),
        ));
    }
    let Ready { passphrase, recovery, keys, authority, own, .. } =
        prepare(global, &folder, arguments.words)?;
    let id = hex(keys.device.device().as_bytes());
    let new = |code| {
        let old = Some(((keys.device, authority), own));
        MailJoiner::new(code, &device::computer(), old, wall_clock(), &mut OsRandom::new())
    };
    let (file, mut joiner) = joining::begin(&folder, &passphrase, code, new)?;
    let joined = joining::converse(global, &file, &mut joiner, &arguments.mail, AGAIN)?;
    let Some(stays) = joined else { return Ok(()) };
    let shared = SharedId::of(&stays).encode();
    let addresses = joiner.code().addresses.clone();
    let (_, came) = joining::parts(joiner)?;
    let key = match recovery {
        Some(key) => key,
        None => home::authority(&folder, &passphrase)?,
    };
    let account = offline::decide(&folder, home::unlock(&folder, &passphrase)?, |_| {
        Ok(vec![
            Wish::MergeInto { account: Box::new(stays), key },
            Wish::LookForOwn(addresses),
            Wish::ComeByMail(Box::new(came)),
        ])
    })?;
    home::JoiningFile::erase(&folder)?;
    tell(global, &shared, &id, &merging(&account));
    Ok(())
}

const AGAIN: &str = "`kith account merge`";

fn agree(global: &Global) -> Result<(), CliError> {
    let client = Client::open(&global.home()?)?;
    show::hint(global.json, COSTS);
    let body = json!({ "passphrase": *global.typed_passphrase()? });
    let answer = client.post("/api/account/merge/agree", &body)?;
    show::answer(global.json, &answer, show::merging);
    Ok(())
}

/// The account as this device knows it now, from the running node or from its store.
pub(super) fn current_account(
    global: &Global,
    passphrase: &home::Passphrase,
) -> Result<Account, CliError> {
    let folder = global.home()?;
    match Client::open(&folder) {
        Ok(client) => {
            let invite = client.get("/api/invite")?;
            let link = invite.get("link").and_then(Value::as_str).unwrap_or_default();
            let card =
                ContactCard::decode(link).map_err(|error| CliError::Refused(error.to_string()))?;
            Ok(card.account)
        }
        Err(ClientError::NotRunning) => {
            let keys = home::unlock(&folder, passphrase)?;
            Ok(offline::decide(&folder, keys, |_| Ok(Vec::new()))?)
        }
        Err(error) => Err(error.into()),
    }
}

fn merging(account: &Account) -> Value {
    match account.pending_moves().first() {
        Some(pending) => {
            json!({ "merged": false, "agreed": pending.signed.len(), "needed": pending.quorum })
        }
        None => json!({ "merged": true, "agreed": null, "needed": null }),
    }
}

fn tell(global: &Global, account: &str, device: &str, answer: &Value) {
    let mut answer = answer.clone();
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("account".to_owned(), json!(account));
        fields.insert("device".to_owned(), json!(device));
    }
    show::answer(global.json, &answer, show::merging);
}
