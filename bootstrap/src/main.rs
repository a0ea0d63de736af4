//! The Kith bootstrap: lets devices find each other. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run_idle(kith_server::Service {
        name: "bootstrap",
        about: "Opt-in Kith service: helps nodes find each other",
        listen: "127.0.0.1:8451",
        health: "127.0.0.1:9451",
        secrets: &[],
    })
    .await
}
