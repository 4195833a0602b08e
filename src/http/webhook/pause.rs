//! `PUT` and `DELETE` of `/v1/groups/{group}/pause` and `/v1/pause`: one thing that novascale does
//! rests, for one group or for every one that is configured.
//!
//! `PUT` takes `{"processes": ["launch"], "for": "2h", "reason": …}`, all of it at will: processes
//! left out are all, without `for` they rest until `DELETE`. `DELETE` takes no body; the query
//! `processes=launch,terminate` names those that go on, left out all.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};

use super::capacity::{reason, span};
use super::json::{Fields, Json as Value, Node, parse};
use super::{admit, idempotency_key, order};
use crate::domain::explain;
use crate::domain::pause::Process;
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::Now;
use crate::http::auth::Caller;
use crate::http::body::Taken;
use crate::http::error::{Kind, Problem};
use crate::http::{App, Named};
use crate::store::{IdempotencyKey, What};

type Sent = (Method, Uri, HeaderMap);

pub(in crate::http) async fn put_group(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    order(&app, &group, &caller, pause(&body, now)?, key, now).await
}

pub(in crate::http) async fn put_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    let (command, reason) = pause(&body, now)?;
    let order = Ordered { command, at: now, by: caller.name(), reason };
    every_group(&app, &order, key.as_ref()).await
}

/// What goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Which {
    processes: Option<String>,
}

type Asked = Result<Query<Which>, QueryRejection>;

pub(in crate::http) async fn delete_group(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    which: Asked,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let command = resume(which, &headers)?;
    let key = idempotency_key(&headers, &method, &uri, query(&uri))?;
    order(&app, &group, &caller, (command, None), key, app.now()).await
}

pub(in crate::http) async fn delete_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    which: Asked,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let command = resume(which, &headers)?;
    let key = idempotency_key(&headers, &method, &uri, query(&uri))?;
    let order = Ordered { command, at: app.now(), by: caller.name(), reason: None };
    every_group(&app, &order, key.as_ref()).await
}

/// A key is bound to what was asked for, and that stands in the query here.
fn query(uri: &Uri) -> &[u8] {
    uri.query().unwrap_or_default().as_bytes()
}

fn pause(body: &[u8], now: Now) -> Result<(Command, Option<String>), Problem> {
    let mut fields = Fields::of(parse(body)?, &["processes", "for", "reason"])?;
    let named = fields.take("processes").map(|node| listed(&node)).transpose()?;
    let processes = named.unwrap_or_else(|| BTreeSet::from(Process::ALL));
    let until = fields.take("for").map(|node| span(&node)).transpose()?;
    let until = until.map(|span| now.plus(span));
    Ok((Command::Pause { processes, until }, reason(&mut fields)?))
}

fn listed(node: &Node) -> Result<BTreeSet<Process>, Problem> {
    let Value::List(nodes) = &node.value else {
        return Err(node.fault("it must be a list of processes, as [\"launch\"]"));
    };
    if nodes.is_empty() {
        return Err(node.fault("it names no process").hint("leave it out to pause all of them"));
    }
    let read = |node: &Node| node.text()?.parse().map_err(|why| node.fault(why));
    nodes.iter().map(read).collect()
}

fn resume(which: Asked, headers: &HeaderMap) -> Result<Command, Problem> {
    let hint = "processes=launch,terminate names those that go on; without it all do";
    let bad = |why: String| Problem::new(Kind::BadQuery, why).hint(hint);
    // A body that names some, and is not read, would let all of them go on.
    if headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(Problem::new(Kind::Invalid, "what goes on stands in the query").hint(hint));
    }
    let which = which.map_err(|_| bad("the query does not read".to_owned()))?.0;
    let processes = match which.processes {
        None => BTreeSet::from(Process::ALL),
        Some(words) => {
            let read = words.split(',').map(|word| word.trim().parse());
            let read: Result<BTreeSet<Process>, _> = read.collect();
            read.map_err(|why: crate::domain::pause::NoProcess| bad(format!("`processes`: {why}")))?
        }
    };
    Ok(Command::Resume { processes })
}

/// What became of a word for every group.
#[derive(Debug, Serialize)]
struct Answer {
    groups: Vec<String>,
    sentence: String,
}

/// One command to each group. Where one does not take it the others do all the same; to send it
/// again is right.
async fn every_group(
    app: &App,
    order: &Ordered,
    key: Option<&IdempotencyKey>,
) -> Result<Response, Problem> {
    let (mut took, mut failed) = (Vec::new(), None);
    for group in app.handle().groups() {
        let what = What::Command(order.clone(), group.group.bounds);
        let name = group.group.name.to_string();
        match admit(app, group, what, key.cloned(), order.at).await {
            Ok(_) => took.push(name),
            Err(problem) => failed = failed.or(Some((name, problem))),
        }
    }
    let told = explain::order(&order.command, order.reason.as_deref(), order.at);
    tracing::info!(by = order.by, groups = took.len(), "told every group: {told}");
    if let Some((name, problem)) = failed {
        let some = if took.is_empty() { "none".to_owned() } else { took.join(", ") };
        let detail = format!("{name} did not take it ({}); taken by: {some}", problem.detail);
        return Err(Problem { detail, ..problem });
    }
    let sentence = explain::rests(&order.command, order.at);
    let n = took.len();
    let all = if n == 1 { "1 group".to_owned() } else { format!("{n} groups") };
    let answer = Answer { groups: took, sentence: format!("{sentence}, in {all}") };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
