//! What goes wrong in a store: the client's fault, or our surroundings.

use std::sync::atomic::{AtomicU64, Ordering};

use kith_common::service::{Code, Failure};
use thiserror::Error;

/// Why a store did not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The embedded database failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL failed.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection to PostgreSQL could be had.
    #[error("PostgreSQL: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// More waits for the store than it can take, or it has stopped.
    #[error("the store has too much to do")]
    Busy,
    /// A later version of this program has changed the tables.
    #[error("it was written by a newer mailbox-server: run that one")]
    Newer,
    /// A stored value is outside its range.
    #[error("the database holds a value that was never written: {0}")]
    Stored(&'static str),
}

impl From<Code> for StoreError {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl StoreError {
    /// What the client is told; what is our own trouble goes to the log.
    pub fn failure(self) -> Failure {
        match self {
            Self::Refused(failure) => failure,
            // The message of a database can hold values of a row; its kind cannot.
            Self::Sqlite(error) => {
                tracing::error!(code = ?error.sqlite_error_code(), "the database failed");
                Code::Unavailable.into()
            }
            Self::Postgres(error) => {
                tracing::error!(
                    code = error.code().map_or("", |code| code.code()),
                    "PostgreSQL failed"
                );
                Code::Unavailable.into()
            }
            Self::Pool(_) => {
                if is_first_of_its_minute() {
                    tracing::error!("no connection to PostgreSQL could be had");
                }
                Code::Unavailable.into()
            }
            Self::Busy => Code::Unavailable.into(),
            Self::Newer => Code::Unavailable.into(),
            Self::Stored(what) => {
                tracing::error!(what, "the database holds a value that was never written");
                Code::Unavailable.into()
            }
        }
    }
}

/// Whether nothing of the sort was logged in this minute.
fn is_first_of_its_minute() -> bool {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let minute = kith_server::now().millis() / 60_000;
    LAST.swap(minute, Ordering::Relaxed) != minute
}
