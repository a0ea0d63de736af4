//! What can a person do with their account?

use std::{
    collections::BTreeSet,
    io::{IsTerminal, Read},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use kith_common::{
    account::{Account, DeviceAck, DeviceAdd, Seat, acknowledge},
    crypto::PasswordCost,
    envelope::{Signed, Verified},
    ids::AccountId,
    keys::SigningKey,
    limits::ABSORBED_ACCOUNTS_MAX,
    share::{ContactCard, SharedId},
    time::Timestamp,
};
use kith_core::{engine::Command as Wish, names::chosen_name};
use rand_core::Rng;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    CliError, Global, device,
    merging::{self, MergeArguments},
    moment, show,
};
use crate::{
    api::{self, Choice},
    client::{Client, ClientError},
    home::{self, Joined},
    offline::{self, Contested},
    random::OsRandom,
};

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// The account: devices, who stands, what waits for a decision.
    Show,
    /// Call yourself something else; contacts see it.
    Name {
        /// The new name.
        name: String,
    },
    /// Decide with the recovery words which devices the account has from now on. On a computer
    /// without a home it becomes the only device; on a device of the account it stays, and those
    /// that you name go. While devices accuse each other, say who goes, or that all stay.
    Recover(RecoverArguments),
    /// Make one account out of two: this device's account ends, the one of the code stays. Both
    /// devices show a number; compare and confirm on the other one. What the two accounts wrote to
    /// each other is deleted on every device. Nothing brings that back, and only the recovery words
    /// of the account that stays part the two again (`recover --without`).
    Merge(MergeArguments),
    /// Answer those who cut this device off by one voice, and start again: until a majority or the
    /// recovery words decide, both sides are frozen.
    Contest,
}

