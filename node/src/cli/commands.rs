//! What does each command do?

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::Path,
    time::Duration,
};

use kith_common::{crypto::PasswordCost, limits::TEXT_BYTES_MAX, share::SharedId};
use kith_core::{engine::CommandError, names::chosen_name};
use serde_json::{Value, json};

use super::{
    CliError, Command, ContactCommand, Global, InitArguments, RecoveryCommand, RunArguments,
    account, ask, bootstrap, device, mailbox, merging, show,
};
use crate::{
    api::types::hex,
    client::{Client, escape},
    home::{self, Passphrase},
    run,
};

/// Bytes of a message's id.
const ID_BYTES: usize = 32;
/// Characters of a message's id that may stand for it.
const ID_CHARS_MIN: usize = 6;
/// Time for what runs when the node has stopped.
const ENDING_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn carry_out(global: Global, command: Option<Command>) -> Result<(), CliError> {
    match command.unwrap_or_else(|| Command::Run(RunArguments::of_environment())) {
        Command::Init(arguments) => init(&global, &arguments),
        Command::Run(arguments) => start(&global, arguments),
        Command::Recovery(command) => recovery(&global, command),
        Command::Device(command) => device::carry_out(&global, command),
        Command::Account(command) => account::carry_out(&global, command),
        Command::Mailbox(command) => mailbox::carry_out(&global, command),
        Command::Bootstrap(command) => bootstrap::carry_out(&global, command),
        Command::Passphrase { new_passphrase_file } => {
            change_passphrase(&global, new_passphrase_file.as_deref())
        }
        command => {
            let client = Client::open(&global.home()?)?;
            request(&global, &client, command)
        }
    }
}

fn init(global: &Global, arguments: &InitArguments) -> Result<(), CliError> {
    let folder = global.home()?;
    if home::exists(&folder) {
        return Err(home::HomeError::Exists(folder).into());
    }
    must_not_be_joining(&folder)?;
    chosen_name(&arguments.name)?;
    init_with(global, &folder, &global.new_passphrase()?, arguments)
}

/// Whoever waits to join an account would lose what was said.
fn must_not_be_joining(folder: &Path) -> Result<(), CliError> {
    if home::JoiningFile::needs_passphrase(folder)?.is_none() {
        return Ok(());
    }
    Err(CliError::Refused(
        "this device waits to join an account: go on with `kith device join`; to begin anew, use an \
         empty folder"
            .into(),
    ))
}

fn init_with(
    global: &Global,
    folder: &Path,
    passphrase: &Passphrase,
    arguments: &InitArguments,
) -> Result<(), CliError> {
    show::working(global.json, "Making your keys");
    let made = home::create(folder, passphrase, PasswordCost::MODERATE, &arguments.name)?;
    let account = SharedId::of(&made.keys.account).encode();
    let device = hex(made.keys.device.device().as_bytes());
    let words: Vec<&str> = made.recovery_words.iter().map(String::as_str).collect();
    let document = json!({ "account": account, "device": device, "recovery_words": words });
    show::answer(global.json, &document, |_| {
        show::recovery_words(&words);
        show::line(&format!("Your account: {account}"));
    });
    Ok(())
}

fn start(global: &Global, arguments: RunArguments) -> Result<(), CliError> {
    let folder = global.home()?;
    home::must_not_be_cut_off(&folder)?;
    let passphrase = if home::exists(&folder) {
        global.passphrase()?
    } else {
        must_not_be_joining(&folder)?;
        let name = ask("What do you call yourself? ")?;
        chosen_name(&name)?;
        let passphrase = global.new_passphrase()?;
        init_with(global, &folder, &passphrase, &InitArguments { name })?;
        passphrase
    };
    let json = global.json;
    show::working(json, "Unlocking your keys and starting the node");
    // Let go after the runtime, which may still have sockets.
    let _held = home::hold(&folder)?;
    let runtime = super::runtime()?;
    let ran = runtime.block_on(run::run(&folder, &passphrase, arguments, |ready| {
        show::ready(json, ready);
    }));
    // The system may still look up a name; nobody waits for that.
    runtime.shutdown_timeout(ENDING_TIMEOUT);
    Ok(ran?)
}

