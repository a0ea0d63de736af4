//! Who may use the TURN server? Whoever shows what was handed out here (spec 23 R8).
//!
//! The server and we share a secret. A user is the time at which it ends and some random bytes; the
//! password is a proof, under the secret, that we handed that out. So the server needs to ask
//! nobody (the "REST API for TURN" of coturn, `use-auth-secret`).

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use kith_server::config::Hidden;
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::TURN_SECONDS;

/// A TURN server, and the secret that it shares with us.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) urls: Vec<String>,
    pub(crate) secret: Hidden,
}

/// What a browser takes as one of its `iceServers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Credentials {
    /// Where the TURN server is.
    urls: Vec<String>,
    /// The time at which this ends in seconds since 1970, a colon, and random bytes.
    username: String,
    /// The proof for it.
    credential: String,
    /// Seconds until it ends.
    seconds: u64,
}

impl Turn {
    /// Credentials of somebody new.
    pub(crate) fn credentials(&self, now_seconds: u64, random: [u8; 8]) -> Credentials {
        let end = now_seconds.saturating_add(TURN_SECONDS);
        let username = format!("{end}:{}", HEXLOWER.encode(&random));
        let secret = self.secret.expose().as_bytes();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
        let credential = BASE64.encode(hmac::sign(&key, username.as_bytes()).as_ref());
        Credentials { urls: self.urls.clone(), username, credential, seconds: TURN_SECONDS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha1 -hmac`.
    #[test]
    fn the_password_is_the_one_that_coturn_computes() {
        let turn = Turn {
            urls: vec!["turn:turn.example:3478".to_owned()],
            secret: "north".parse().unwrap(),
        };
        let credentials = turn.credentials(1_800_000_000, [1, 2, 3, 4, 5, 6, 7, 255]);
        assert_eq!(credentials.username, "1800043200:01020304050607ff");
        assert_eq!(credentials.credential, "29wt5yhbfc2AJyH+SAKK7VnMvp4=");
    }
}
