//! What can a person type? The command line: most commands ask the running node; those that need
//! the passphrase work on the home folder.

mod account;
mod bootstrap;
mod commands;
mod device;
mod host;
mod joining;
mod mailbox;
mod merging;
mod moment;
mod show;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{
    Args, CommandFactory, Parser, Subcommand, builder::FalseyValueParser, error::ErrorKind,
};
use kith_core::names::NameError;
use kith_net::bootstrap::Bootstrap;
use libp2p::Multiaddr;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    api::ApiError,
    client::ClientError,
    home::{HomeError, Passphrase},
};

/// A messenger without central servers: `kith` starts your node and prints the address of its page.
#[derive(Debug, Parser)]
#[command(
    name = "kith",
    version,
    after_help = "Exit codes: 0 done, 1 refused, 2 wrong usage, \
    3 the node is not running."
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of this device's keys and messages [default: the platform's data folder].
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Answer with JSON: one document, or one a line for streams.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read the passphrase from the first line of this file.
    #[arg(long, global = true, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Keep keys without a passphrase (`kith passphrase`: from now on): whoever has the disk has
    /// them.
    #[arg(long, global = true)]
    no_passphrase: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account with this device as its first.
    Init(InitArguments),
    /// Start the node (also without any command).
    Run(RunArguments),
    /// How the running node is.
    Status,
    /// Stop the running node.
    Stop,
    /// A fresh address that opens the node's web page once.
    Web,
    /// The link by which others ask to become your contact.
    Invite {
        /// Also draw it as a QR code.
        #[arg(long)]
        qr: bool,
    },
    /// Your devices: link, join, confirm, list, untrust.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Your account: show, recover.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// People: add, list, show, accept, block, unblock, remove, rename.
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Your mailbox, where messages wait while you are away: set, show, none, host.
    #[command(subcommand)]
    Mailbox(mailbox::MailboxCommand),
    /// Bootstraps, through which you find each other anywhere: set, show, none.
    #[command(subcommand)]
    Bootstrap(bootstrap::BootstrapCommand),
    /// Write a message; returns at once, also when nobody is online.
    Send {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
        /// What to say; `-` reads it from standard input.
        #[arg(allow_hyphen_values = true)]
        text: String,
        /// Id of the message to answer, or its beginning.
        #[arg(long, value_name = "ID")]
        reply_to: Option<String>,
    },
    /// A conversation in the order that everybody sees.
    History {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
        /// How many messages at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Only messages above this one: its id, or the beginning.
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Delete messages on all your devices; the other person keeps theirs.
    ///
    /// What --all and --before delete is gone here at once. Your other devices hide it at once and
    /// erase it after a day, in which you could notice that it was not you.
    #[command(group(clap::ArgGroup::new("what").required(true).args(["ids", "all", "before"])))]
    Delete {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
        /// Ids of messages, or their beginnings; at most 49 in a day.
        ids: Vec<String>,
        /// The whole conversation.
        #[arg(long)]
        all: bool,
        /// What was sent before then: 2026-07-31T14:30:00Z, 14:30 or 2h.
        #[arg(long, value_name = "TIME", value_parser = moment::parse)]
        before: Option<u64>,
    },
    /// Everything in a conversation has been read.
    Read {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Tell what happens, as it happens.
    Watch,
    /// Settings: without arguments they are shown.
    Settings {
        /// Let contacts see what you have read: on or off.
        #[arg(long, value_name = "on|off", value_parser = on_off)]
        read_receipts: Option<bool>,
        /// Let people who know your id find you: on or off.
        #[arg(long, value_name = "on|off", value_parser = on_off)]
        findable: Option<bool>,
        /// Hide your network addresses from contacts: on or off. Everything goes through relays then.
        #[arg(long, value_name = "on|off", value_parser = on_off)]
        relay_only: Option<bool>,
    },
    /// Choose another passphrase for this device, or go without from now on by --no-passphrase.
    /// The node may run meanwhile.
    Passphrase {
        /// Read the new passphrase from the first line of this file.
        #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// The words that restore your account when every device is lost.
    #[command(subcommand)]
    Recovery(RecoveryCommand),
}

#[derive(Debug, Args)]
struct InitArguments {
    /// What you call yourself; contacts see it.
    #[arg(long)]
    name: String,
}

/// How to start a node.
#[derive(Debug, Args, Default)]
pub struct RunArguments {
    /// Address for other nodes, such as /ip4/0.0.0.0/udp/7420/quic-v1 [default: all interfaces,
    /// QUIC and TCP, on ports that stay the same].
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<Multiaddr>,
    /// Loopback address of the page and API [default: 127.0.0.1:7474, or a free port].
    #[arg(long, value_name = "HOST:PORT")]
    pub api: Option<SocketAddr>,
    /// Do not look for nodes on the local network.
    #[arg(long)]
    pub no_mdns: bool,
    /// Address of a node to connect to, besides those of contacts.
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<Multiaddr>,
    /// A bootstrap, through which others are found, besides those that you have chosen:
    /// /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEER, /ip4/ADDRESS/tcp/PORT/p2p/PEER or /dnsaddr/HOST.
    #[arg(long, value_name = "ADDRESS", env = "KITH_BOOTSTRAP", value_delimiter = ',')]
    pub bootstrap: Vec<Bootstrap>,
    /// Use no bootstraps but those that you have chosen or name here.
    #[arg(long, env = "KITH_NO_BUILT_IN", value_parser = FalseyValueParser::new())]
    pub no_built_in: bool,
    /// Keep no records of others, even if this computer can be reached.
    #[arg(long, env = "KITH_DHT_CLIENT", value_parser = FalseyValueParser::new())]
    pub dht_client: bool,
    /// Do not ask the router to let others in.
    #[arg(long)]
    pub no_upnp: bool,
    /// Name server to ask for the names of bootstraps, instead of the system's.
    #[arg(long, value_name = "HOST:PORT")]
    pub name_server: Vec<SocketAddr>,
    /// File with the root certificate of a mailbox of your own (PEM).
    #[arg(long, value_name = "FILE", env = "KITH_MAILBOX_CA")]
    pub mailbox_ca: Option<PathBuf>,
    /// Leave messages in mailboxes of contacts that are in your own network too. Without it an
    /// address that somebody else names is used only if it is in the internet, or your own mailbox.
    #[arg(long, env = "KITH_PRIVATE_MAILBOXES", value_parser = FalseyValueParser::new())]
    pub private_mailboxes: bool,
}

impl RunArguments {
    /// As without any argument: what the environment says counts.
    fn of_environment() -> Self {
        match Arguments::try_parse_from(["kith", "run"]) {
            Ok(Arguments { command: Some(Command::Run(arguments)), .. }) => arguments,
            _ => Self::default(),
        }
    }
}

#[derive(Debug, Subcommand)]
enum ContactCommand {
    /// Ask somebody to become a contact.
    Add {
        /// The link that they gave you, or their id: then they are looked for.
        link: String,
        /// What to call them.
        #[arg(long)]
        name: Option<String>,
        /// What to say with the request.
        #[arg(long)]
        greeting: Option<String>,
    },
    /// Everybody on the list.
    List,
    /// Whom you look for by an id.
    Sought,
    /// Look for somebody no more.
    Forget {
        /// Their id.
        id: String,
    },
    /// One person in full.
    Show {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Agree to a request.
    Accept {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Hear nothing more from somebody.
    Block {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Hear from somebody again.
    Unblock {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Take somebody off the list, on all your devices. They are not told, reach you no more, and
    /// may ask again. Messages are kept, and shown again when you add them again.
    Remove {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
    },
    /// Call somebody something else.
    Rename {
        /// Name of the contact, or (the beginning of) its id.
        contact: String,
        /// The new name.
        name: String,
    },
}

/// Arguments can be seen by other programs: never all of the words.
const MAX_WORDS_IN_ARGUMENTS: usize = 6;

#[derive(Debug, Subcommand)]
enum RecoveryCommand {
    /// Show the words again, as long as you have not confirmed them.
    Show,
    /// Confirm that you wrote the words down; they are erased from this device.
    Confirm {
        /// At least three words as POSITION=WORD; without any they are asked for.
        #[arg(num_args = 0..=MAX_WORDS_IN_ARGUMENTS)]
        words: Vec<String>,
    },
}

/// Why a command did not do what it should.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// Refused, with a sentence that says what to do.
    #[error("{0}")]
    Refused(String),
    /// More must be said.
    #[error("{0}")]
    Usage(String),
    /// No node runs on this home folder.
    #[error("the node is not running: start it with `kith run`")]
    NotRunning,
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotRunning => Self::NotRunning,
            ClientError::Usage(message) => Self::Usage(message),
            ClientError::Unsure(message) => {
                Self::Refused(format!("{message} (or choose it all the same with --force)"))
            }
            ClientError::Refused(message) => Self::Refused(message),
        }
    }
}

impl From<NameError> for CliError {
    fn from(error: NameError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<ApiError>() {
            Some(refused) if refused.is_usage() => Self::Usage(refused.to_string()),
            _ => Self::Refused(format!("{error:#}")),
        }
    }
}

impl From<HomeError> for CliError {
    fn from(error: HomeError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl CliError {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotRunning => 3,
        }
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.contradict() {
        let message = "--passphrase-file cannot be used with --no-passphrase";
        Arguments::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let json = arguments.global.json;
    show::command_is(arguments.global.command());
    match commands::carry_out(arguments.global, arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show::error(json, &error);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Arguments {
    /// Whether a passphrase was both given and denied. Where one is changed, the first is the old
    /// one and the second says what is to come.
    const fn contradict(&self) -> bool {
        let changes = matches!(self.command, Some(Command::Passphrase { .. }));
        !changes && self.global.no_passphrase && self.global.passphrase_file.is_some()
    }
}

impl Global {
    /// How the person calls this program on this home.
    fn command(&self) -> String {
        let program = std::env::var("KITH_COMMAND").unwrap_or_else(|_| "kith".to_owned());
        match &self.home {
            None => program,
            Some(home) => {
                let home = home.to_string_lossy();
                let bare = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
                let quote = if home.chars().all(bare) { "" } else { "'" };
                format!("{program} --home {quote}{home}{quote}")
            }
        }
    }

    pub(crate) fn home(&self) -> Result<PathBuf, CliError> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        directories::ProjectDirs::from("", "", "kith")
            .map(|dirs| dirs.data_dir().to_owned())
            .ok_or_else(|| CliError::Refused("no home folder found: name one with --home".into()))
    }

    /// The passphrase as given; `None` if nothing was said about it.
    fn given_passphrase(&self) -> Result<Option<Passphrase>, CliError> {
        if self.no_passphrase {
            return Ok(Some(Passphrase::None));
        }
        self.old_passphrase()
    }

    /// The same where `--no-passphrase` speaks of the passphrase to come.
    fn old_passphrase(&self) -> Result<Option<Passphrase>, CliError> {
        match &self.passphrase_file {
            Some(file) => first_line(file).map(Some),
            None => {
                Ok(std::env::var("KITH_PASSPHRASE").ok().map(Zeroizing::new).map(Passphrase::Given))
            }
        }
    }

    /// The passphrase of an existing home.
    pub(crate) fn passphrase(&self) -> Result<Passphrase, CliError> {
        self.unlocks(self.given_passphrase()?, "Passphrase: ")
    }

    /// The passphrase of an existing home as its node is asked: empty if it has none.
    fn typed_passphrase(&self) -> Result<Zeroizing<String>, CliError> {
        Ok(match self.passphrase()? {
            Passphrase::Given(text) => text,
            Passphrase::None => Zeroizing::default(),
        })
    }

    /// The passphrase of an existing home, and the one that it is to have.
    fn passphrases(&self, new_file: Option<&Path>) -> Result<(Passphrase, Passphrase), CliError> {
        let old = self.unlocks(self.old_passphrase()?, "The passphrase so far: ")?;
        let new = match new_file {
            _ if self.no_passphrase => Passphrase::None,
            Some(file) => first_line(file)?,
            None => ask_twice("--new-passphrase-file")?,
        };
        Ok((old, not_empty(new)?))
    }

    /// The passphrase by which a joining device keeps what it has begun.
    fn joining_passphrase(&self) -> Result<Passphrase, CliError> {
        match self.given_passphrase()? {
            Some(given) => Ok(given),
            None => Ok(Passphrase::Given(ask_secretly("Passphrase: ", GIVE)?)),
        }
    }

    fn unlocks(&self, given: Option<Passphrase>, prompt: &str) -> Result<Passphrase, CliError> {
        let home = self.home()?;
        if !crate::home::needs_passphrase(&home)? {
            return Ok(Passphrase::None);
        }
        if let Some(given) = given {
            return Ok(given);
        }
        up_to_three_times(|| {
            let asked = ask_secretly(prompt, GIVE).map(Passphrase::Given)?;
            match crate::home::unlock(&home, &asked) {
                Err(wrong @ HomeError::WrongPassphrase) => Ok(Err(wrong.to_string())),
                _ => Ok(Ok(asked)),
            }
        })
    }

    /// The passphrase for a new home, asked twice.
    fn new_passphrase(&self) -> Result<Passphrase, CliError> {
        match self.given_passphrase()? {
            Some(given) => not_empty(given),
            None => ask_twice(GIVE),
        }
    }
}

const EMPTY_PASSPHRASE: &str = "the passphrase is empty: choose one, or say --no-passphrase";
/// How to give a passphrase where nobody can be asked.
const GIVE: &str = "--passphrase-file or KITH_PASSPHRASE";

fn first_line(file: &Path) -> Result<Passphrase, CliError> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| {
        let file = file.display();
        CliError::Refused(format!("cannot read {file}: {error}: check the path"))
    })?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Passphrase::Given(Zeroizing::new(line)))
}

fn not_empty(passphrase: Passphrase) -> Result<Passphrase, CliError> {
    match &passphrase {
        Passphrase::Given(text) if text.is_empty() => {
            Err(CliError::Refused(EMPTY_PASSPHRASE.to_owned()))
        }
        _ => Ok(passphrase),
    }
}

fn ask_twice(otherwise: &str) -> Result<Passphrase, CliError> {
    up_to_three_times(|| {
        let first = ask_secretly("Choose a passphrase for this device: ", otherwise)?;
        if first.is_empty() {
            return Ok(Err(EMPTY_PASSPHRASE.to_owned()));
        }
        let again = ask_secretly("The same again: ", otherwise)?;
        let same = first == again;
        Ok(if same {
            Ok(Passphrase::Given(first))
        } else {
            Err("the two passphrases differ: try again".to_owned())
        })
    })
}

/// Asks a person again who mistyped. Inside: what was wrong.
fn up_to_three_times<T>(
    mut ask: impl FnMut() -> Result<Result<T, String>, CliError>,
) -> Result<T, CliError> {
    for _ in 0..2 {
        match ask()? {
            Ok(answer) => return Ok(answer),
            Err(wrong) => show::hint(false, &wrong),
        }
    }
    ask()?.map_err(CliError::Refused)
}

/// Asks at the terminal; elsewhere it is refused with the other way to say it.
fn ask_secretly(prompt: &str, otherwise: &str) -> Result<Zeroizing<String>, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Refused(format!(
            "a passphrase is needed: give it with {otherwise}, or go without by --no-passphrase"
        )));
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| CliError::Refused(format!("no passphrase was read: {error}")))
}

fn ask(prompt: &str) -> Result<String, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Refused(
            "there is no account here yet: make one with `kith init --name NAME`".into(),
        ));
    }
    let mut line = String::new();
    let mut out = std::io::stderr();
    let read = write!(out, "{prompt}")
        .and_then(|()| out.flush())
        .and_then(|()| std::io::stdin().read_line(&mut line));
    read.map_err(|error| CliError::Refused(format!("nothing was read: {error}")))?;
    Ok(line.trim().to_owned())
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(built.map_err(anyhow::Error::from)?)
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("say on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_mistypes_is_asked_again_twice() {
        let asked = |right: usize| {
            let mut times = 0;
            let answer = up_to_three_times(|| {
                times += 1;
                Ok(if times == right { Ok("right") } else { Err(format!("wrong {times}")) })
            });
            (answer.map_err(|error| error.to_string()), times)
        };
        assert_eq!(asked(1), (Ok("right"), 1));
        assert_eq!(asked(3), (Ok("right"), 3));
        assert_eq!(asked(4), (Err("wrong 3".to_owned()), 3));
    }
}
