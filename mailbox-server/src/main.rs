//! The Kith mailbox-server: keeps undelivered ciphertext for a short time. So far its frame.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run_idle(kith_server::Service {
        name: "mailbox-server",
        about: "Opt-in Kith service: keeps undelivered ciphertext for a short time",
        listen: "127.0.0.1:8448",
        health: "127.0.0.1:9448",
        secrets: &[],
    })
    .await
}
