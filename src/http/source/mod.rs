//! `POST /v1/webhooks/{source}`: senders that speak a format of their own.
//!
//! A request passes: its source by name → [`door`] (what its headers prove, before a byte of the
//! body is read) → the body, within the source's size → [`door`] again where the body is signed →
//! [`mod@format`] (what it tells) → [`place`] (which groups it is for) → the store. It is answered
//! once all of it is durable. A repetition changes nothing: alerts are told by level, samples are
//! known by their time, messages by their id.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::App;
use super::auth::{Caller, Who};
use super::body;
use super::error::{Kind, Problem};
use super::limit::Peer;
use super::serve::Certificate;
use super::tokens::Scope;
use super::webhook;
use crate::config::source::Format;
use crate::domain::time::spoken;
use crate::telemetry::count;

pub mod door;
pub mod format;
mod handshake;
mod keep;
pub mod keys;
pub mod place;
pub mod told;

use door::{Entry, Shown, Stranger};
use format::{Incoming, Outcome};
use keep::{Keeper, Kept};
use keys::Keyed;
use place::Placed;

/// What became of a payload.
#[derive(Debug, Serialize)]
struct Answer {
    source: String,
    groups: Vec<Told>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// What one group was told.
#[derive(Debug, Serialize)]
struct Told {
    group: String,
    alerts: usize,
    samples: usize,
    orders: usize,
    /// Whether any of it was new.
    fresh: bool,
}

pub(super) async fn post(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // What is no text is no name either.
    let name = name.map(|Path(name)| name).unwrap_or_default();
    answer(&app, &name, None, request).await
}

/// The same where the address ends with a secret.
pub(super) async fn post_with_secret(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let (name, secret) = path.map(|Path(path)| path).unwrap_or_default();
    answer(&app, &name, Some(&secret), request).await
}

async fn answer(app: &App, name: &str, secret: Option<&str>, request: Request) -> Response {
    let Some(keyed) = app.sources().get(name).cloned() else {
        // As costly to guess as a secret.
        let peer = request.extensions().get::<Peer>().copied();
        let too_many = app.senders().failed_sign_in(peer).err();
        return too_many.unwrap_or_else(unknown).into_response();
    };
    let patience = app.settings().limits.request_timeout;
    let headers = request.headers().clone();
    let heard = timeout(patience, hear(app, &keyed, secret, request)).await;
    let heard = heard.unwrap_or_else(|_| {
        Err(Problem::new(Kind::Late, format!("no answer was ready within {}", spoken(patience)))
            .hint("send it again")
            .after(Duration::from_secs(1)))
    });
    let word = if heard.is_ok() { "taken" } else { "refused" };
    app.counters().add(count::SOURCES, &[("source", name), ("result", word)], 1);
    match heard {
        Ok(response) => response,
        Err(problem) => {
            tell_refused(&keyed, &problem);
            let format = keyed.source.format;
            format::refusal(format, &headers, fit(problem, format))
        }
    }
}

/// Says once that a sender who is known is not understood. What was sent is not repeated: a secret in
/// the wrong place need not lie in the log as well.
fn tell_refused(keyed: &Keyed, problem: &Problem) {
    let theirs = [Kind::Malformed, Kind::Invalid, Kind::Limit, Kind::KeyReused];
    if theirs.contains(&problem.kind) && keyed.trouble.news(Some(problem.code())) {
        let (name, code) = (&keyed.source.name, problem.code());
        tracing::warn!(
            "what the source {name} sends is refused ({code}): the answer says why, and so does \
             `novascale source test {name} --payload FILE`"
        );
    }
}

/// Says once what of it does not count, and once that all of it does again.
fn tell_passed(keyed: &Keyed, notes: &[String]) {
    let said = Some(notes.join("; ")).filter(|said| !said.is_empty());
    if !keyed.trouble.news(said.as_deref()) {
        return;
    }
    let name = &keyed.source.name;
    match said {
        Some(said) => tracing::info!("not all that the source {name} sends counts: {said}"),
        None => tracing::info!("what the source {name} sends counts"),
    }
}

fn unknown() -> Problem {
    Problem::new(Kind::NoRoute, "there is no such source")
        .hint("sources stand in scaling.toml as [source.NAME]")
}

/// The problem with the status that makes this sender come again, where it should.
fn fit(mut problem: Problem, format: Format) -> Problem {
    if !format.drops_on_4xx() {
        return problem;
    }
    // That a body comes slowly is the network's fault, and the next time it may not.
    let instead = [(Kind::TooFast, Kind::Overloaded), (Kind::SlowBody, Kind::Late)];
    if let Some((_, kind)) = instead.into_iter().find(|(kind, _)| *kind == problem.kind) {
        problem.kind = kind;
    }
    problem
}

/// All that is done for one request.
async fn hear(
    app: &App,
    keyed: &Keyed,
    secret: Option<&str>,
    request: Request,
) -> Result<Response, Problem> {
    let source = &keyed.source;
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let now = app.now();
    let caller = Caller { who: Who::Source(source.name.clone()), peer };
    let certificate = parts.extensions.get::<Certificate>().cloned().unwrap_or_default().0;
    let shown =
        Shown { headers: &parts.headers, url: secret, certificate: &certificate, wall: now.wall };
    if let Some(answered) = handshake::answer(app, keyed, &shown, &parts) {
        return answered;
    }
    let entry = enter(app, keyed, &shown, peer)?;
    if matches!(entry, Entry::Known) {
        charge(app, source.format, &caller)?;
    }
    // Metrics are compressed as their protocols have it.
    if !source.format.measures() {
        body::is_plain(&parts.headers)?;
    }
    let limits = &app.settings().limits;
    // Whoever made up a signature is not to hold the places of those who are known.
    let unproven = match &entry {
        Entry::Known => None,
        Entry::Signed(_) => Some(app.unproven().try_acquire().map_err(|_| crowded())?),
    };
    let body = body::read(&parts.headers, body, source.body_bytes, limits.request_timeout).await?;
    let repeats = match entry {
        Entry::Known => None,
        Entry::Signed(promises) => {
            let Some(signed) = promises.iter().find(|signed| signed.holds(&body)) else {
                return Err(stranger(app, keyed, Stranger::Wrong, peer));
            };
            // Not before: who forges would use up what its sender may send.
            charge(app, source.format, &caller)?;
            signed.repeats()
        }
    };
    drop(unproven);
    let query = parts.uri.query().unwrap_or_default();
    let incoming = Incoming { source, headers: &parts.headers, query, body: &body, now };
    let payload = format::read(&incoming)?;
    let handle = app.handle();
    let known = |name: &str| handle.group(name).is_some();
    let mut placed = place::place(source, payload, &known, now)?;
    let weight = placed.groups.values().map(|words| words.alerts.len() + words.samples.len());
    let more = u32::try_from(weight.sum::<usize>()).unwrap_or(u32::MAX).saturating_sub(1);
    // One was taken above: more than is left then would never pass.
    let more = more.min(limits.signals_burst.saturating_sub(1));
    app.senders().signals(&caller, more)?;
    let id = repeats.or(placed.id.take());
    // Events of one id are one event, however they are written.
    let same = id.as_ref().filter(|_| source.format == Format::CloudEvents);
    let body = keys::digest(same.map_or(&body, |id| id.as_bytes()));
    let keeper = Keeper { app, source: &source.name, caller: &caller, id, body, now };
    let passed = placed.passed;
    let (mut told, crowds) = keep(&keeper, placed).await?;
    tell_passed(keyed, &told.notes);
    told.notes.extend(crowds);
    let outcome = Outcome { passed, notes: &told.notes };
    if let Some(own) = format::answer(source.format, &parts.headers, outcome) {
        return Ok(own);
    }
    Ok((StatusCode::ACCEPTED, Json(told)).into_response())
}

fn crowded() -> Problem {
    Problem::new(Kind::Overloaded, "too many signed bodies are under way at once")
        .after(Duration::from_secs(1))
}

/// One request of what this sender may send: an order is a command, whoever gives it.
fn charge(app: &App, format: Format, caller: &Caller) -> Result<(), Problem> {
    if format.orders() { app.senders().command(caller) } else { app.senders().signals(caller, 1) }
}

/// What was told, and what there was no place for.
async fn keep(keeper: &Keeper<'_>, placed: Placed) -> Result<(Answer, Vec<String>), Problem> {
    let (mut groups, mut crowds) = (Vec::new(), Vec::new());
    for (group, words) in placed.groups {
        let (alerts, samples, orders) =
            (words.alerts.len(), words.samples.len(), words.orders.len());
        let Kept { fresh, crowded } = keeper.keep(&group, words).await?;
        crowds.extend(webhook::alerts::crowded(&group, crowded));
        groups.push(Told { group: group.to_string(), alerts, samples, orders, fresh });
    }
    let answer = Answer { source: keeper.source.to_string(), groups, notes: placed.notes };
    Ok((answer, crowds))
}

/// Who the headers say it is.
fn enter<'k>(
    app: &App,
    keyed: &'k Keyed,
    shown: &Shown<'_>,
    peer: Option<Peer>,
) -> Result<Entry<'k>, Problem> {
    if keyed.source.auth.is_empty() {
        let token = super::auth::bearer(shown.headers);
        let ours = token.ok_or(Stranger::Nothing);
        let ours = ours.and_then(|token| app.tokens().scope_of(token).ok_or(Stranger::Wrong));
        let scope = ours.map_err(|why| stranger(app, keyed, why, peer))?;
        let needs = if keyed.source.format.orders() { Scope::Capacity } else { Scope::Signal };
        if scope.includes(needs) {
            return Ok(Entry::Known);
        }
        let (has, needed) = (scope.word(), needs.word());
        let said = format!("a token of scope {has} may not do this; scope {needed} may");
        return Err(Problem::new(Kind::WrongScope, said).needs(needs));
    }
    if keyed.keys.is_empty() {
        return Err(unread());
    }
    door::enter(keyed, shown).map_err(|why| stranger(app, keyed, why, peer))
}

