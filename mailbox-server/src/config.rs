//! How is a mailbox-server set up?

use clap::Args;
use kith_server::{Service, config::Hidden};
use serde::{Deserialize, Serialize};

use crate::mailbox::Bounds;

/// What is fixed about the service.
pub const SERVICE: Service = Service {
    name: "mailbox-server",
    about: "Opt-in Kith service: keeps undelivered ciphertext for a short time",
    listen: "127.0.0.1:8448",
    health: "127.0.0.1:9448",
    secrets: &["access", "postgres"],
};

/// What is printed at the start.
pub const USAGE: &str = "Choose it in a node with `kith mailbox set URL`, by the address at which others \
                         reach this computer; --help lists the settings, --print-config shows those \
                         in use.";

/// Settings of the mailbox-server.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Word that whoever opens a queue must say; without one everybody may.
    #[arg(long, value_name = "WORD", env = "KITH_ACCESS", hide_env_values = true)]
    pub access: Option<Hidden>,
    /// PostgreSQL instead of a file in the data folder, for several replicas:
    /// "host=db user=kith password=... dbname=kith".
    #[arg(long, value_name = "SETTINGS", env = "KITH_POSTGRES", hide_env_values = true)]
    pub postgres: Option<Hidden>,
    /// Queues in all.
    #[arg(long, value_name = "N", env = "KITH_QUEUES_MAX", default_value_t = 100_000)]
    pub queues_max: u64,
    /// MiB of blobs in all.
    #[arg(long, value_name = "MIB", env = "KITH_MIB_MAX", default_value_t = 10_240)]
    pub mib_max: u64,
    /// Blobs in one queue.
    #[arg(long, value_name = "N", env = "KITH_QUEUE_BLOBS_MAX", default_value_t = 10_000)]
    pub queue_blobs_max: u16,
    /// MiB of blobs in one queue.
    #[arg(long, value_name = "MIB", env = "KITH_QUEUE_MIB_MAX", default_value_t = 64)]
    pub queue_mib_max: u64,
}

impl Settings {
    /// What queues may grow to.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            queues_max: self.queues_max,
            bytes_max: self.mib_max.saturating_mul(1 << 20),
            queue_blobs_max: self.queue_blobs_max.max(1),
            queue_bytes_max: self.queue_mib_max.saturating_mul(1 << 20),
        }
    }
}
