//! Who may ask? The guard before every path, sessions of the page, and the key of programs.
//!
//! Other pages in the same browser must not reach the API: the host must be exactly ours (against
//! DNS rebinding), a foreign or same-site origin is refused (cookies ignore ports), and changes
//! need a value that only our page has read.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{AppendHeaders, IntoResponse, Response},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kith_common::{keys::Secret, share::SharedId};

use super::{
    ApiError, ApiState,
    error::{Body, Query, RefusedAs},
    types::{Launch, OpenSession, Proof, ProofQuery, SessionInfo, hex},
};
use crate::{proof, random::OsRandom};

/// Sessions of the page at one time; the oldest gives way.
const SESSIONS_MAX: usize = 16;
/// One-time tokens that may be open at one time.
const TOKENS_MAX: usize = 8;
/// Life of a one-time token.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// Who is let in: the programs' key, open one-time tokens, and the page's sessions.
#[derive(Debug)]
pub struct Sessions {
    key: Secret<32>,
    tokens: VecDeque<(Secret<32>, Instant)>,
    open: VecDeque<PageSession>,
}

#[derive(Debug)]
struct PageSession {
    id: Secret<32>,
    csrf: Secret<32>,
}

impl Sessions {
    /// Nobody is in yet; programs come in with a new key.
    pub fn new() -> Self {
        Self {
            key: Secret::random(&mut OsRandom::new()),
            tokens: VecDeque::new(),
            open: VecDeque::new(),
        }
    }

    /// The programs' key as text.
    pub fn key(&self) -> String {
        text(&self.key)
    }

    /// A fresh one-time token as text.
    pub fn issue(&mut self) -> String {
        let token = Secret::random(&mut OsRandom::new());
        let shown = text(&token);
        self.tokens.push_back((token, Instant::now() + TOKEN_LIFE));
        while self.tokens.len() > TOKENS_MAX {
            self.tokens.pop_front();
        }
        shown
    }

    fn redeem(&mut self, token: &str) -> Option<(String, String)> {
        let now = Instant::now();
        let given = secret(token)?;
        let at = self.tokens.iter().position(|(open, end)| *open == given && *end > now)?;
        self.tokens.remove(at);
        let session = PageSession {
            id: Secret::random(&mut OsRandom::new()),
            csrf: Secret::random(&mut OsRandom::new()),
        };
        let shown = (text(&session.id), text(&session.csrf));
        self.open.push_back(session);
        while self.open.len() > SESSIONS_MAX {
            self.open.pop_front();
        }
        Some(shown)
    }

    fn find(&self, id: &str) -> Option<&PageSession> {
        let given = secret(id)?;
        self.open.iter().find(|session| session.id == given)
    }

    fn is_key(&self, given: &str) -> bool {
        secret(given).is_some_and(|given| given == self.key)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}

fn text(secret: &Secret<32>) -> String {
    secret.expose(|bytes| BASE64URL_NOPAD.encode(bytes))
}

/// A key or token from its text.
pub(crate) fn secret(text: &str) -> Option<Secret<32>> {
    Secret::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?)
}

/// Lets through what comes from our page or a program that holds the key, and counts what is
/// refused here or further in for the way it was asked.
pub(super) async fn guard(
    State(state): State<Arc<ApiState>>,
    request: Request,
    next: Next,
) -> Response {
    let response = match check(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            ApiError::new(refusal.status, refusal.name, refusal.message).into_response()
        }
    };
    if let Some(RefusedAs(code)) = response.extensions().get()
        && code.starts_with("api_")
    {
        state.count_refusal(code);
    }
    response
}

struct Refusal {
    status: StatusCode,
    name: &'static str,
    message: &'static str,
}

const FOREIGN_HOST: Refusal = Refusal {
    status: StatusCode::MISDIRECTED_REQUEST,
    name: "api_foreign_host",
    message: "this address is not the node's: open the one that `kith` printed",
};
const FOREIGN_ORIGIN: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    name: "api_foreign_origin",
    message: "another page asked for this: only the node's own page may",
};
const NO_SESSION: Refusal = Refusal {
    status: StatusCode::UNAUTHORIZED,
    name: "api_no_session",
    message: "nobody is signed in here: open the address that `kith` printed, or run `kith web`",
};
const NO_CSRF: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    name: "api_no_csrf",
    message: "the page is out of date: reload it",
};

fn check(state: &ApiState, request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = single(headers, header::HOST.as_str()).ok_or(FOREIGN_HOST)?;
    let ours = |name: &str| {
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|host| *name == format!("{host}:{}", state.port))
    };
    if !ours(host) || request.uri().authority().is_some_and(|at| !ours(at.as_str())) {
        return Err(FOREIGN_HOST);
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = single(headers, header::ORIGIN.as_str());
        let own = origin.and_then(|origin| origin.strip_prefix("http://"));
        if own != Some(host) {
            return Err(FOREIGN_ORIGIN);
        }
    }
    if headers.contains_key("sec-fetch-site")
        && !matches!(single(headers, "sec-fetch-site"), Some("same-origin" | "none"))
    {
        return Err(FOREIGN_ORIGIN);
    }
    let path = request.uri().path();
    let opens_session = path == "/api/session" && request.method() == Method::POST;
    let asks_proof = path == "/api/proof" && request.method() == Method::GET;
    if !path.starts_with("/api/") || opens_session || asks_proof {
        return Ok(());
    }
    admit(state, request)
}