fn request(global: &Global, client: &Client, command: Command) -> Result<(), CliError> {
    let json = global.json;
    match command {
        Command::Init(_)
        | Command::Run(_)
        | Command::Recovery(_)
        | Command::Device(_)
        | Command::Account(_)
        | Command::Mailbox(_)
        | Command::Bootstrap(_)
        | Command::Passphrase { .. } => {}
        Command::Status => show::answer(json, &client.get("/api/status")?, show::status),
        Command::Stop => {
            client.post("/api/stop", &json!({}))?;
            client.wait_until_gone();
            home::wait_until_stopped(&global.home()?)?;
            show::answer(json, &json!({}), |_| show::line("The node has stopped."));
        }
        Command::Web => {
            show::answer(json, &client.post("/api/launch", &json!({}))?, |answer| {
                show::field(answer, "web");
            });
        }
        Command::Invite { qr } => invite(json, client, qr)?,
        Command::Contact(command) => contact(json, client, command)?,
        Command::Send { contact, text, reply_to } => {
            let text = if text == "-" { standard_input()? } else { text };
            if text.len() > TEXT_BYTES_MAX {
                // The node would not read so much.
                let error = CommandError::TextTooLong { found: text.len(), limit: TEXT_BYTES_MAX };
                return Err(CliError::Refused(error.to_string()));
            }
            let whole = |id: String| message_id(client, &contact, &id);
            let reply_to = reply_to.map(whole).transpose()?;
            let body = json!({ "text": text, "reply_to": reply_to });
            let sent = client.post(&at(&contact, "/messages")?, &body)?;
            show::answer(json, &sent, |answer| show::field(answer, "id"));
        }
        Command::History { contact, limit, before } => {
            let before = before.map(|id| message_id(client, &contact, &id)).transpose()?;
            let messages = history(client, &contact, limit, before)?;
            show::answer(json, &Value::Array(messages), show::messages);
        }
        Command::Delete { contact, ids, all: _, before } => {
            let deleted = if ids.is_empty() {
                let passphrase = global.typed_passphrase()?;
                let body = json!({ "before": before, "passphrase": *passphrase });
                client.post(&at(&contact, "/clear")?, &body)?
            } else {
                let ids: Vec<String> = ids
                    .iter()
                    .map(|id| message_id(client, &contact, id))
                    .collect::<Result<_, _>>()?;
                client.post(&at(&contact, "/messages/delete")?, &json!({ "ids": ids }))?
            };
            show::answer(json, &deleted, show::status);
        }
        Command::Read { contact } => {
            let path = at(&contact, "/read")?;
            show::answer(json, &client.post(&path, &json!({}))?, |_| {});
        }
        Command::Watch => watch(json, client)?,
        Command::Settings { read_receipts, findable, relay_only } => {
            let answer = settings(client, read_receipts, findable, relay_only)?;
            show::answer(json, &answer, show::status);
        }
    }
    Ok(())
}

/// Changes what is said, and shows everything.
fn settings(
    client: &Client,
    read_receipts: Option<bool>,
    findable: Option<bool>,
    relay_only: Option<bool>,
) -> Result<Value, CliError> {
    let mut answer = match read_receipts {
        Some(on) => client.put("/api/settings", &json!({ "read_receipts": on }))?,
        None => client.get("/api/settings")?,
    };
    let finding = match (findable, relay_only) {
        (None, None) => client.get("/api/finding")?,
        _ => {
            let body = json!({ "findable": findable, "relay_only": relay_only });
            client.put("/api/finding", &body)?
        }
    };
    for name in ["findable", "relay_only"] {
        if let (Some(all), Some(one)) = (answer.as_object_mut(), finding.get(name)) {
            all.insert(name.to_owned(), one.clone());
        }
    }
    Ok(answer)
}

