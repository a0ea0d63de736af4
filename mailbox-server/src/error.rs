//! What goes wrong in a store: the client's fault, or our surroundings.

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
            Self::Pool(_) | Self::Busy => Code::Unavailable.into(),
            Self::Stored(what) => {
                tracing::error!(what, "the database holds a value that was never written");
                Code::Unavailable.into()
            }
        }
    }
}
