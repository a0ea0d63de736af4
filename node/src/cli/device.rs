//! What can a person do with their devices?

use std::path::Path;

use clap::{ArgGroup, Subcommand};
use kith_common::{crypto::PasswordCost, linking::LinkCode, share::SharedId};
use kith_core::{engine::Command as Wish, linking::Joiner, names::chosen_name};
use serde_json::{Value, json};

use super::{CliError, Global, joining, merging, moment, show};
use crate::{
    api::types::hex,
    client::{Client, escape},
    home::{self, JoiningFile, UnlockedKeys},
    join::{self, Progress},
    offline,
    random::OsRandom,
};

const HINT: &str = "on the new device: kith device join CODE. It shows a number: compare it with \
    `kith device pending` here, then confirm it";

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Print a code with which a new device can join, once, within ten minutes. Who has it can ask
    /// to join: show it to nobody else.
    Link {
        /// Also draw it as a QR code.
        #[arg(long)]
        qr: bool,
        /// For a device that is never there together with this one, such as another system on the
        /// same computer: through your mailbox, within a day.
        #[arg(long)]
        by_mail: bool,
    },
    /// Make this computer a device of the account that the code is of. Shows a number: compare it
    /// with the other device and confirm there.
    ///
    /// With a code by mail it ends once it has left what it says in the mailbox: start the other
    /// device, and then this command again, without the code, until it says that it belongs.
    Join {
        /// What `kith device link` has printed on a device you have [default: go on].
        code: Option<String>,
        /// What to call this device [default: the name of the computer].
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        mail: joining::MailArguments,
    },
    /// New devices that ask to join, with their numbers.
    Pending,
    /// Take in the new device that shows this number. Compare first: whoever confirms another one
    /// gives the account away.
    Confirm {
        /// The six digits.
        check: String,
    },
    /// All devices, those that are out included.
    List,
    /// Trust a device no longer.
    #[command(group(ArgGroup::new("why").required(true).args(["removed", "stolen"])))]
    Untrust {
        /// Its name, or the beginning of its id (4 characters or more).
        device: String,
        /// You do not use it any more.
        #[arg(long)]
        removed: bool,
        /// Somebody else has it.
        #[arg(long)]
        stolen: bool,
        /// Believe nothing that came from it since then: 2026-07-31T14:30:00Z, 14:30 or 2h.
        #[arg(long, value_name = "TIME", value_parser = moment::parse)]
        since: Option<u64>,
    },
    /// Call a device something; contacts never learn it.
    Rename {
        /// Its name, or the beginning of its id (4 characters or more).
        device: String,
        /// The new name.
        name: String,
    },
    /// Agree that these devices decide together from now on (without any: those on the list that
    /// waits, else all that belong).
    Settle {
        /// Names, or beginnings of ids.
        devices: Vec<String>,
    },
}

pub(super) fn carry_out(global: &Global, command: DeviceCommand) -> Result<(), CliError> {
    if let DeviceCommand::Join { code, name, mail } = command {
        home::must_be_free(&global.home()?)?;
        return match joining::code(code.as_deref())? {
            Some(code) if code.mail.is_none() => join(global, code, name),
            code => joining::join(global, code, name, &mail),
        };
    }
    let client = Client::open(&global.home()?)?;
    let json = global.json;
    let at =
        |device: &str, action: &str| format!("/api/account/devices/{}{action}", escape(device));
    let account = match command {
        DeviceCommand::Join { .. } => return Ok(()),
        DeviceCommand::Link { qr, by_mail } => {
            let answer = client.post("/api/account/link", &json!({ "by_mail": by_mail }))?;
            if by_mail {
                joining::wait_until_open(&client)?;
            }
            if qr {
                show::qr_of(answer.get("code").and_then(Value::as_str).unwrap_or_default())?;
            }
            show::answer(json, &answer, |answer| show::field(answer, "code"));
            let hint = if by_mail { joining::HINT } else { HINT };
            show::hint(json, hint);
            return Ok(());
        }
        DeviceCommand::Pending => {
            show::answer(json, &client.get("/api/account/pending")?, show::guests);
            return Ok(());
        }
        DeviceCommand::List => {
            show::answer(json, &client.get("/api/account/devices")?, show::devices);
            return Ok(());
        }
        DeviceCommand::Confirm { check } => {
            warn_of_merge(json, &client, &check)?;
            let body = json!({ "check": check, "passphrase": *global.typed_passphrase()? });
            client.post("/api/account/confirm", &body)?
        }
        DeviceCommand::Untrust { device, stolen, since, removed: _ } => {
            let why = if stolen { "stolen" } else { "removed" };
            let passphrase = global.typed_passphrase()?;
            let body = json!({ "why": why, "since": since, "passphrase": *passphrase });
            client.post(&at(&device, "/untrust"), &body)?
        }
        DeviceCommand::Rename { device, name } => {
            client.patch(&at(&device, ""), &json!({ "name": name }))?
        }
        DeviceCommand::Settle { mut devices } => {
            if devices.is_empty() {
                devices = to_settle(json, &client.get("/api/account")?);
            }
            let body = json!({ "devices": devices, "passphrase": *global.typed_passphrase()? });
            client.post("/api/account/settle", &body)?
        }
    };
    show::answer(json, &account, show::account);
    Ok(())
}

