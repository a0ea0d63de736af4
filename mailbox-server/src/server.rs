//! How does a mailbox-server start?

use std::sync::{Arc, Mutex};

use anyhow::{Context, bail, ensure};
use kith_common::limits::ACCESS_BYTES_MAX;
use kith_server::{DataFolder, Parts, Server, Stop, config::Config, http::Budget};

use crate::{
    config::Settings,
    http,
    metrics::Metrics,
    state::State,
    store::{Store, postgres::Postgres, sqlite::Sqlite},
};

/// Opens the store, listens and begins to answer.
///
/// # Errors
/// If the store cannot be opened or an address is taken.
pub async fn bind(config: Config, settings: Settings) -> anyhow::Result<Server> {
    let word = settings.access.as_ref().map(|word| word.expose().len());
    ensure!(
        word.is_none_or(|bytes| (1..=ACCESS_BYTES_MAX).contains(&bytes)),
        "the access word has 1 to {ACCESS_BYTES_MAX} bytes: choose another one, or leave it out"
    );
    if let Some(name) = config.name.iter().find(|name| name.contains('/')) {
        bail!("{name} is no name of a server: give HOST or HOST:PORT, without https://");
    }
    let stop = Stop::default();
    let (store, _folder) = open_store(&config, &settings).await?;
    let totals = store.totals().await.context("Counting what the store holds")?;
    let state = Arc::new(State {
        store,
        _folder,
        names: config.name.iter().map(|name| name.to_ascii_lowercase()).collect(),
        access: settings.access.clone(),
        bounds: settings.bounds(),
        coming: Budget::default(),
        going: Budget::default(),
        metrics: Metrics::default(),
        stop: stop.clone(),
        totals: Mutex::new(totals),
    });
    stop.spawn(Arc::clone(&state).sweep());
    let router = http::router(Arc::clone(&state));
    Server::bind(&config, Parts { router, health: state, stop }).await
}

async fn open_store(
    config: &Config,
    settings: &Settings,
) -> anyhow::Result<(Arc<dyn Store>, Option<DataFolder>)> {
    if let Some(postgres) = &settings.postgres {
        let connecting = Postgres::connect(postgres.expose(), settings.bounds());
        return Ok((Arc::new(connecting.await.context("Connecting to PostgreSQL")?), None));
    }
    let (data, bounds) = (config.data.clone(), settings.bounds());
    let opening = tokio::task::spawn_blocking(move || {
        let folder = DataFolder::hold(&data)?;
        let path = data.join("mailbox.sqlite");
        let store = Sqlite::open(&path, bounds);
        anyhow::Ok((store.with_context(|| format!("Opening {}", path.display()))?, folder))
    });
    let (store, folder) = opening.await??;
    Ok((Arc::new(store), Some(folder)))
}