/// A program with the key, or the page with its session.
fn admit(state: &ApiState, request: &Request) -> Result<(), Refusal> {
    let sessions = state.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let headers = request.headers();
    if let Some(given) = single(headers, header::AUTHORIZATION.as_str()) {
        let key = given.strip_prefix("Bearer ").ok_or(NO_SESSION)?;
        return if sessions.is_key(key) { Ok(()) } else { Err(NO_SESSION) };
    }
    let id = cookie(headers, state.port).ok_or(NO_SESSION)?;
    let session = sessions.find(id).ok_or(NO_SESSION)?;
    if request.uri().path() == "/api/launch" {
        return Err(NO_SESSION);
    }
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return Ok(());
    }
    let csrf = single(headers, "x-csrf").and_then(secret).ok_or(NO_CSRF)?;
    if csrf == session.csrf { Ok(()) } else { Err(NO_CSRF) }
}

/// The value of a header that stands there exactly once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Cookies ignore ports, so ours carries the port in its name.
fn cookie(headers: &HeaderMap, port: u16) -> Option<&str> {
    let name = format!("s{port}");
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .filter_map(|pair| pair.split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// Shows that this is the node of its home, without any key: ask before you send the key. The
/// answer is right if it is BLAKE2b-256 of `kith/api-proof/1` and the nonce, keyed with the 32
/// bytes that `key` in `api.json` stands for (base64url).
#[utoipa::path(get, path = "/api/proof", params(ProofQuery),
    responses((status = 200, body = Proof), (status = 400, body = super::error::ErrorBody)))]
pub(super) async fn prove(
    State(state): State<Arc<ApiState>>,
    Query(query): Query<ProofQuery>,
) -> Result<Json<Proof>, ApiError> {
    let nonce = HEXLOWER.decode(query.nonce.as_bytes()).ok().and_then(|raw| raw.try_into().ok());
    let nonce = nonce.ok_or_else(|| {
        let message = "the nonce is not 32 bytes: send 64 lower-case hexadecimal digits";
        ApiError::bad_request("api_bad_query", message)
    })?;
    let sessions = state.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Json(Proof { proof: hex(&proof::of(&sessions.key, &nonce)) }))
}

/// Opens a session of the page with a one-time token.
#[utoipa::path(post, path = "/api/session", request_body = OpenSession,
    responses((status = 200, body = SessionInfo), (status = 401, body = super::error::ErrorBody)))]
pub(super) async fn open_session(
    State(state): State<Arc<ApiState>>,
    Body(body): Body<OpenSession>,
) -> Result<Response, ApiError> {
    let redeemed = {
        let mut sessions = state.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.redeem(&body.token)
    };
    let Some((id, csrf)) = redeemed else {
        let message = "this address was used already or is too old: run `kith web` for a new one";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "api_bad_token", message));
    };
    let cookie = format!("s{}={id}; HttpOnly; SameSite=Strict; Path=/", state.port);
    let info = session_info(&state, csrf).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(info)).into_response())
}

/// The session that the page has.
#[utoipa::path(get, path = "/api/session", responses((status = 200, body = SessionInfo)))]
pub(super) async fn session(
    State(state): State<Arc<ApiState>>,
    headers: HeaderMap,
) -> Result<Json<SessionInfo>, ApiError> {
    let csrf = {
        let sessions = state.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = cookie(&headers, state.port).and_then(|id| sessions.find(id));
        session.map(|session| text(&session.csrf))
    };
    session_info(&state, csrf.unwrap_or_default()).await.map(Json)
}

async fn session_info(state: &ApiState, csrf: String) -> Result<SessionInfo, ApiError> {
    let card = state.node.ask(|engine, _| engine.card()).await?;
    Ok(SessionInfo { csrf, account: SharedId::of(&card.account).encode(), name: card.name })
}

/// A fresh one-time address of the page; for programs with the key.
#[utoipa::path(post, path = "/api/launch", responses((status = 200, body = Launch)))]
pub(super) async fn launch(State(state): State<Arc<ApiState>>) -> Json<Launch> {
    Json(Launch { web: launch_address(&state) })
}

/// The address that opens the page once.
pub(crate) fn launch_address(state: &ApiState) -> String {
    let token = state.sessions.lock().unwrap_or_else(PoisonError::into_inner).issue();
    format!("http://127.0.0.1:{}/#t={token}", state.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_one_session() {
        let mut sessions = Sessions::new();
        let token = sessions.issue();
        let (id, _) = sessions.redeem(&token).unwrap();
        assert!(sessions.redeem(&token).is_none());
        assert!(sessions.find(&id).is_some());
        assert!(sessions.find(&token).is_none());
    }

    #[test]
    fn sessions_and_tokens_are_bounded() {
        let mut sessions = Sessions::new();
        let first = sessions.issue();
        for _ in 0..TOKENS_MAX {
            sessions.issue();
        }
        assert!(sessions.redeem(&first).is_none());
        for _ in 0..100 {
            let token = sessions.issue();
            sessions.redeem(&token).unwrap();
        }
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
    }

    #[test]
    fn only_the_key_is_the_key() {
        let sessions = Sessions::new();
        assert!(sessions.is_key(&sessions.key()));
        assert!(!sessions.is_key("AAAA"));
        assert!(!sessions.is_key(&Sessions::new().key()));
    }
}