#[derive(Debug, Args)]
pub(super) struct RecoverArguments {
    /// The 24 words. Better leave them out and be asked, or give them on standard input: other
    /// programs can see arguments.
    words: Vec<String>,
    /// Device that goes, by name or the beginning of its id; may be given more than once.
    #[arg(long, value_name = "DEVICE")]
    untrust: Vec<String>,
    /// All devices but this one go.
    #[arg(long)]
    untrust_others: bool,
    /// All devices stay that --untrust does not name, also those that others accuse.
    #[arg(long, conflicts_with = "untrust_others")]
    keep_all: bool,
    /// Account that this one is one with and that is not yours, as `kith account show` has it, or
    /// the beginning of that: it goes, with its devices; may be given more than once.
    #[arg(long, value_name = "ACCOUNT")]
    without: Vec<String>,
    /// Believe nothing that came from them since then: 2026-07-31T14:30:00Z, 14:30 or 2h.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<u64>,
    /// On a new computer: your own old link, without which your history does not come back from
    /// contacts, or the link of a contact, who is told; may be given more than once.
    #[arg(long)]
    link: Vec<String>,
    /// On a new computer: what you call yourself.
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn carry_out(global: &Global, command: AccountCommand) -> Result<(), CliError> {
    let json = global.json;
    match command {
        AccountCommand::Show => {
            let client = Client::open(&global.home()?)?;
            show::answer(json, &client.get("/api/account")?, show::account);
        }
        AccountCommand::Name { name } => {
            let client = Client::open(&global.home()?)?;
            let answer = client.put("/api/account/name", &json!({ "name": name }))?;
            show::answer(json, &answer, show::account);
        }
        AccountCommand::Recover(arguments) => {
            if home::exists(&global.home()?) {
                recover_here(global, &arguments)?;
            } else {
                recover_anew(global, &arguments)?;
            }
        }
        AccountCommand::Merge(arguments) => merging::carry_out(global, &arguments)?,
        AccountCommand::Contest => contest(global)?,
    }
    Ok(())
}

fn contest(global: &Global) -> Result<(), CliError> {
    let folder = global.home()?;
    let passphrase = global.passphrase()?;
    show::working(global.json, "Opening your keys");
    let disputed = match offline::contest(&folder, &passphrase)? {
        Contested::Stands => false,
        Contested::Disputed => true,
    };
    show::answer(global.json, &json!({ "disputed": disputed }), |_| {
        show::advice("Your answer is signed. Start the node with `kith`, so that others learn it.");
        if disputed {
            show::line("Until another device or your recovery words decide, both are frozen.");
            show::advice(
                "With the words: `kith account recover --untrust DEVICE`, or `--keep-all` instead.",
            );
        }
    });
    Ok(())
}

/// On a device of the account: by the running node, or in its place.
fn recover_here(global: &Global, arguments: &RecoverArguments) -> Result<(), CliError> {
    let folder = global.home()?;
    if !arguments.link.is_empty() || arguments.name.is_some() {
        return Err(CliError::Refused(
            "--link and --name are for a computer without a home: leave them out here".into(),
        ));
    }
    let words = words(&arguments.words)?;
    let RecoverArguments { untrust, untrust_others, keep_all, without, .. } = arguments;
    let choice = Choice { untrust, untrust_others: *untrust_others, keep_all: *keep_all };
    match Client::open(&folder) {
        Ok(client) => {
            let body = json!({
                "words": *words, "untrust": untrust, "untrust_others": untrust_others,
                "keep_all": keep_all, "since": arguments.since, "without": without,
            });
            let answer = client.post("/api/account/recover", &body)?;
            show::answer(global.json, &answer, show::account);
            return Ok(());
        }
        Err(ClientError::NotRunning) => {}
        Err(error) => return Err(error.into()),
    }
    let recovery = home::recovery_key(&words)?;
    let keys = home::unlock(&folder, &global.passphrase()?)?;
    let answer = device::describe(&keys);
    let since = arguments.since.map(Timestamp::from_millis);
    offline::decide(&folder, keys, |engine| {
        let keep = api::kept_devices(&engine.devices(), choice)?;
        let without = api::left_out_accounts(&api::absorbed_accounts(engine), without)?;
        Ok(vec![Wish::Recover { recovery, keep, without, since }])
    })?;
    home::take_back(&folder)?;
    show::answer(global.json, &answer, |_| show::advice("Done. Start the node with `kith`."));
    Ok(())
}

/// On a computer without a home: it becomes the only device.
fn recover_anew(global: &Global, arguments: &RecoverArguments) -> Result<(), CliError> {
    let folder = global.home()?;
    home::must_be_free(&folder)?;
    must_serve_anew(arguments)?;
    let cards: Vec<ContactCard> = arguments
        .link
        .iter()
        .map(|link| ContactCard::decode(link))
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Refused(error.to_string()))?;
    let recovery = home::recovery_key(&words(&arguments.words)?)?;
    let (id, _) = Account::genesis(&recovery);
    if cards.iter().any(|card| card.account.has_absorbed(id)) {
        return Err(CliError::Refused(
            "these are the words of an account that became part of another one, as a link that you \
             gave says: bring that one back with its own words. If the account of that link is not \
             yours, leave the link out"
                .into(),
        ));
    }
    arguments.name.as_deref().map(chosen_name).transpose()?;
    let passphrase = global.new_passphrase()?;
    let (own, contacts): (Vec<_>, Vec<_>) =
        cards.into_iter().partition(|card| card.account.id() == id);
    let joined = reseat(&recovery, &own, &arguments.without)?;
    let known_as = own.first().map(|card| card.name.clone()).unwrap_or_default();
    let name = arguments.name.clone().unwrap_or(known_as);
    show::working(global.json, "Making the keys of this device");
    let keys = home::create_joined(&folder, &passphrase, PasswordCost::MODERATE, joined, &name)?;
    let answer = device::describe(&keys);
    let is_told = !contacts.is_empty();
    let ask = |card| Wish::AddContact { card: Box::new(card), name: None, greeting: String::new() };
    device::first_decision(&folder, keys, contacts.into_iter().map(ask).collect())?;
    show::answer(global.json, &answer, |_| {
        show::advice(
            "The account is back, with this device as its only one. Start it with `kith`.",
        );
        show::line(if is_told {
            "The contacts whose links you gave learn of it then. Add the others by their links."
        } else {
            "Add your contacts by their links, so that they learn of it."
        });
    });
    Ok(())
}

/// On a new computer every other device goes, and nothing is known yet of what they wrote.
fn must_serve_anew(arguments: &RecoverArguments) -> Result<(), CliError> {
    let refused = |why: &str| Err(CliError::Refused(why.into()));
    if arguments.since.is_some() {
        return refused(
            "--since is for a device that has your history: bring the account back without it, start \
             it with `kith`, and then say `kith account recover --since TIME` here",
        );
    }
    if !arguments.untrust.is_empty() || arguments.keep_all {
        return refused(
            "on a new computer all other devices go: leave --untrust and --keep-all out, and join \
             the devices that you keep again with `kith device link`",
        );
    }
    Ok(())
}

