//! How is an answer shown? JSON for programs, lines for people.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::CliError;
use crate::run::Ready;

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
        writeln!(out, "kith: {error}")
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
    line("The address works once; `kith web` prints another. Stop with Ctrl-C or `kith stop`.");
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
    line("\nOnce they are on paper: kith recovery confirm 3=WORD 11=WORD 20=WORD\n");
}

pub(super) fn qr(link: &str) -> Result<(), CliError> {
    let card = kith_common::share::ContactCard::decode(link)
        .map_err(|error| CliError::Refused(error.to_string()))?;
    let code = crate::api::qr_code(card)
        .map_err(|_| CliError::Refused("the link is too long for a QR code".into()))?;
    let drawn = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Light)
        .light_color(qrcode::render::unicode::Dense1x2::Dark)
        .build();
    let _ = writeln!(std::io::stderr().lock(), "{drawn}");
    Ok(())
}

pub(super) fn field(answer: &Value, name: &str) {
    line(answer.get(name).and_then(Value::as_str).unwrap_or_default());
}

/// Any object, a field a line.
pub(super) fn status(answer: &Value) {
    for (name, value) in answer.as_object().into_iter().flatten() {
        let shown = match value {
            Value::String(text) => plain(text),
            Value::Array(values) => {
                let parts = values.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), plain));
                parts.collect::<Vec<_>>().join("\n  ")
            }
            Value::Object(fields) => {
                let parts = fields.iter().map(|(name, value)| format!("{name} {value}"));
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
        line(&format!(
            "{:<24} {:<10} {:<12} {:<8} {}",
            text(contact, "name"),
            text(contact, "status"),
            text(contact, "validity"),
            if online { "online" } else { "" },
            text(contact, "account"),
        ));
    }
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
    let late = if late { format!(" (arrived {})", text("received_at")) } else { String::new() };
    let when = text("sent_at").get(..16).unwrap_or_default().replace('T', " ");
    line(&format!(
        "{when}{late} {} [{mark}]: {}",
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

/// Text without characters that would move the terminal's cursor or change its state.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}
