//! How is a key opened for one action? With the passphrase, one at a time, and dropped after it.

use std::{path::Path, time::Duration};

use axum::http::StatusCode;
use kith_common::keys::SigningKey;
use zeroize::Zeroizing;

use super::{ApiError, ApiState};
use crate::home::{self, HomeError, Passphrase};

/// Pause after a wrong passphrase, before anybody may try again.
const WRONG_PAUSE: Duration = Duration::from_secs(1);

/// The key that signs account operations; none but its caller has it.
pub(super) async fn authority(
    state: &ApiState,
    passphrase: String,
) -> Result<SigningKey, ApiError> {
    with_passphrase(state, passphrase, home::authority).await
}

/// Does something with the home and its passphrase. Hashing takes a second and a lot of memory, so
/// one waits for the other, also if nobody waits for the answer any more.
pub(super) async fn with_passphrase<T: Send + 'static>(
    state: &ApiState,
    passphrase: String,
    act: impl FnOnce(&Path, &Passphrase) -> Result<T, HomeError> + Send + 'static,
) -> Result<T, ApiError> {
    let passphrase = if passphrase.is_empty() {
        Passphrase::None
    } else {
        Passphrase::Given(Zeroizing::new(passphrase))
    };
    let turn = state.unlocking.clone();
    let home = state.home.clone();
    let work = tokio::spawn(async move {
        let turn = turn.lock_owned().await;
        let done = tokio::task::spawn_blocking(move || act(&home, &passphrase)).await;
        if matches!(done, Ok(Err(HomeError::WrongPassphrase))) {
            tokio::spawn(async move {
                tokio::time::sleep(WRONG_PAUSE).await;
                drop(turn);
            });
        }
        done
    });
    let done = work.await.map_err(|_| internal())?.map_err(|_| internal())?;
    Ok(done?)
}

fn internal() -> ApiError {
    let message = "this did not work: look at the node's log";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}
