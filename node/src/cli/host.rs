//! How does a person run a mailbox at home? The program `mailbox-server`, kept running beside the node.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use kith_common::{limits::MAILBOXES_MAX, mail::MailboxUrl};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{CliError, Global, mailbox, show};
use crate::{
    client::{Client, ClientError},
    home, mail, run,
};

/// The program, without what the system adds to names of programs.
const PROGRAM: &str = "mailbox-server";
/// Folder of its data in the home folder.
const DATA: &str = "mailbox";
/// Bytes of what it prints first.
const GREETING_BYTES_MAX: u64 = 4 << 10;
/// Time to start: a large file of messages is looked through.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to end in order.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// First pause before it is started again after it has died.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause; who ran longer than that begins with the first pause again.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Runs a mailbox until the person stops it.
pub(super) fn host(
    global: &Global,
    listen: SocketAddr,
    url: Option<MailboxUrl>,
) -> Result<(), CliError> {
    let folder = global.home()?;
    if !home::exists(&folder) {
        return Err(CliError::Refused(
            "there is no account in this home folder: make one with `kith init`".to_owned(),
        ));
    }
    if url.is_none() && listen.ip().is_unspecified() {
        return Err(CliError::Usage(
            "say with --url by which address your contacts reach this computer, such as \
             http://192.168.1.5:8448"
                .to_owned(),
        ));
    }
    let program = find_program()?;
    let runtime = super::runtime()?;
    let hosted = runtime.block_on(keep_running(global, &Served { program, folder, listen, url }));
    // What asks the node may still wait for it.
    runtime.shutdown_timeout(PAUSE_MIN);
    hosted
}

/// What is run, and for whom.
struct Served {
    program: PathBuf,
    folder: PathBuf,
    listen: SocketAddr,
    url: Option<MailboxUrl>,
}

fn find_program() -> Result<PathBuf, CliError> {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    let in_path = std::env::var_os("PATH");
    look_for(&name, beside, in_path.as_deref()).ok_or_else(|| {
        CliError::Refused(format!(
            "the program {name} is neither beside this one nor in the PATH: build it with `cargo \
             build --release -p {PROGRAM}` and put it there"
        ))
    })
}

