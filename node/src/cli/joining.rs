//! How does a person join, or merge, with a device that is never there at the same time?

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use kith_common::{account::Account, crypto::PasswordCost, keys::SigningKey, linking::LinkCode};
use kith_core::{
    engine::Command as Wish,
    linking::{CameByMail, MailJoiner},
    names::chosen_name,
};
use serde_json::{Value, json};

use super::{CliError, Global, device, show};
use crate::{
    client::Client,
    clock::wall_clock,
    home::{self, Joined, JoiningFile, Passphrase},
    join::{self, Outcome},
    mail::{MailConfig, Reach},
    random::OsRandom,
};

pub(super) const HINT: &str = "on the new device: kith device join CODE. It leaves what it says in \
    your mailbox and tells you when to start this device again; then compare the number that it has \
    shown with `kith device pending` here, and confirm it";

/// How long the mailbox may take to open a queue for a code.
const OPENS: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct MailArguments {
    /// File with the root certificate of a mailbox of your own (PEM).
    #[arg(long, value_name = "FILE", env = "KITH_MAILBOX_CA")]
    mailbox_ca: Option<PathBuf>,
}

/// Reads a code, if one was given.
pub(super) fn code(text: Option<&str>) -> Result<Option<LinkCode>, CliError> {
    let read = |text| LinkCode::decode(text).map_err(|error| CliError::Refused(error.to_string()));
    text.map(read).transpose()
}

