//! What can a person do about their mailbox?

use std::net::SocketAddr;

use clap::{Subcommand, builder::PossibleValuesParser};
use kith_common::{limits::MAILBOXES_MAX, mail::MailboxUrl};
use serde_json::{Value, json};

use super::{CliError, Global, host, show};
use crate::client::Client;

/// Stands for no mailbox where addresses do.
const NONE: &str = "none";

#[derive(Debug, Subcommand)]
pub(super) enum MailboxCommand {
    /// Choose your mailboxes, for all your devices: sealed messages wait there while you are away.
    ///
    /// A mailbox reads nothing and does not know who writes to whom. It sees network addresses, when
    /// something is left or fetched, and roughly how much. With more than one, one may fail.
    Set {
        /// Addresses such as https://mail.example.org, at most 4; `none`: have none.
        #[arg(required = true, value_name = "URL", num_args = 1..=MAILBOXES_MAX)]
        urls: Vec<String>,
        /// Days that messages are kept [default: as before, else 7].
        #[arg(long, value_parser = PossibleValuesParser::new(["1", "7"]))]
        days: Option<String>,
        /// The word that the mailbox wants from those who use it; who runs it knows.
        #[arg(long, value_name = "WORD")]
        access: Option<String>,
        /// Choose them even if they do not answer now.
        #[arg(long)]
        force: bool,
    },
    /// Your mailboxes, and whether they work.
    Show,
    /// Have no mailbox: messages wait until a device of theirs and one of yours are online together.
    None,
    /// Run a mailbox on this computer until Ctrl-C, and choose it.
    ///
    /// It runs the program mailbox-server, from beside this one or from the PATH, and keeps its data
    /// in the home folder. Others can leave messages only if they can reach its address.
    Host {
        /// Where it listens.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8448")]
        listen: SocketAddr,
        /// Address by which your contacts reach it [default: http:// and where it listens].
        #[arg(long, value_parser = typed)]
        url: Option<MailboxUrl>,
    },
}

fn typed(text: &str) -> Result<MailboxUrl, String> {
    MailboxUrl::typed(text).map_err(|error| error.to_string())
}

pub(super) fn carry_out(global: &Global, command: MailboxCommand) -> Result<(), CliError> {
    let json = global.json;
    let home = global.home()?;
    let answer = match command {
        MailboxCommand::Host { listen, url } => return host::host(global, listen, url),
        MailboxCommand::Show => Client::open(&home)?.get("/api/mailboxes")?,
        MailboxCommand::None => choose(&Client::open(&home)?, &[], false)?,
        MailboxCommand::Set { urls, .. } if urls.iter().any(|url| url == NONE) => {
            if urls.len() > 1 {
                let message = "say none alone, or only addresses of mailboxes";
                return Err(CliError::Usage(message.to_owned()));
            }
            choose(&Client::open(&home)?, &[], false)?
        }
        MailboxCommand::Set { urls, days, access, force } => {
            let days: Option<u64> = days.and_then(|days| days.parse().ok());
            let chosen = |url: &String| json!({ "url": url, "days": days, "access": access });
            let chosen: Vec<Value> = urls.iter().map(chosen).collect();
            show::working(json, "Asking whether a mailbox is there");
            choose(&Client::open(&home)?, &chosen, force)?
        }
    };
    show::answer(json, &answer, tell);
    Ok(())
}

/// Chooses these and no others.
pub(super) fn choose(client: &Client, chosen: &[Value], force: bool) -> Result<Value, CliError> {
    let body = json!({ "mailboxes": chosen, "force": force });
    Ok(client.put("/api/mailboxes", &body)?)
}

fn tell(answer: &Value) {
    let mailboxes = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if mailboxes.is_empty() {
        show::line("You have no mailbox: messages to you wait with who wrote them, until one of");
        show::line("their devices and one of yours are online together. Queues at a mailbox that");
        show::line("you had close as soon as your contacts know, in two weeks at the latest.");
        show::advice(
            "Choose one with `kith mailbox set URL`, or run your own: `kith mailbox host`",
        );
    }
    for mailbox in mailboxes {
        let text = |name: &str| mailbox.get(name).and_then(Value::as_str).unwrap_or_default();
        let days = if count(mailbox, "days") == 1 { "1 day" } else { "7 days" };
        show::line(&format!("{:<40} {days:<7} {}", show::plain(text("url")), state(mailbox)));
    }
}

fn count(mailbox: &Value, name: &str) -> u64 {
    mailbox.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// How a mailbox is, in a few words.
fn state(mailbox: &Value) -> String {
    let (open, all) = (count(mailbox, "queues_open"), count(mailbox, "queues"));
    match mailbox.get("trouble").and_then(Value::as_str) {
        Some(trouble) => format!("does not work: {}", show::plain(trouble)),
        None if open == all && all > 0 => "open".to_owned(),
        None => format!("opening ({open} of {all} queues are open)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_open_opening_or_says_what_is_wrong() {
        let of = |open, all| json!({ "queues_open": open, "queues": all });
        assert_eq!(state(&of(3, 3)), "open");
        assert_eq!(state(&of(0, 0)), "opening (0 of 0 queues are open)");
        assert_eq!(state(&of(1, 3)), "opening (1 of 3 queues are open)");
        let failed = json!({ "queues_open": 3, "queues": 3, "trouble": "it is\u{1b}[2J full" });
        assert!(state(&failed).starts_with("does not work: it is"));
        assert!(!state(&failed).contains('\u{1b}'));
    }
}
