//! The Kith push-server: wakes a device without seeing a message. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run("push-server").await
}
