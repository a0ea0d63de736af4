//! How is something decided while the node does not run? Its engine is opened once, without a network.

use std::path::Path;

use kith_common::{
    account::{Account, Standing, Untrust},
    keys::SigningKey,
    time::Uptime,
};
use kith_core::engine::{
    Command, CommandError, CommandId, Context, Engine, Identity, Input, Output,
};

use crate::{
    clock::wall_clock,
    home::{self, HomeError, Passphrase, UnlockedKeys},
    random::OsRandom,
    sqlite::SqliteStore,
};

/// Has a home's engine carry out what follows from its account. Returns the account afterwards.
///
/// # Errors
/// If the store does not open (the node runs), or a command is refused: then nothing is changed.
pub fn decide(
    folder: &Path,
    keys: UnlockedKeys,
    commands: impl FnOnce(&Engine) -> anyhow::Result<Vec<Command>>,
) -> anyhow::Result<Account> {
    let _held = home::hold(folder)?;
    let UnlockedKeys { device, master, account, name } = keys;
    let mut store = SqliteStore::open(&home::database(folder), &master)?;
    store.begin()?;
    let mut out = Vec::new();
    let mut rng = OsRandom::new();
    let (now, uptime) = (wall_clock(), Uptime::from_millis(0));
    let mut cx = Context { now, uptime, rng: &mut rng, store: &mut store, out: &mut out };
    let mut engine = Engine::open(Identity { account, device }, &name, &mut cx)?;
    for command in commands(&engine)? {
        engine.handle(&mut cx, Input::Command { id: CommandId(0), command })?;
        refused(cx.out)?;
    }
    store.commit()?;
    Ok(engine.identity().account.clone())
}

fn refused(out: &mut Vec<Output>) -> Result<(), CommandError> {
    for output in out.drain(..) {
        if let Output::Answered { result: Err(error), .. } = output {
            return Err(error);
        }
    }
    Ok(())
}

/// What came of an answer to those who cut this device off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contested {
    /// It stands; nobody accuses it any more.
    Stands,
    /// It is word against word: frozen until a quorum or the recovery key decides.
    Disputed,
}

/// Answers those who cut this device off by one voice, and takes the lock from the home.
///
/// # Errors
/// If the keys do not open, the node runs, or the device has no vote or is out for good.
pub fn contest(folder: &Path, passphrase: &Passphrase) -> anyhow::Result<Contested> {
    let authority = home::authority(folder, passphrase)?;
    let keys = home::unlock(folder, passphrase)?;
    let me = keys.device.device();
    let account = decide(folder, keys, |engine| {
        let accusers = engine.identity().account.votes().iter().filter(|vote| vote.about == me);
        let answer = |device| Command::Untrust {
            device,
            why: Untrust::Stolen,
            since: None,
            authority: authority.expose_seed(SigningKey::from_seed),
        };
        Ok(accusers.map(|vote| answer(vote.by)).collect())
    })?;
    let came_of_it = match account.standing(me) {
        Some(Standing::Settled | Standing::Added) => Contested::Stands,
        Some(Standing::Disputed) => Contested::Disputed,
        Some(Standing::Former(former)) if !former.is_final => anyhow::bail!(
            "this device has no vote of its own: the device that took it in must answer, or the \
             recovery words decide (`kith account recover`)"
        ),
        Some(Standing::Former(_)) | None => {
            home::erase(folder)?;
            return Err(HomeError::Erased.into());
        }
    };
    home::take_back(folder)?;
    Ok(came_of_it)
}
