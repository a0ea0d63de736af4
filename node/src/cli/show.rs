//! How is an answer shown? JSON for programs, lines for people.

use std::{
    io::{IsTerminal, Write},
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::{CliError, merging::COSTS, moment};
use crate::run::Ready;

/// Characters of a message's id that are shown.
const SHORT_ID_CHARS: usize = 8;
/// How the person calls this program.
static COMMAND: OnceLock<String> = OnceLock::new();

/// From now on advice names this command instead of `kith`.
pub(super) fn command_is(command: String) {
    let _ = COMMAND.set(command);
}

/// Advice with the command that the person has.
fn with_command(advice: &str, command: &str) -> String {
    let mut parts = advice.split("`kith");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_command = part.starts_with(['`', ' ', '\n']);
        shown.push('`');
        shown.push_str(if is_command { command } else { "kith" });
        shown.push_str(part);
    }
    shown
}

fn own_command(advice: &str) -> String {
    with_command(advice, COMMAND.get().map_or("kith", String::as_str))
}

/// Writes a line that says what to do here next.
pub(super) fn advice(text: &str) {
    line(&own_command(text));
}

/// Writes a line to standard output; a closed pipe ends quietly.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Says what takes a second, to a person at a terminal only.
pub(super) fn working(json: bool, what: &str) {
    let mut out = std::io::stderr();
    if !json && out.is_terminal() {
        let _ = writeln!(out, "{what} …");
    }
}

/// Says something in between, to a person only.
pub(super) fn hint(json: bool, what: &str) {
    if !json {
        let _ = writeln!(std::io::stderr(), "kith: {}", own_command(what));
    }
}

pub(super) fn answer(json: bool, document: &Value, person: impl FnOnce(&Value)) {
    if json {
        line(&document.to_string());
    } else {
        person(document);
    }
}

pub(super) fn error(json: bool, error: &CliError) {
    let mut out = std::io::stderr().lock();
    let _ = if json {
        writeln!(out, "{}", json!({ "error": { "message": error.to_string() } }))
    } else {
        writeln!(out, "kith: {}", own_command(&plain(&error.to_string())))
    };
}

pub(super) fn ready(json: bool, ready: &Ready) {
    if json {
        line(
            &json!({ "web": ready.web, "api": ready.api, "listening": ready.listening })
                .to_string(),
        );
        return;
    }
    line("Your node is running. Its page, for you alone:");
    line(&format!("\n    {}\n", ready.web));
    advice("The address works once; `kith web` prints another. Stop with Ctrl-C or `kith stop`.");
}

pub(super) fn recovery_words(words: &[&str]) {
    line("Your recovery words. Write them on paper, in order, and keep them safe:");
    line("they alone bring your account back when every device is lost.\n");
    let columns = 4;
    for (row, chunk) in words.chunks(columns).enumerate() {
        let shown: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(column, word)| format!("{:>2}. {word:<10}", row * columns + column + 1))
            .collect();
        line(&format!("    {}", shown.join(" ")));
    }
    advice("\nOnce they are on paper: `kith recovery confirm 3=WORD 11=WORD 20=WORD`\n");
}

pub(super) fn qr(link: &str) -> Result<(), CliError> {
    let card = kith_common::share::ContactCard::decode(link)
        .map_err(|error| CliError::Refused(error.to_string()))?;
    let code = crate::api::qr_code(card)
        .map_err(|_| CliError::Refused("the link is too long for a QR code".into()))?;
    draw(&code);
    Ok(())
}

pub(super) fn qr_of(text: &str) -> Result<(), CliError> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L)
        .map_err(|_| CliError::Refused("this is too long for a QR code: copy the line".into()))?;
    draw(&code);
    Ok(())
}

fn draw(code: &qrcode::QrCode) {
    let drawn = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Light)
        .light_color(qrcode::render::unicode::Dense1x2::Dark)
        .build();
    let _ = writeln!(std::io::stderr().lock(), "{drawn}");
}

pub(super) fn field(answer: &Value, name: &str) {
    line(answer.get(name).and_then(Value::as_str).unwrap_or_default());
}

