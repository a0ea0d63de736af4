//! The Kith bootstrap: lets devices find each other. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run("bootstrap").await
}
