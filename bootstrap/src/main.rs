//! The Kith bootstrap: lets nodes find each other.

use bootstrap::{
    bind,
    config::{SERVICE, USAGE},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    kith_server::run(SERVICE, bind, USAGE).await
}