fn look_for(name: &str, beside: Option<PathBuf>, in_path: Option<&OsStr>) -> Option<PathBuf> {
    let in_path = in_path.into_iter().flat_map(std::env::split_paths);
    beside.into_iter().chain(in_path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

async fn keep_running(global: &Global, served: &Served) -> Result<(), CliError> {
    let stopped = run::stop_signal().map_err(|error| {
        CliError::Refused(format!("this program cannot wait for Ctrl-C ({error}): try again"))
    })?;
    let mut stopped = std::pin::pin!(stopped);
    let mut pause = PAUSE_MIN;
    let mut was_told = false;
    loop {
        let begun = Instant::now();
        let mut child = served.start()?;
        let listening = tokio::select! {
            listening = wait_until_it_listens(&mut child) => listening,
            () = &mut stopped => return end(child).await,
        };
        match listening {
            Some(listening) if !was_told => {
                was_told = true;
                let url = served.url.clone().or_else(|| MailboxUrl::typed(&listening).ok());
                tell(global, &served.folder, &listening, url).await?;
            }
            None if !was_told => {
                end(child).await?;
                return Err(CliError::Refused(format!(
                    "the mailbox did not start on {}: see above why, or name another address with \
                     --listen",
                    served.listen
                )));
            }
            _ => {}
        }
        tokio::select! {
            _ = child.wait() => {}
            () = &mut stopped => return end(child).await,
        }
        pause = if begun.elapsed() > PAUSE_MAX { PAUSE_MIN } else { pause };
        let seconds = pause.as_secs();
        show::hint(
            global.json,
            &format!("the mailbox has ended; it is started again in {seconds} s"),
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = &mut stopped => return Ok(()),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Served {
    fn start(&self) -> Result<Child, CliError> {
        Command::new(&self.program)
            .arg("--listen")
            .arg(self.listen.to_string())
            .arg("--data")
            .arg(self.folder.join(DATA))
            .args(["--health", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let program = self.program.display();
                CliError::Refused(format!("{program} does not start: {error}: build it anew"))
            })
    }
}

/// The address that it prints once it listens; `None` if it ends or says nothing for long.
async fn wait_until_it_listens(child: &mut Child) -> Option<String> {
    let mut lines = BufReader::new(child.stdout.take()?);
    let first = async {
        let mut line = String::new();
        loop {
            line.clear();
            let read = (&mut lines).take(GREETING_BYTES_MAX).read_line(&mut line).await.ok()?;
            if read == 0 {
                return None;
            }
            if let Some(address) = address_in(&line) {
                return Some(address.to_owned());
            }
        }
    };
    let found = timeout(START_TIMEOUT, first).await.ok().flatten();
    // What it prints later is read, so that it never waits for us.
    tokio::spawn(async move { tokio::io::copy(&mut lines, &mut tokio::io::sink()).await });
    found
}

/// The first word that is an address of a service.
fn address_in(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with("http://") || word.starts_with("https://"))
}

/// Says where the mailbox is, and has the node choose it.
async fn tell(
    global: &Global,
    folder: &Path,
    listening: &str,
    url: Option<MailboxUrl>,
) -> Result<(), CliError> {
    let Some(url) = url else {
        return Err(CliError::Refused(format!(
            "{listening} is no address of a mailbox: say with --url by which one others reach it"
        )));
    };
    let folder = folder.to_owned();
    let wanted = url.clone();
    let chosen = tokio::task::spawn_blocking(move || choose(&folder, wanted.as_str())).await;
    let chosen = chosen.map_err(|error| CliError::Refused(error.to_string()))?;
    let document = json!({ "url": url.as_str(), "listening": listening, "chosen": chosen.is_ok() });
    show::answer(global.json, &document, |_| {
        show::line(&format!("Your mailbox runs on {listening}. Stop it with Ctrl-C."));
        if mail::leads_here(&url) {
            show::line(&format!("Only this computer reaches {url}. For others stop it and add:"));
            show::advice("--listen 0.0.0.0:8448 --url http://ADDRESS-OF-THIS-COMPUTER:8448");
            return;
        }
        show::line(&format!("Contacts leave messages for you at {url}. That works for those who"));
        show::line(
            "can reach this address: name another one with --url if they cannot. Where it is",
        );
        show::line("in a network of your own, they start with `kith run --private-mailboxes`.");
    });
    if let Err(why) = chosen {
        show::hint(
            global.json,
            &format!("it was not chosen: {why}. Choose it later: `kith mailbox set {url}`"),
        );
    }
    Ok(())
}

/// Adds a mailbox to those that the node has.
fn choose(folder: &Path, url: &str) -> Result<(), String> {
    let said = |error: ClientError| match error {
        ClientError::Unsure(message) => message,
        other => other.to_string(),
    };
    let client = Client::open(folder).map_err(said)?;
    let known = client.get("/api/mailboxes").map_err(said)?;
    let urls = known.as_array().into_iter().flatten();
    let mut urls: Vec<&str> =
        urls.filter_map(|mailbox| mailbox.get("url").and_then(Value::as_str)).collect();
    if urls.contains(&url) {
        return Ok(());
    }
    if urls.len() >= MAILBOXES_MAX {
        return Err(format!("you have {MAILBOXES_MAX} mailboxes already: leave one out"));
    }
    urls.push(url);
    let chosen: Vec<Value> = urls.iter().map(|url| json!({ "url": url })).collect();
    mailbox::choose(&client, &chosen, false).map(drop).map_err(|error| error.to_string())
}

/// Has it end in order; by force, if that takes too long.
async fn end(mut child: Child) -> Result<(), CliError> {
    ask_to_end(&child);
    if timeout(END_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    Ok(())
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};

    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        let _ = kill_process(id, Signal::TERM);
    }
}

/// The console tells it of Ctrl-C too.
#[cfg(not(unix))]
const fn ask_to_end(_child: &Child) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_what_the_server_prints() {
        let line = "mailbox-server listens on http://127.0.0.1:8448\n";
        assert_eq!(address_in(line), Some("http://127.0.0.1:8448"));
        assert_eq!(address_in("health on 127.0.0.1:1"), None);
    }

    #[test]
    fn the_program_beside_this_one_comes_first() {
        let (beside, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = std::env::join_paths([beside.path(), other.path()]).unwrap();
        let look = |beside: &tempfile::TempDir| {
            look_for("server", Some(beside.path().to_owned()), Some(&path))
        };
        assert_eq!(look(&beside), None);
        std::fs::write(other.path().join("server"), "").unwrap();
        assert_eq!(look(&beside), Some(other.path().join("server")));
        std::fs::write(beside.path().join("server"), "").unwrap();
        assert_eq!(look(&beside), Some(beside.path().join("server")));
    }
}
