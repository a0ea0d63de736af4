//! How does a mailbox-server start?

use std::sync::{Arc, Mutex};

use anyhow::Context;
use kith_server::{Parts, Server, Stop, config::Config, http::Budget};

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
    let stop = Stop::default();
    let store = open_store(&config, &settings).await?;
    let totals = store.totals().await.context("Counting what the store holds")?;
    let state = Arc::new(State {
        store,
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

async fn open_store(config: &Config, settings: &Settings) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(postgres) = &settings.postgres {
        let connecting = Postgres::connect(postgres.expose(), settings.bounds());
        return Ok(Arc::new(connecting.await.context("Connecting to PostgreSQL")?));
    }
    kith_server::make_data_folder(&config.data)?;
    let path = config.data.join("mailbox.sqlite");
    let bounds = settings.bounds();
    let opening = tokio::task::spawn_blocking(move || Sqlite::open(&path, bounds));
    let store = opening.await?.with_context(|| {
        format!("Opening the database in {}: is it another program's?", config.data.display())
    })?;
    Ok(Arc::new(store))
}