/// Any object, a field a line; what somebody else wrote comes last and quoted.
pub(super) fn status(answer: &Value) {
    let fields = answer.as_object().into_iter().flatten();
    let (said, known): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| name.as_str() == "greeting");
    for (name, value) in known.into_iter().chain(said) {
        let shown = match value {
            Value::String(text) if name == "greeting" => quoted(text),
            Value::String(text) => plain(text),
            Value::Array(values) => {
                let parts = values.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), plain));
                parts.collect::<Vec<_>>().join("\n  ")
            }
            Value::Object(fields) => {
                let parts = fields.iter().map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {}", quoted(text)),
                    other => format!("{name} {other}"),
                });
                parts.collect::<Vec<_>>().join(", ")
            }
            Value::Null => continue,
            other => other.to_string(),
        };
        line(&format!("{}: {shown}", name.replace('_', " ")));
    }
}

pub(super) fn contacts(answer: &Value) {
    let text = |contact: &Value, name: &str| {
        plain(contact.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    for contact in answer.as_array().into_iter().flatten() {
        let online = contact.get("online").and_then(Value::as_bool).unwrap_or_default();
        let connection = contact.get("connection").and_then(Value::as_str).unwrap_or("online");
        line(&format!(
            "{:<24} {:<10} {:<12} {:<8} {}",
            text(contact, "name"),
            text(contact, "status"),
            text(contact, "validity"),
            if online { connection } else { "" },
            text(contact, "account"),
        ));
    }
}

pub(super) fn sought(answer: &Value) {
    let text = |sought: &Value, name: &str| {
        plain(sought.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    let list = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        line("You look for nobody.");
        return;
    }
    for sought in list {
        line(&format!("{:<24} {}", text(sought, "name"), text(sought, "id")));
    }
    advice("They are asked as soon as one of their devices is found; `kith contact list` shows it");
}

pub(super) fn guests(answer: &Value) {
    let text = |guest: &Value, name: &str| {
        plain(guest.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    for guest in answer.as_array().into_iter().flatten() {
        line(&format!("{} {}", text(guest, "check"), text(guest, "name")));
        if let Some(brings) = guest.get("brings").filter(|brings| brings.is_object()) {
            let devices = brings.get("devices").and_then(Value::as_u64).unwrap_or_default();
            line(&format!(
                "  brings along the account {} ({devices} devices), which becomes part of this one",
                text(brings, "account"),
            ));
            line(&own_command(&format!("  Before you confirm: {COSTS}.")));
        }
    }
}

pub(super) fn devices(answer: &Value) {
    for device in answer.as_array().into_iter().flatten() {
        let text = |name: &str| plain(device.get(name).and_then(Value::as_str).unwrap_or_default());
        let is = |name: &str| device.get(name).and_then(Value::as_bool).unwrap_or_default();
        let here = match (is("is_this"), is("online")) {
            (true, _) => "this",
            (false, true) => "online",
            (false, false) => "",
        };
        let why = text("reason").replace('_', " ");
        line(&format!(
            "{:<24} {:<10} {why:<12} {here:<8} {}",
            text("name"),
            text("standing"),
            text("device").get(..16).unwrap_or_default(),
        ));
    }
    for device in answer.as_array().into_iter().flatten() {
        next_step(device);
    }
}

/// What is still to be done about a device.
fn next_step(device: &Value) {
    let text = |name: &str| device.get(name).and_then(Value::as_str).unwrap_or_default();
    let id = text("device").get(..SHORT_ID_CHARS).unwrap_or_default();
    let name = device.get("name").and_then(Value::as_str).map_or_else(|| id.to_owned(), plain);
    let is_final = device.get("is_final").and_then(Value::as_bool).unwrap_or_default();
    match (text("standing"), text("reason")) {
        ("added", _) => advice(&format!(
            "{name} does not decide yet: say `kith device settle` on the devices that do, until more \
             than half of them have agreed."
        )),
        ("former", "removed" | "stolen") if !is_final => advice(&format!(
            "{name} is out, but may still answer. A vote on another device makes it final, once \
             more than half of those that decide have voted: `kith device untrust {id}`"
        )),
        _ => {}
    }
}

pub(super) fn account(answer: &Value) {
    let text = |name: &str| plain(answer.get(name).and_then(Value::as_str).unwrap_or_default());
    let is = |name: &str| answer.get(name).and_then(Value::as_bool).unwrap_or_default();
    line(&format!("{}  {}", text("name"), text("account")));
    devices(answer.get("devices").unwrap_or(&Value::Null));
    if is("frozen") {
        advice("Nobody decides any more but your recovery words: `kith account recover`");
        line("with --untrust DEVICE for each one that goes, or --untrust-others, or --keep-all.");
    } else if is("disputed") {
        line("Devices accuse each other and are frozen. A majority decides by");
        advice("`kith device untrust`, or your recovery words by `kith account recover`");
        line("with --untrust DEVICE for each one that goes, or --untrust-others, or --keep-all.");
    }
    for account in answer.get("absorbed").and_then(Value::as_array).into_iter().flatten() {
        line(&format!("One with {}", plain(account.as_str().unwrap_or_default())));
    }
    if let Some(merging) = answer.get("merging").filter(|merging| merging.is_object()) {
        let signed = merging.get("signed").and_then(Value::as_array).map(Vec::len);
        let needed = merging.get("needed").and_then(Value::as_u64).unwrap_or_default();
        line(&format!(
            "It is to merge into another account: {} of {needed} devices have agreed. On another \
             one: kith account merge --agree",
            signed.unwrap_or_default(),
        ));
    }
    for proposal in answer.get("proposals").and_then(Value::as_array).into_iter().flatten() {
        self::proposal(answer, proposal);
    }
}

/// A list of devices that waits, if it can come about or binds this device.
fn proposal(account: &Value, proposal: &Value) {
    let is = |name: &str| proposal.get(name).and_then(Value::as_bool).unwrap_or_default();
    let names = |field: &str| names(account, proposal.get(field));
    let devices = account.get("devices").and_then(Value::as_array).into_iter().flatten();
    let own = devices.into_iter().find(|one| one.get("is_this") == Some(&Value::Bool(true)));
    let own = own.and_then(|one| one.get("device"));
    let signed = proposal.get("signed").and_then(Value::as_array);
    let is_bound = signed.is_some_and(|signed| own.is_some_and(|own| signed.contains(own)));
    if is("possible") {
        let needed = proposal.get("needed").and_then(Value::as_u64).unwrap_or_default();
        let agreed = signed.map(Vec::len).unwrap_or_default();
        line(&format!("To decide together: {}", names("devices")));
        line(&format!("  {agreed} of {needed} have agreed: {}", names("signed")));
        line(&format!("  Can agree too, by kith device settle: {}", names("missing")));
        let left_out = left_out(account, proposal.get("devices"));
        if !left_out.is_empty() {
            line(&format!("  Out once it is decided, to be linked anew: {left_out}"));
        }
    } else if is_bound {
        line(&format!("This device has agreed that these decide: {}", names("devices")));
        advice("  That cannot come about any more. Begin anew with your recovery words:");
        advice("  `kith account recover`");
    }
}

/// The devices that belong and are not on a list.
fn left_out(account: &Value, list: Option<&Value>) -> String {
    let list = list.and_then(Value::as_array);
    let belongs = |one: &&Value| {
        let standing = one.get("standing").and_then(Value::as_str);
        standing == Some("settled") || standing == Some("added")
    };
    let devices = account.get("devices").and_then(Value::as_array).into_iter().flatten();
    let ids = devices.filter(belongs).filter_map(|one| one.get("device"));
    let out = ids.filter(|id| !list.is_some_and(|list| list.contains(id))).cloned().collect();
    names(account, Some(&Value::Array(out)))
}

/// What the person calls these devices.
pub(super) fn names(account: &Value, devices: Option<&Value>) -> String {
    let known = || account.get("devices").and_then(Value::as_array).into_iter().flatten();
    let name = |device: &Value| {
        let view = known().find(|one| one.get("device") == Some(device));
        let name = view.and_then(|one| one.get("name")).and_then(Value::as_str);
        let id = device.as_str().and_then(|id| id.get(..16)).unwrap_or_default();
        plain(name.unwrap_or(id))
    };
    let devices = devices.and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<String> = devices.map(name).collect();
    names.sort_unstable();
    names.join(", ")
}

/// How far merging two accounts has got.
pub(super) fn merging(answer: &Value) {
    if answer.get("merged").and_then(Value::as_bool).unwrap_or_default() {
        line("The accounts are one now. Contacts learn it by themselves. The recovery words that");
        line("count from now on are those of the account that stays: on paper, or on its device.");
        return;
    }
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    line(&format!(
        "{} of {} devices have agreed. On another one of the account that ends: \
         kith account merge --agree",
        count("agreed"),
        count("needed"),
    ));
}

pub(super) fn messages(answer: &Value) {
    for message in answer.as_array().into_iter().flatten() {
        self::message(message);
    }
}

fn message(message: &Value) {
    let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let author = message.get("author");
    let name = author.and_then(|author| author.get("name")).and_then(Value::as_str);
    let validity = author.and_then(|author| author.get("validity")).and_then(Value::as_str);
    let mine = author.and_then(|a| a.get("me")).and_then(Value::as_bool).unwrap_or_default();
    let mark = if mine { text("state") } else { validity.unwrap_or_default() };
    let late = message.get("late").and_then(Value::as_bool).unwrap_or_default();
    let arrived = || format!(" (arrived {})", moment::here(text("received_at")));
    let late = if late { arrived() } else { String::new() };
    let when = moment::here(text("sent_at"));
    let short = |id: &str| id.get(..SHORT_ID_CHARS).unwrap_or_default().to_owned();
    let answered = message.get("reply_to").and_then(Value::as_str).map(short);
    let answered = answered.map(|id| format!(" > in answer to {id}")).unwrap_or_default();
    line(&format!(
        "{when}{late} {} {} [{mark}]{answered}: {}",
        short(text("id")),
        plain(name.unwrap_or_default()),
        plain(text("text"))
    ));
}

pub(super) fn event(event: &Value) {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "message" => event.get("message").into_iter().for_each(message),
        "contact" => {
            let contact = event.get("contact").cloned().unwrap_or_default();
            contacts(&Value::Array(vec![contact]));
        }
        "state" => {
            for state in event.get("messages").and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| state.get(name).and_then(Value::as_str).unwrap_or_default();
                line(&format!("{} {}", part("id"), part("state")));
            }
        }
        other => line(other),
    }
}

/// Text that cannot pass for lines of ours: its further lines are marked, and characters that would
/// move the cursor, turn the direction of text or break a line are seen.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => shown.push_str("\n  | "),
            '\t' => shown.push(c),
            _ if c.is_control() || is_turning(c) => shown.push('\u{fffd}'),
            _ => shown.push(c),
        }
    }
    shown
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Line and paragraph separators, and what turns the direction of text.
const fn is_turning(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_cannot_begin_a_line() {
        assert_eq!(plain("one\ntwo\r\nthree"), "one\n  | two\n  | three");
        assert_eq!(plain("a\rb\u{2028}c\u{85}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(plain("\u{202e}evil\u{2066}\u{200f}"), "\u{fffd}evil\u{fffd}\u{fffd}");
        assert_eq!(
            quoted("say \"hi\"\nstatus: contact"),
            "\"say \\\"hi\\\"\n  | status: contact\""
        );
    }

    #[test]
    fn advice_names_the_command_that_the_person_has() {
        let advice = "start it with `kith run`, or `kith`";
        let shown = with_command(advice, "kith --home x");
        assert_eq!(shown, "start it with `kith --home x run`, or `kith --home x`");
        assert_eq!(with_command("`kithara` and kith", "./run"), "`kithara` and kith");
    }
}
