//! The Kith push-server: wakes a device without seeing a message. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run_idle(kith_server::Service {
        name: "push-server",
        about: "Opt-in Kith service: wakes devices",
        listen: "127.0.0.1:8450",
        health: "127.0.0.1:9450",
        secrets: &[],
    })
    .await
}