/// A seat of now for a new device. What a link says of the devices before goes into it: what they
/// wrote stays believed; and so do the accounts that became one with this one.
fn reseat(
    recovery: &SigningKey,
    own: &[ContactCard],
    without: &[String],
) -> Result<Joined, CliError> {
    let refused =
        |error: kith_common::account::OperationError| CliError::Refused(error.to_string());
    let rng = &mut OsRandom::new();
    let [device, authority] = [(); 2].map(|()| SigningKey::random(rng));
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    let (id, _) = Account::genesis(recovery);
    let ack = acknowledge(&device, *recovery.public(), *authority.public(), nonce, id);
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut before = Vec::new();
    for card in own {
        before.extend(acknowledged(&card.account));
    }
    before.sort_by_key(|ack: &Verified<DeviceAck>| *ack.signer());
    before.dedup_by_key(|ack| *ack.signer());
    let absorbed = absorbed(own, without)?;
    let account = if before.is_empty() {
        Account::begin(recovery, epoch, vec![ack])
    } else {
        // A seat drops the devices that it knows: those of the seat before it.
        Account::begin(recovery, epoch.saturating_sub(1), before).and_then(|known| {
            let seat = known.seat_absorbing(recovery, &[], vec![ack], &absorbed)?;
            known.join(&[seat]).map_err(|_| kith_common::account::OperationError::List)
        })
    };
    Ok(Joined { account: account.map_err(refused)?, device, authority })
}

/// The accounts that became one with this one by the word of who stood when a link was made, but for
/// those that the person leaves out.
fn absorbed(own: &[ContactCard], without: &[String]) -> Result<Vec<AccountId>, CliError> {
    let vouched = own.iter().flat_map(|card| {
        card.account.absorbed().filter(|account| card.account.vouches_for(*account))
    });
    let mut absorbed: BTreeSet<AccountId> = vouched.collect();
    for wanted in without {
        let shared =
            SharedId::decode(wanted).map_err(|error| CliError::Refused(error.to_string()))?;
        let is_meant = |account: &AccountId| account.as_bytes().starts_with(&shared.checksum);
        if !absorbed.iter().any(is_meant) {
            return Err(CliError::Refused(
                "your old link does not say that you are one with that account: leave --without \
                 out, and see `kith account show` once you are back"
                    .into(),
            ));
        }
        absorbed.retain(|account| !is_meant(account));
    }
    Ok(absorbed.into_iter().take(ABSORBED_ACCOUNTS_MAX).collect())
}

/// The acknowledgements in the proof of an account, of devices that a seat could name.
fn acknowledged(account: &Account) -> Vec<Verified<DeviceAck>> {
    let mut found: Vec<Box<[u8]>> = Vec::new();
    for bytes in account.proof() {
        if let Ok(seat) = Signed::<Seat>::decode(bytes) {
            found.extend(seat.claim().devices.iter().cloned());
        } else if let Ok(add) = Signed::<DeviceAdd>::decode(bytes) {
            found.push(add.claim().device.clone());
        } else if Signed::<DeviceAck>::decode(bytes).is_ok() {
            // Of a device that came from another account (spec 02 R24).
            found.push(bytes.clone());
        }
    }
    let verified = found.iter().filter_map(|bytes| Signed::<DeviceAck>::decode(bytes).ok());
    verified.filter_map(|ack| ack.verify().ok()).collect()
}

/// The recovery words as given, asked for at a terminal, or read from standard input.
pub(super) fn words(given: &[String]) -> Result<Zeroizing<String>, CliError> {
    if !given.is_empty() {
        return Ok(Zeroizing::new(given.join(" ")));
    }
    if std::io::stdin().is_terminal() {
        let prompt = "Your 24 recovery words (they are not shown): ";
        return rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| CliError::Refused(format!("no words were read: {error}")));
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CliError::Refused(format!("no words were read: {error}")))?;
    if text.trim().is_empty() {
        return Err(CliError::Refused(
            "no recovery words were given: type the 24 words when asked at a terminal, or give \
             them, in order, on standard input"
                .into(),
        ));
    }
    Ok(text)
}
