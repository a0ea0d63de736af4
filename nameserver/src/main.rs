//! The Kith nameserver: binds user@host to an account. So far its frame: configuration, health, orderly stop.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run_idle(kith_server::Service {
        name: "nameserver",
        about: "Opt-in Kith service: binds user@host to an account",
        listen: "127.0.0.1:8449",
        health: "127.0.0.1:9449",
        secrets: &[],
    })
    .await
}