/// Whether this is an id, which says who but not where.
fn is_id(link: &str) -> bool {
    let link = link.trim();
    SharedId::decode(link.strip_prefix("kith:").unwrap_or(link)).is_ok()
}

fn invite(json: bool, client: &Client, qr: bool) -> Result<(), CliError> {
    let mut answer = client.get("/api/invite")?;
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("qr_svg_path");
    }
    if qr {
        let link = answer.get("link").and_then(Value::as_str).unwrap_or_default();
        show::qr(link)?;
    }
    show::answer(json, &answer, |answer| show::field(answer, "link"));
    Ok(())
}

fn contact(json: bool, client: &Client, command: ContactCommand) -> Result<(), CliError> {
    let nothing = json!({});
    let answer = match command {
        ContactCommand::Sought => {
            show::answer(json, &client.get("/api/sought")?, show::sought);
            return Ok(());
        }
        ContactCommand::Forget { id } => {
            client.post(&format!("/api/sought/{}/remove", escape(id.trim())), &nothing)?
        }
        ContactCommand::Add { link, name, greeting } if is_id(&link) => {
            name.as_deref().map(chosen_name).transpose()?;
            let body = json!({ "id": link, "name": name, "greeting": greeting });
            show::answer(json, &client.post("/api/sought", &body)?, show::sought);
            return Ok(());
        }
        ContactCommand::Add { link, name, greeting } => {
            name.as_deref().map(chosen_name).transpose()?;
            let body = json!({ "link": link, "name": name, "greeting": greeting });
            client.post("/api/contacts", &body)?
        }
        ContactCommand::List => {
            show::answer(json, &client.get("/api/contacts")?, show::contacts);
            return Ok(());
        }
        ContactCommand::Show { contact } => client.get(&at(&contact, "")?)?,
        ContactCommand::Accept { contact } => client.post(&at(&contact, "/accept")?, &nothing)?,
        ContactCommand::Block { contact } => client.post(&at(&contact, "/block")?, &nothing)?,
        ContactCommand::Unblock { contact } => client.post(&at(&contact, "/unblock")?, &nothing)?,
        ContactCommand::Remove { contact } => client.post(&at(&contact, "/remove")?, &nothing)?,
        ContactCommand::Rename { contact, name } => {
            client.patch(&at(&contact, "")?, &json!({ "name": name }))?
        }
    };
    show::answer(json, &answer, show::status);
    Ok(())
}

/// Where the API speaks of a contact.
fn at(contact: &str, what: &str) -> Result<String, CliError> {
    if contact.trim().is_empty() {
        return Err(CliError::Refused(
            "nobody is named: write a name or an id, see `kith contact list`".to_owned(),
        ));
    }
    Ok(format!("/api/contacts/{}{what}", escape(contact)))
}

/// The id of a message of which at least the beginning was given.
fn message_id(client: &Client, contact: &str, given: &str) -> Result<String, CliError> {
    let wanted = given.trim().to_lowercase();
    let is_hex = wanted.bytes().all(|c| c.is_ascii_hexdigit());
    if is_hex && wanted.len() == 2 * ID_BYTES {
        return Ok(wanted);
    }
    if !is_hex || wanted.len() < ID_CHARS_MIN {
        return Err(CliError::Refused(format!(
            "{given:?} is no id of a message: write at least its first {ID_CHARS_MIN} characters, \
             see `kith history`"
        )));
    }
    let messages = history(client, contact, usize::MAX, None)?;
    let ids = messages.iter().filter_map(|message| message.get("id").and_then(Value::as_str));
    let mut found = ids.filter(|id| id.starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.to_owned()),
        (Some(_), Some(_)) => Err(CliError::Refused(format!(
            "more than one message begins with {wanted}: write more of the id, see \
             `kith history --json`"
        ))),
        (None, _) => Err(CliError::Refused(CommandError::UnknownMessage.to_string())),
    }
}

