//! The Kith mailbox-server: keeps undelivered ciphertext for a short time.

use mailbox_server::{
    bind,
    config::{SERVICE, USAGE},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run(SERVICE, bind, USAGE).await
}
