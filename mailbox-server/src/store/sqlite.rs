//! How are queues kept in one file? Tables under the rules of [`mailbox`](crate::mailbox), and one
//! thread that writes them.
//!
//! [`Tables`] is synchronous and knows neither clock nor threads: the thread of [`Sqlite`] and
//! simulations drive the same code.

mod tables;
mod threads;

pub use tables::{Tables, answer};
pub use threads::Sqlite;