fn history(
    client: &Client,
    contact: &str,
    limit: usize,
    mut before: Option<String>,
) -> Result<Vec<Value>, CliError> {
    // The API gives at most 1,000 at once; more are fetched page by page, newest page first.
    let mut pages: Vec<Vec<Value>> = Vec::new();
    let mut left = limit;
    while left > 0 {
        let page = left.min(kith_core::limits::HISTORY_MAX);
        let above = before.as_deref().map_or(String::new(), |id| format!("&before={}", escape(id)));
        let path = at(contact, &format!("/messages?limit={page}{above}"))?;
        let Value::Array(messages) = client.get(&path)? else { break };
        left = left.saturating_sub(messages.len());
        let full = messages.len() == page;
        before =
            messages.first().and_then(|m| m.get("id")).and_then(Value::as_str).map(str::to_owned);
        pages.push(messages);
        if !full {
            break;
        }
    }
    Ok(pages.into_iter().rev().flatten().collect())
}

fn watch(json: bool, client: &Client) -> Result<(), CliError> {
    let stream = BufReader::new(client.stream("/api/events")?);
    for line in stream.lines() {
        let Ok(line) = line else { break };
        let Some(data) = line.strip_prefix("data: ") else { continue };
        if let Ok(event) = serde_json::from_str(data) {
            show::answer(json, &event, show::event);
        }
    }
    Err(CliError::NotRunning)
}

/// Done here and not by the node: the passphrase stays in this process.
fn recovery(global: &Global, command: RecoveryCommand) -> Result<(), CliError> {
    let folder = global.home()?;
    let passphrase = global.passphrase()?;
    let account = merging::current_account(global, &passphrase)?.id();
    match command {
        RecoveryCommand::Show => {
            let words = home::recovery_words(&folder, &passphrase, account)?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            show::answer(global.json, &json!({ "words": words }), |_| show::recovery_words(&words));
        }
        RecoveryCommand::Confirm { words } => {
            let given = if words.is_empty() { ask_words()? } else { read_words(&words)? };
            home::confirm_recovery(&folder, &passphrase, account, &given)?;
            show::answer(global.json, &json!({}), |_| {
                show::line("Confirmed. The recovery key is no longer on this device.");
            });
        }
    }
    Ok(())
}

/// Done here too. A running node goes on: it holds what the passphrase opened.
fn change_passphrase(global: &Global, new_file: Option<&Path>) -> Result<(), CliError> {
    let folder = global.home()?;
    let (old, new) = global.passphrases(new_file)?;
    show::working(global.json, "Sealing your keys");
    home::change_passphrase(&folder, &old, &new, PasswordCost::MODERATE)?;
    show::answer(global.json, &json!({}), |_| {
        show::line(match new {
            Passphrase::Given(_) => "The new passphrase holds from now on.",
            Passphrase::None => "From now on whoever has the disk has the keys.",
        });
        show::line("Copies of the home folder made before still open with the old passphrase.");
    });
    Ok(())
}

fn read_words(words: &[String]) -> Result<BTreeMap<u8, String>, CliError> {
    let pair = |argument: &String| {
        let (position, word) = argument.split_once('=')?;
        Some((position.parse().ok()?, word.to_owned()))
    };
    words
        .iter()
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(|| CliError::Refused("give words as POSITION=WORD, such as 3=apple".to_owned()))
}

fn ask_words() -> Result<BTreeMap<u8, String>, CliError> {
    let mut given = BTreeMap::new();
    for position in [3, 11, 20] {
        given.insert(position, ask(&format!("Word number {position}: "))?);
    }
    Ok(given)
}

fn standard_input() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CliError::Refused(format!("cannot read standard input: {error}")))?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}