/// Says what confirming a merge costs, before the passphrase is asked for.
fn warn_of_merge(json: bool, client: &Client, check: &str) -> Result<(), CliError> {
    let guests = client.get("/api/account/pending")?;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let is_meant = |guest: &&Value| {
        let shown = guest.get("check").and_then(Value::as_str);
        shown == Some(digits(check).as_str()) && guest.get("brings").is_some_and(Value::is_object)
    };
    if guests.as_array().into_iter().flatten().any(|guest| is_meant(&guest)) {
        show::hint(json, merging::COSTS);
    }
    Ok(())
}

/// The devices to which this one can agree, which the person reads before the passphrase is asked.
fn to_settle(json: bool, account: &Value) -> Vec<String> {
    let devices = account.get("to_settle");
    let ids = devices.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    if !ids.is_empty() {
        let names = show::names(account, devices);
        show::hint(json, &format!("you agree that these decide together from now on: {names}"));
    }
    ids
}

/// A process of its own, on a folder without a home.
fn join(global: &Global, code: LinkCode, name: Option<String>) -> Result<(), CliError> {
    let folder = global.home()?;
    name.as_deref().map(chosen_name).transpose()?;
    let passphrase = global.new_passphrase()?;
    let addresses = code.addresses.clone();
    let joiner = Joiner::new(code, &name.unwrap_or_else(computer), &mut OsRandom::new());
    let json = global.json;
    show::working(json, "Looking for your other device");
    let runtime = super::runtime()?;
    let joined = runtime.block_on(join::join(joiner, |progress| tell(json, progress)))?;
    let keys = home::create_joined(&folder, &passphrase, PasswordCost::MODERATE, joined, "")?;
    let answer = describe(&keys);
    first_decision(&folder, keys, vec![Wish::LookForOwn(addresses)])?;
    // What was begun with another code is over.
    JoiningFile::erase(&folder)?;
    show::answer(json, &answer, |answer| {
        show::line("This device belongs to this account now:");
        show::field(answer, "account");
        show::advice("Start it with `kith`; then it gets your contacts and messages, as long as");
        show::line("another device of yours is running.");
    });
    Ok(())
}

pub(super) fn tell(json: bool, progress: Progress<'_>) {
    match progress {
        Progress::Compare(check) => {
            show::answer(json, &json!({ "check": check }), |_| {
                show::line(&format!("This device shows the number {check}."));
                show::line("Compare it with `kith device pending` on the other device, and if it");
                show::line(&format!("is the same, confirm there: kith device confirm {check}"));
            });
        }
        Progress::Silence => show::hint(
            json,
            "nobody answers yet: the other device must be running and in reach, and its code not \
             used or older than ten minutes",
        ),
    }
}

/// Account and device, for programs.
pub(super) fn describe(keys: &UnlockedKeys) -> Value {
    json!({
        "account": SharedId::of(&keys.account).encode(),
        "device": hex(keys.device.device().as_bytes()),
    })
}

/// What a new home begins with. Without it the device is whole and only has to be found.
pub(super) fn first_decision(
    folder: &Path,
    keys: UnlockedKeys,
    wishes: Vec<Wish>,
) -> Result<(), CliError> {
    offline::decide(folder, keys, |_| Ok(wishes))?;
    Ok(())
}

/// What the computer calls itself.
pub(super) fn computer() -> String {
    let said = std::fs::read_to_string("/etc/hostname").ok();
    let said = said.or_else(|| std::env::var("COMPUTERNAME").ok()).unwrap_or_default();
    let said = said.trim();
    if said.is_empty() { "New device".to_owned() } else { said.to_owned() }
}