/// Waits until the mailbox has the queue of the code that was just made: only then may this device
/// be switched off.
pub(super) fn wait_until_open(client: &Client) -> Result<(), CliError> {
    let end = Instant::now() + OPENS;
    while client.get("/api/account/link")?.get("is_open") != Some(&Value::Bool(true)) {
        if Instant::now() >= end {
            return Err(CliError::Refused(
                "your mailbox does not answer: see `kith mailbox show`, then make another code"
                    .into(),
            ));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Goes on with what was begun, or begins with a code; in a folder without a home.
pub(super) fn join(
    global: &Global,
    code: Option<LinkCode>,
    name: Option<String>,
    mail: &MailArguments,
) -> Result<(), CliError> {
    let folder = global.home()?;
    name.as_deref().map(chosen_name).transpose()?;
    let begun = JoiningFile::needs_passphrase(&folder)?;
    if home::exists(&folder) && begun.is_some() {
        // It broke off when the home was there already.
        return settle(global, &folder, &global.passphrase()?);
    }
    home::must_be_free(&folder)?;
    let passphrase = match begun {
        Some(false) => Passphrase::None,
        Some(true) if code.is_none() => global.joining_passphrase()?,
        Some(true) | None => global.new_passphrase()?,
    };
    let new = |code| {
        let name = name.unwrap_or_else(device::computer);
        MailJoiner::new(code, &name, None, wall_clock(), &mut OsRandom::new())
    };
    let (file, mut joiner) = begin(&folder, &passphrase, code, new)?;
    let Some(account) = converse(global, &file, &mut joiner, mail, JOIN_AGAIN)? else {
        return Ok(());
    };
    let ((device, authority), _) = parts(joiner)?;
    let joined = Joined { account, device, authority };
    home::create_joined(&folder, &passphrase, PasswordCost::MODERATE, joined, "")?;
    settle(global, &folder, &passphrase)
}

const JOIN_AGAIN: &str = "`kith device join`";

/// The home is there: its node gets what it needs to go on.
fn settle(global: &Global, folder: &Path, passphrase: &Passphrase) -> Result<(), CliError> {
    let keys = home::unlock(folder, passphrase)?;
    let answer = device::describe(&keys);
    if let Some((_, kept)) = JoiningFile::open(folder, passphrase)? {
        let joiner = MailJoiner::load(&kept).map_err(anyhow::Error::from)?;
        let addresses = joiner.code().addresses.clone();
        let (_, came) = parts(joiner)?;
        let wishes = vec![Wish::LookForOwn(addresses), Wish::ComeByMail(Box::new(came))];
        device::first_decision(folder, keys, wishes)?;
    }
    JoiningFile::erase(folder)?;
    show::answer(global.json, &answer, |answer| {
        show::line("This device belongs to this account now:");
        show::field(answer, "account");
        show::advice("Start it with `kith`: your contacts and messages come through the mailbox.");
        show::line("Where they are many, both devices must be started some more times in turn.");
    });
    Ok(())
}

/// What was begun, unless another code is given.
pub(super) fn begin<E: std::error::Error + Send + Sync + 'static>(
    folder: &Path,
    passphrase: &Passphrase,
    code: Option<LinkCode>,
    new: impl FnOnce(LinkCode) -> Result<MailJoiner, E>,
) -> Result<(JoiningFile, MailJoiner), CliError> {
    let kept = match JoiningFile::open(folder, passphrase) {
        // Whoever begins anew chooses anew.
        Err(home::HomeError::WrongPassphrase) if code.is_some() => None,
        kept => kept?,
    };
    if let Some((file, kept)) = kept {
        let joiner = MailJoiner::load(&kept).map_err(anyhow::Error::from)?;
        if code.as_ref().is_none_or(|code| code == joiner.code()) {
            return Ok((file, joiner));
        }
    }
    let Some(code) = code else {
        return Err(CliError::Refused(
            "nothing was begun here: give the code that `kith device link --by-mail` has printed"
                .into(),
        ));
    };
    let joiner = new(code).map_err(anyhow::Error::from)?;
    let file = JoiningFile::begin(folder, passphrase, PasswordCost::MODERATE)?;
    Ok((file, joiner))
}

/// Speaks with the other device, as far as it gets now. Returns the account if that has taken this
/// device in; else the person was told what to do.
pub(super) fn converse(
    global: &Global,
    file: &JoiningFile,
    joiner: &mut MailJoiner,
    mail: &MailArguments,
    again: &str,
) -> Result<Option<Account>, CliError> {
    let json = global.json;
    show::working(json, "Asking the mailbox of the code");
    let config = MailConfig { more_roots: mail.mailbox_ca.clone(), takes_private: true };
    let reach = Arc::new(Reach::new(&config)?);
    let mut keep = |joiner: &MailJoiner| Ok(file.save(&joiner.save()?)?);
    let mut shown = joiner.check().map(str::to_owned);
    let told = |progress: join::Progress<'_>| {
        // Who has seen it before sees it at the end again.
        if let join::Progress::Compare(check) = progress
            && shown.as_deref() != Some(check)
        {
            shown = Some(check.to_owned());
            device::tell(json, progress);
        }
    };
    let outcome = super::runtime()?.block_on(join::join_by_mail(joiner, reach, &mut keep, told))?;
    match outcome {
        Outcome::Joined(account) => Ok(Some(*account)),
        Outcome::Waiting { check } => {
            let document = json!({ "waiting": true, "check": check });
            show::answer(json, &document, |_| waits(check.as_deref(), again));
            Ok(None)
        }
    }
}

/// Says what a person does next.
fn waits(check: Option<&str>, again: &str) {
    match check {
        None => {
            show::line("This device has left its request in the mailbox. Now start the other");
            show::line("device for a minute, and then this one again, with");
            show::advice(&format!("{again} (without the code): it shows a number then."));
        }
        Some(check) => {
            show::line(&format!("This device shows the number {check}. Write it down, start the"));
            show::line("other device, and compare it with `kith device pending` there. If it is");
            show::line(&format!("the same, confirm there: kith device confirm {check}"));
            show::advice(&format!(
                "Then start this device again, with {again} (without the code)."
            ));
        }
    }
}

/// Keys, and with what the device goes on.
pub(super) fn parts(
    joiner: MailJoiner,
) -> Result<((SigningKey, SigningKey), CameByMail), CliError> {
    let none = || CliError::Refused("this device was not taken in yet: start the other one".into());
    joiner.into_parts().ok_or_else(none)
}
