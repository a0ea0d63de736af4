//! What every opt-in service shares: where it listens, how it says that it is well, how it stops.
//!
//! Each service is one program with the same flags. Health is told on a listener of its own, so
//! that it is never exposed with the service by mistake.

use std::{future::Future, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use axum::{Router, routing::get};
use clap::Parser;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Flags that every service understands.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// Folder of the service's data.
    #[arg(long, value_name = "DIR", env = "KITH_DATA", default_value = "data")]
    pub data: PathBuf,
    /// Where `/healthz` and `/readyz` are answered.
    #[arg(long, value_name = "HOST:PORT", env = "KITH_HEALTH", default_value = "127.0.0.1:9090")]
    pub health: SocketAddr,
}

/// The health listener of a service.
#[derive(Debug)]
pub struct Server {
    health: TcpListener,
}

impl Server {
    /// Prepares the data folder and listens.
    ///
    /// # Errors
    /// If the folder cannot be made or the address is taken.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("Making the data folder {}", config.data.display()))?;
        let health = TcpListener::bind(config.health)
            .await
            .with_context(|| format!("Listening on {} for health checks", config.health))?;
        Ok(Self { health })
    }

    /// Where health is told.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn health_address(&self) -> std::io::Result<SocketAddr> {
        self.health.local_addr()
    }

    /// Serves until `shutdown` comes; requests under way are finished.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let router = Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(|| async { "ok" }));
        axum::serve(self.health, router)
            .with_graceful_shutdown(shutdown)
            .await
            .context("Serving health checks")
    }
}

/// Runs a service's frame: logs to standard error, health checks, and an orderly stop.
///
/// # Errors
/// If the service cannot start.
pub async fn run(name: &'static str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config::parse();
    let server = Server::bind(&config).await?;
    tracing::info!(service = name, "started");
    server.serve(stop_signal()).await?;
    tracing::info!(service = name, "stopped");
    Ok(())
}

async fn stop_signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_service_tells_its_health_and_stops() -> anyhow::Result<()> {
        let data = std::env::temp_dir().join(format!("kith-server-{}", std::process::id()));
        let config = Config { data: data.clone(), health: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let server = Server::bind(&config).await?;
        let address = server.health_address()?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        let mut socket = tokio::net::TcpStream::connect(address).await?;
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let _ = stop.send(());
        serving.await??;
        std::fs::remove_dir_all(data)?;
        Ok(())
    }
}
