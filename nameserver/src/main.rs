//! The Kith nameserver: binds user@host to an account. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run("nameserver").await
}
