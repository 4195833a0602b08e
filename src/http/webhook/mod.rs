//! What others send: signals, and words about capacity.
//!
//! One file for each body format ([`signals`], [`alerts`], [`capacity`]); `json` reads them strictly.
//! Whatever is sent is valid as a whole or refused as a whole; it is durable in the store
//! before the sender hears 202; then the group's loop is nudged, and the nudge carries
//! nothing. A request never reaches the cloud and decides nothing.
//!
//! A sender that did not hear an answer sends again. With an `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header-07), or an `id` on each sample, the
//! repetition changes nothing.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::App;
use super::api::ordered;
use super::auth::Caller;
use super::error::{Kind, Problem};
use super::trouble::Asked;
use crate::control::handle::GroupHandle;
use crate::domain;
use crate::domain::alert;
use crate::domain::count::Bounds;
use crate::domain::explain;
use crate::domain::group::GroupState;
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::Now;
use crate::killpoint;
use crate::store::{Admit, Admitted, IdempotencyKey, What};

pub mod adopt;
pub mod alerts;
pub mod capacity;
mod json;
pub mod pause;
mod plain;
mod several;
pub mod signals;

/// The header by which a sender marks a repetition.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key that is kept.
pub(super) const KEY_MOST: usize = 255;

/// The sender's mark of a repetition, if it sent one.
pub(super) fn sent_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let keys: Vec<_> = headers.get_all(IDEMPOTENCY_KEY).iter().collect();
    let key = match keys.as_slice() {
        [] => return Ok(None),
        [one] => one.to_str().ok().filter(|k| !k.trim().is_empty() && k.len() <= KEY_MOST),
        _ => None,
    };
    let rule = format!("one Idempotency-Key of 1 to {KEY_MOST} printable characters");
    let many = || Problem::new(Kind::BadKey, format!("a request carries at most {rule}"));
    key.map(Some).ok_or_else(many)
}

/// The sender's key, bound to exactly this request.
pub(super) fn idempotency_key(
    headers: &HeaderMap,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(key) = sent_key(headers)? else { return Ok(None) };
    let mut digest = Sha256::new();
    for part in [method.as_str().as_bytes(), uri.path().as_bytes(), body] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    Ok(Some(IdempotencyKey { key: key.to_owned(), digest: digest.finalize().into() }))
}

/// Makes it durable, then nudges the loop.
pub(super) async fn admit(
    app: &App,
    group: &GroupHandle,
    what: What,
    key: Option<IdempotencyKey>,
    at: Now,
) -> Result<Admitted, Problem> {
    let admit = Admit { group: group.group.name.clone(), what, key, at };
    killpoint::reached("admit.taken");
    let admitted = app.store().admit(app.lease(), admit).await;
    let admitted = app.stored(&group.group.name, Asked::Keep, admitted)?;
    killpoint::reached("admit.kept");
    let (Admitted::Stored { state, .. } | Admitted::Repeated { state }) = &admitted;
    app.crowds().tell(&group.group.name, &state.alerts);
    group.nudge();
    Ok(admitted)
}

/// What a command came to.
#[derive(Debug, Serialize)]
struct Answer {
    group: String,
    /// The base now; where none was ordered, the min that stands for it.
    base: u32,
    /// What the next look will make of it; absent if that could not be said in time.
    desired: Option<u32>,
    sentence: String,
    /// The same key and body came before: nothing was changed.
    repeated: bool,
    /// What the sender should know, as that nothing follows its alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// How long an answer waits for the preview that its sentence is made from.
const PREVIEW_WITHIN: Duration = Duration::from_secs(1);

/// Carries a command out: stored, nudged, answered in a sentence.
pub(super) async fn order(
    app: &App,
    group: &GroupHandle,
    caller: &Caller,
    asked: (Command, Option<String>),
    key: Option<IdempotencyKey>,
    now: Now,
) -> Result<Response, Problem> {
    let (command, reason) = asked;
    let vain = vain(app, group, &command, now).await?;
    let told = explain::order(&command, reason.as_deref(), now);
    let order = Ordered { command: command.clone(), at: now, by: caller.name(), reason };
    let bounds = bounds(app, group, now).await?;
    let what = What::Command(order, bounds);
    let (state, fresh, repeated) = match admit(app, group, what, key, now).await? {
        Admitted::Stored { state, fresh } => (state, fresh > 0, false),
        Admitted::Repeated { state } => (state, false, true),
    };
    if fresh {
        tracing::info!(group = %group.group.name, by = caller.name(), "told: {told}");
    }
    let (desired, sentence) = said(group, &command, &state).await;
    let sentence = vain.filter(|_| !repeated).unwrap_or(sentence);
    let name = group.group.name.to_string();
    let base = state.base.unwrap_or_else(|| bounds.floor());
    let alerts = if let Command::Alerts { alerts } = &command { alerts.as_slice() } else { &[] };
    let crowded = alert::crowded(&state.alerts, alerts);
    let notes = [alerts::unread(&group.group, alerts), alerts::crowded(&group.group.name, crowded)];
    let note = notes.into_iter().flatten().reduce(|one, other| format!("{one}; {other}"));
    let answer = Answer { group: name, base, desired, sentence, repeated, note };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// The bounds in force, by the clock that the group's schedules go by.
pub(super) async fn bounds(app: &App, group: &GroupHandle, now: Now) -> Result<Bounds, Problem> {
    if group.group.schedules.is_empty() {
        return Ok(group.group.bounds);
    }
    let pauses = ordered(app, group, now).await?.pauses;
    Ok(group.group.bounds_at(domain::pause::schedule_clock(&pauses, now)))
}

/// What to say of a command that has nothing to end.
async fn vain(
    app: &App,
    group: &GroupHandle,
    command: &Command,
    now: Now,
) -> Result<Option<String>, Problem> {
    if !matches!(command, Command::Release { .. } | Command::Unpin | Command::Resume { .. }) {
        return Ok(None);
    }
    Ok(explain::vain(command, &ordered(app, group, now).await?, now))
}

async fn said(group: &GroupHandle, command: &Command, state: &GroupState) -> (Option<u32>, String) {
    match timeout(PREVIEW_WITHIN, group.preview()).await {
        Ok(Ok(decision)) => (Some(decision.desired), explain::answer(command, state, &decision)),
        Ok(Err(_)) | Err(_) => {
            (None, "it is stored, and counts from the next look at the group on".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(values: &[&[u8]], path: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        idempotency_key(&headers, &Method::POST, &path.parse().unwrap(), body)
    }

    #[test]
    fn a_key_is_one_and_printable() {
        assert_eq!(key(&[], "/", b"").unwrap(), None);
        assert!(key(&[&[b'k'; 255]], "/", b"").unwrap().is_some());
        let bad: [&[&[u8]]; 5] = [&[b""], &[b"  "], &[&[b'k'; 256]], &[b"a", b"a"], &[b"\xff"]];
        for values in bad {
            assert_eq!(key(values, "/", b"").unwrap_err().kind, Kind::BadKey, "{values:?}");
        }
    }

    #[test]
    fn a_key_is_bound_to_path_and_body() {
        let digest = |path, body| key(&[b"k"], path, body).unwrap().unwrap().digest;
        assert_eq!(digest("/a", b"x"), digest("/a", b"x"));
        assert_ne!(digest("/a", b"x"), digest("/b", b"x"));
        assert_ne!(digest("/a", b"x"), digest("/a", b"y"));
        assert_ne!(digest("/ab", b"c"), digest("/a", b"bc"));
    }
}
