//! Where can messages wait for this person? The mailboxes that they have chosen.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use futures::future::join_all;
use kith_common::{
    limits::{ACCESS_BYTES_MAX, MAILBOXES_MAX},
    mail::MailboxUrl,
    own::MailboxSetting,
    service::mailbox::Days,
};
use kith_core::{engine::Command, view::MailboxView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    error::{Body, UNSURE_CODE},
};
use crate::driver::NodeHandle;

/// A mailbox that the person has chosen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Mailbox {
    /// Where it is.
    url: String,
    /// Days that it keeps what is put there.
    days: u64,
    /// Queues that are open there.
    queues_open: usize,
    /// Queues that are to be there: one for each contact, and two.
    queues: usize,
    /// What went wrong last and what to do, a sentence about the mailbox; absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl From<MailboxView> for Mailbox {
    fn from(view: MailboxView) -> Self {
        let MailboxView { url, days, queues_open, queues, trouble } = view;
        Self { url, days, queues_open, queues, trouble }
    }
}

/// The mailboxes that the person wants, for all of their devices.
#[derive(Deserialize, ToSchema)]
pub(super) struct Choose {
    /// At most 4; none: have none.
    mailboxes: Vec<Chosen>,
    /// Take them even if one does not answer now, or as no mailbox.
    #[serde(default)]
    force: bool,
}

/// A mailbox that the person wants.
#[derive(Deserialize, ToSchema)]
pub(super) struct Chosen {
    /// `https://` with host and port; `http://` in a network of one's own.
    url: String,
    /// Days that it is to keep what is put there: 1 or 7; absent: as before, 7 for a new one.
    days: Option<u64>,
    /// The word that it wants, at most 64 bytes; absent: as before.
    access: Option<String>,
}

/// The mailboxes that the person has chosen, and how they are.
#[utoipa::path(get, path = "/api/mailboxes", responses((status = 200, body = Vec<Mailbox>)))]
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Mailbox>>, ApiError> {
    let views = state.node.ask(|engine, _| engine.mailboxes()).await?;
    Ok(Json(views.into_iter().map(Mailbox::from).collect()))
}

/// Chooses mailboxes, for all devices of the person. New ones are asked first whether they are
/// mailboxes.
#[utoipa::path(put, path = "/api/mailboxes", request_body = Choose,
    responses((status = 200, body = Vec<Mailbox>)))]
pub(super) async fn choose(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Choose>,
) -> Result<Json<Vec<Mailbox>>, ApiError> {
    let known = state.node.ask(|engine, _| engine.profile().mailboxes.clone()).await?;
    let settings = settings(wanted.mailboxes, &known)?;
    if !wanted.force {
        let is_known = |setting: &&MailboxSetting| {
            known.iter().any(|it| it.url == setting.url && it.access == setting.access)
        };
        let new = settings.iter().filter(|setting| !is_known(setting));
        let asked = join_all(new.map(|setting| check(&state.node, setting))).await;
        asked.into_iter().collect::<Result<(), ApiError>>()?;
    }
    state.node.command(Command::SetMailboxes(settings)).await??;
    list(State(state)).await
}

fn settings(
    wanted: Vec<Chosen>,
    known: &[MailboxSetting],
) -> Result<Vec<MailboxSetting>, ApiError> {
    if wanted.len() > MAILBOXES_MAX {
        return Err(ApiError::bad_request(
            "too_many_mailboxes",
            format!("at most {MAILBOXES_MAX} mailboxes can be chosen: leave some out"),
        ));
    }
    let mut settings: Vec<MailboxSetting> = Vec::with_capacity(wanted.len());
    for Chosen { url, days, access } in wanted {
        let url = MailboxUrl::typed(&url)
            .map_err(|error| ApiError::bad_request("mailbox_url", error.to_string()))?;
        if settings.iter().any(|setting| setting.url == url) {
            let message = format!("{url} is named twice: name it once");
            return Err(ApiError::bad_request("mailbox_twice", message));
        }
        let before = known.iter().find(|setting| setting.url == url);
        let days = match days {
            Some(count) => Days::of_count(count).ok_or_else(|| {
                let message = "a mailbox keeps what is put there for 1 day or 7: say one of them";
                ApiError::bad_request("mailbox_days", message)
            })?,
            None => before.map_or(Days::Seven, |setting| setting.days),
        };
        let access =
            access.or_else(|| before.map(|setting| setting.access.clone())).unwrap_or_default();
        if access.len() > ACCESS_BYTES_MAX {
            let message = format!(
                "an access word has at most {ACCESS_BYTES_MAX} bytes: ask who runs the mailbox for \
                 the right one"
            );
            return Err(ApiError::bad_request("access_too_long", message));
        }
        settings.push(MailboxSetting { url, days, access });
    }
    Ok(settings)
}

/// Whether a mailbox answers there that would take us.
async fn check(node: &NodeHandle, setting: &MailboxSetting) -> Result<(), ApiError> {
    let url = &setting.url;
    let unsure = |why: &str| {
        ApiError::new(StatusCode::CONFLICT, UNSURE_CODE, format!("{url} was not chosen: {why}"))
    };
    match node.ask_mailbox(url).await {
        Err(error) => Err(unsure(&error.to_string())),
        Ok(info) if info.access && setting.access.is_empty() => Err(unsure(
            "it is not open to everybody: ask who runs it for the access word, and give it with --access WORD",
        )),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str) -> Chosen {
        Chosen { url: url.to_owned(), days: None, access: None }
    }

    fn code(wanted: Vec<Chosen>) -> String {
        format!("{:?}", settings(wanted, &[]).unwrap_err())
    }

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        let before = MailboxSetting {
            url: MailboxUrl::parse("https://a.org").unwrap(),
            days: Days::One,
            access: "word".to_owned(),
        };
        let known = std::slice::from_ref(&before);
        assert_eq!(settings(vec![chosen("A.org/")], known).unwrap(), known);
        let new = settings(vec![chosen("b.org")], known).unwrap();
        assert_eq!((new[0].days, new[0].access.as_str()), (Days::Seven, ""));
        let said = Chosen { days: Some(7), access: Some(String::new()), ..chosen("a.org") };
        let new = settings(vec![said], known).unwrap();
        assert_eq!((new[0].days, new[0].access.as_str()), (Days::Seven, ""));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert!(code(vec![chosen("ftp://a.org")]).contains("mailbox_url"));
        assert!(code(vec![chosen("a.org"), chosen("https://A.org:443")]).contains("mailbox_twice"));
        assert!(code((0..5).map(|n| chosen(&format!("{n}.org"))).collect()).contains("too_many"));
        assert!(code(vec![Chosen { days: Some(2), ..chosen("a.org") }]).contains("mailbox_days"));
        let access = Some("x".repeat(ACCESS_BYTES_MAX + 1));
        assert!(code(vec![Chosen { access, ..chosen("a.org") }]).contains("access_too_long"));
    }
}
