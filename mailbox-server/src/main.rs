//! The Kith mailbox-server: keeps undelivered ciphertext for a short time. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run("mailbox-server").await
}
