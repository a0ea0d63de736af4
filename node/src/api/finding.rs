//! How is the person found, and for whom does the node look? Bootstraps, who may find, ids.

use std::sync::Arc;

use axum::{Json, extract::State};
use kith_common::{
    limits::{ADDRESS_BYTES_MAX, BOOTSTRAPS_MAX},
    share::SharedId,
};
use kith_core::engine::Command;
use kith_net::bootstrap::Bootstrap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    error::{Body, Path},
    types::Done,
};

/// How the person is found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Finding {
    /// Bootstraps that the person has chosen, for all of their devices.
    bootstraps: Vec<String>,
    /// Whether strangers who know the id can find the person.
    findable: bool,
    /// Whether contacts learn relayed addresses alone.
    relay_only: bool,
    /// Whether there is any bootstrap, those of the command line and built-in ones included.
    on: bool,
    /// Bootstraps through which others can reach this device now.
    relays: usize,
    /// Servers of the distributed hash table that this device knows.
    servers: u64,
    /// Whether this device keeps records of others.
    serves: bool,
    /// Records of others that it keeps.
    records: u64,
    /// How long its last lookups took that found something, in milliseconds; 64 at most.
    lookups_ms: Vec<u64>,
}

/// What is to change; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChangeFinding {
    /// At most 16: `/ip4/…/udp/…/quic-v1/p2p/…`, `/ip4/…/tcp/…/p2p/…` or `/dnsaddr/HOST`; none: those
    /// that the program was built with.
    #[serde(default)]
    bootstraps: Option<Vec<String>>,
    /// Whether strangers who know the id can find the person.
    #[serde(default)]
    findable: Option<bool>,
    /// Whether contacts learn relayed addresses alone.
    #[serde(default)]
    relay_only: Option<bool>,
}

/// Somebody who is looked for by an id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sought {
    /// The id.
    id: String,
    /// What to call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What is said with the request.
    greeting: String,
}

/// Somebody to look for.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct LookFor {
    /// Their id, `kith1…`.
    id: String,
    /// What to call them, if not what they call themselves.
    #[serde(default)]
    name: Option<String>,
    /// What to say with the request.
    #[serde(default)]
    greeting: Option<String>,
}

/// How the person is found.
#[utoipa::path(get, path = "/api/finding", responses((status = 200, body = Finding)))]
pub(super) async fn show(State(state): State<Arc<ApiState>>) -> Result<Json<Finding>, ApiError> {
    let numbers = state.node.dht_numbers();
    let number = |name: &str| {
        let found = numbers.iter().find(|(known, _)| *known == name);
        found.map(|(_, number)| *number).unwrap_or_default()
    };
    let (servers, records) = (number("dht_servers_known"), number("dht_records_kept"));
    let (serves, relays) = (number("dht_serves") > 0, state.node.relay_count());
    let lookups_ms = state.node.lookups_ms();
    let finding = state.node.ask(move |engine, _| {
        let profile = engine.profile();
        Finding {
            bootstraps: profile.bootstraps.clone(),
            findable: profile.findable,
            relay_only: profile.relay_only,
            on: engine.looks_for_others(),
            relays,
            servers,
            serves,
            records,
            lookups_ms,
        }
    });
    Ok(Json(finding.await?))
}

/// Changes how the person is found, for all of their devices.
#[utoipa::path(put, path = "/api/finding", request_body = ChangeFinding,
    responses((status = 200, body = Finding)))]
pub(super) async fn change(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<ChangeFinding>,
) -> Result<Json<Finding>, ApiError> {
    let bootstraps = wanted.bootstraps.map(checked).transpose()?;
    let commands = [
        wanted.relay_only.map(Command::SetRelayOnly),
        wanted.findable.map(Command::SetFindable),
        bootstraps.map(Command::SetBootstraps),
    ];
    for command in commands.into_iter().flatten() {
        state.node.command(command).await??;
    }
    show(State(state)).await
}

fn checked(wanted: Vec<String>) -> Result<Vec<String>, ApiError> {
    if wanted.len() > BOOTSTRAPS_MAX {
        let message = format!("at most {BOOTSTRAPS_MAX} bootstraps can be chosen: leave some out");
        return Err(ApiError::bad_request("too_many_bootstraps", message));
    }
    let mut checked: Vec<String> = Vec::with_capacity(wanted.len());
    for text in wanted {
        let bootstrap: Bootstrap = text.trim().parse().map_err(|error| {
            let shown: String = text.chars().take(ADDRESS_BYTES_MAX).collect();
            ApiError::bad_request("bad_bootstrap", format!("{shown}: {error}"))
        })?;
        let bootstrap = bootstrap.to_string();
        if !checked.contains(&bootstrap) {
            checked.push(bootstrap);
        }
    }
    Ok(checked)
}

/// For whom the node looks.
#[utoipa::path(get, path = "/api/sought", responses((status = 200, body = Vec<Sought>)))]
pub(super) async fn sought(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Sought>>, ApiError> {
    let list = state.node.ask(|engine, _| {
        let sought = engine.sought().map(|(id, sought)| Sought {
            id: id.encode(),
            name: sought.name.clone(),
            greeting: sought.greeting.clone(),
        });
        sought.collect()
    });
    Ok(Json(list.await?))
}

/// Looks for somebody by an id alone, and asks them to become a contact when they are found.
#[utoipa::path(post, path = "/api/sought", request_body = LookFor,
    responses((status = 200, body = Vec<Sought>)))]
pub(super) async fn look_for(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<LookFor>,
) -> Result<Json<Vec<Sought>>, ApiError> {
    let id = read_id(&wanted.id)?;
    let name = wanted.name.filter(|name| !name.is_empty());
    let greeting = wanted.greeting.unwrap_or_default();
    state.node.command(Command::LookFor { id, name, greeting }).await??;
    sought(State(state)).await
}

/// Looks for somebody no more.
#[utoipa::path(post, path = "/api/sought/{id}/remove", params(("id" = String, Path)),
    responses((status = 200, body = Done)))]
pub(super) async fn stop_looking(
    State(state): State<Arc<ApiState>>,
    Path(id): Path,
) -> Result<Json<Done>, ApiError> {
    state.node.command(Command::StopLooking(read_id(&id)?)).await??;
    Ok(Json(Done {}))
}

fn read_id(text: &str) -> Result<SharedId, ApiError> {
    let text = text.trim();
    SharedId::decode(text.strip_prefix("kith:").unwrap_or(text))
        .map_err(|error| ApiError::bad_request("bad_id", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstraps_are_taken_once_each_and_nothing_else_is() {
        let peer = libp2p::PeerId::random();
        let at = format!("/ip4/192.0.2.1/tcp/8450/p2p/{peer}");
        let named = "/dnsaddr/bootstrap.example.org".to_owned();
        let taken = checked(vec![at.clone(), format!(" {at} "), named.clone()]).unwrap();
        assert_eq!(taken, [at.clone(), named]);
        for wrong in ["", "example.org", "/ip4/192.0.2.1/tcp/8450", "/dnsaddr/"] {
            assert!(checked(vec![wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(checked(vec![at; BOOTSTRAPS_MAX + 1]).is_err());
    }
}