/// There is a secret that nobody can be held against now.
fn unread() -> Problem {
    let said = "what senders of this source have to show could not be read";
    Problem::new(Kind::NotReady, said)
        .hint("the log of novascale says which secret; mend it and run `novascale reload`")
        .after(Duration::from_secs(30))
}

/// The refusal of somebody who is not known; too many of them from one address are slowed down.
fn stranger(app: &App, keyed: &Keyed, why: Stranger, peer: Option<Peer>) -> Problem {
    app.counters().add(count::SIGN_IN_FAILURES, &[], 1);
    if let Err(too_many) = app.senders().failed_sign_in(peer) {
        return too_many;
    }
    // It may be the right one: who drops what it hears a 4xx to must not hear one.
    if !keyed.missing.is_empty() {
        return unread();
    }
    let name = &keyed.source.name;
    let problem = match why {
        Stranger::Nothing => Problem::new(Kind::NoToken, "nothing shows who sends this"),
        Stranger::Wrong => {
            Problem::new(Kind::BadToken, "what shows who sends this is not right for this source")
        }
        Stranger::Stale => {
            let said =
                format!("the signed time is more than {} from our clock", spoken(door::TOLERANCE));
            Problem::new(Kind::BadToken, said)
        }
    };
    problem.hint(format!("`novascale source url {name}` shows how its sender is to be set up"))
}
