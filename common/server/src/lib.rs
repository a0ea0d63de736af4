//! What does every opt-in service share? How it is set up, listens, bounds what is asked, tells its
//! health and stops.
//!
//! Each service is one program with the same flags, see [`config::Config`]. Health is told on a
//! listener of its own, so that it is never exposed with the service by mistake.

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::Path,
    thread::sleep,
    time::{Instant, SystemTime},
};

use anyhow::{Context, bail};
use clap::Args;
use kith_common::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, fmt, prelude::*};

pub mod config;
mod connection;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod nonces;
mod server;
mod throttle;
mod tls;

pub use server::{Health, Idle, Parts, Server, Stop};

use config::{Config, LogFormat, NoSettings, Start};
use limits::{ENDING_TIME_MAX, LOCK_PAUSE};

/// What is fixed about a service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name, as that of its program.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Where it is offered if nothing else is said.
    pub listen: &'static str,
    /// Where health is told if nothing else is said.
    pub health: &'static str,
    /// Settings that are never shown.
    pub secrets: &'static [&'static str],
}

/// Runs a service: reads the command line, starts it, says where it listens, waits for a signal,
/// stops it.
///
/// # Errors
/// If it cannot start or fails.
pub async fn run<C, F>(
    service: Service,
    bind: impl FnOnce(Config, C) -> F,
    usage: &'static str,
) -> anyhow::Result<()>
where
    C: Args + Serialize + DeserializeOwned,
    F: Future<Output = anyhow::Result<Server>>,
{
    let (config, own) = match config::load(&service, std::env::args_os()) {
        Ok(Start::Run(config, own)) => (*config, own),
        Ok(Start::Print(text)) => {
            print!("{text}");
            return Ok(());
        }
        Err(error) => match error.downcast::<clap::Error>() {
            Ok(error) => error.exit(),
            Err(error) => return Err(error),
        },
    };
    start_log(service.name, config.log_format);
    #[cfg(unix)]
    open_all_files_allowed();
    let stopped = stop_signal().context("Waiting for the signal to stop")?;
    let mut server = bind(config, own).await?;
    let (name, url, health) = (service.name, server.url(), server.health_address());
    let lines: String = server.lines().iter().map(|line| format!("{line}\n")).collect();
    // Whoever started it may have closed its end by now; that is no reason to end.
    let _ = write!(
        std::io::stdout(),
        "{name} listens on {url}\nhealth on http://{health}/healthz, /readyz and /metrics\n{lines}{usage}\n"
    );
    tracing::info!(service = service.name, "started");
    tokio::select! {
        ended = server.join() => {
            ended?;
            bail!("the service cannot go on: what it logged says why");
        }
        () = stopped => {}
    }
    server.shutdown().await?;
    tracing::info!(service = service.name, "stopped");
    Ok(())
}

/// Runs a service that has nothing but its frame.
///
/// # Errors
/// As [`run`].
pub async fn run_idle(service: Service) -> anyhow::Result<()> {
    let bind = |config: Config, _: NoSettings| async move {
        // It keeps nothing there yet.
        drop(DataFolder::hold(&config.data)?);
        let parts = Parts {
            router: axum::Router::new(),
            health: std::sync::Arc::new(Idle),
            stop: Stop::default(),
        };
        Server::bind(&config, parts).await
    };
    run(service, bind, "It answers nothing yet.").await
}

/// The folder of a service's data, which is its alone until this is dropped or the process ends.
#[derive(Debug)]
pub struct DataFolder(#[expect(dead_code, reason = "locked for as long as it is open")] File);

impl DataFolder {
    /// Makes the folder if there is none, and takes it; waits for a service that is about to end.
    ///
    /// # Errors
    /// If that is not possible, or another service goes on.
    pub fn hold(folder: &Path) -> anyhow::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .recursive(true)
            .create(folder)
            .with_context(|| format!("Making the data folder {}", folder.display()))?;
        let path = folder.join("running");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("Opening {}", path.display()))?;
        let end = Instant::now() + 2 * ENDING_TIME_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => bail!(
                    "another service uses {}: stop it, or name another folder with --data",
                    folder.display()
                ),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("Locking {}", path.display()));
                }
            }
        }
    }
}

/// What time it is.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Our own lines only: what libraries write may name addresses, and strangers can make them write
/// as much as they like.
fn start_log(name: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let name = name.replace('-', "_");
    let ours = filter_fn(move |line| {
        line.target().starts_with("kith") || line.target().starts_with(name.as_str())
    });
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines.with_filter(ours)).init();
}

/// Each connection is a file to the system, and what a program may open of them is often a thousand
/// until it asks for more.
#[cfg(unix)]
fn open_all_files_allowed() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_err() {
        tracing::warn!("no more files can be opened than the system allows at first");
    }
}

/// Waits for the signal to stop; from the call on, not from the first poll, no signal ends the process.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

#[cfg(test)]
mod tests;
