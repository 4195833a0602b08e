//! `POST /v1/groups/{group}/signals`: samples of a load.
//!
//! The body is one sample, a list of samples, or `{"signals": […]}`:
//!
//! | field | meaning |
//! |---|---|
//! | `name` | the signal's name |
//! | `value` | a finite JSON number, 0 or more |
//! | `at` | when it was measured, RFC 3339; now if it is left out |
//! | `server` | the Nova id of the server that it was measured on, if it is not the whole load |
//! | `id` | the sender's id of this sample: a repetition changes nothing |
//!
//! 202 answers `{"accepted": n, "fresh": n, "repeated": bool}`, and a `note` where no
//! policy of the group reads what was sent, or where some of it was known before.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;

use super::json::{Fields, Node};
use super::several::Several;
use super::{admit, idempotency_key, plain};
use crate::control::handle::GroupHandle;
use crate::domain::group::Group;
use crate::domain::id::SignalName;
use crate::domain::signal::{AHEAD_MOST, Sample, Value};
use crate::domain::time::{Now, Wall, spoken};
use crate::http::auth::Caller;
use crate::http::body::Taken;
use crate::http::error::Problem;
use crate::http::trouble::Asked;
use crate::http::{App, Named};
use crate::store::{Admitted, IdempotencyKey, Identified, What};
use crate::telemetry::count;

/// Samples taken in one request; a body of the default limit holds about as many.
pub const SAMPLES_MOST: usize = 1000;

/// A sample measured longer ago than this says nothing about the load of today.
pub const OLD_MOST: Duration = Duration::from_secs(24 * 3600);

/// The longest `id` of a sample.
pub(super) const ID_MOST: usize = 128;

#[derive(Debug, Serialize)]
struct Answer {
    accepted: usize,
    /// How many of them were not known before.
    fresh: u32,
    /// The same Idempotency-Key and body came before: nothing was changed.
    repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(in crate::http) async fn post(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    let samples = match samples(&body, Reading { now, at_any_time: false }) {
        Ok(samples) => samples,
        Err(problem) => return outlived(&app, &group, &body, key, now).await?.ok_or(problem),
    };
    let accepted = samples.len();
    // One was counted when the request came.
    let more = u32::try_from(accepted).unwrap_or(u32::MAX).saturating_sub(1);
    app.senders().signals(&caller, more)?;
    let note = unread(&group.group, &samples);
    let names = group.group.signals().cloned().collect();
    let (fresh, repeated) =
        match admit(&app, &group, What::Samples(samples, names), key, now).await? {
            Admitted::Stored { fresh, .. } => (fresh, false),
            Admitted::Repeated { .. } => (0, true),
        };
    let labels = [("group", group.group.name.as_str())];
    app.counters().add(count::SIGNALS, &labels, u64::from(fresh));
    let known = if repeated { None } else { known_before(accepted, fresh) };
    let note = [note, known].into_iter().flatten().reduce(|one, other| format!("{one}; {other}"));
    Ok(taken(Answer { accepted, fresh, repeated, note }))
}

fn taken(answer: Answer) -> Response {
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

/// The answer to a request whose only fault is its times, if it is the repetition of one that
/// was taken when they were still right.
async fn outlived(
    app: &App,
    group: &GroupHandle,
    body: &[u8],
    key: Option<IdempotencyKey>,
    now: Now,
) -> Result<Option<Response>, Problem> {
    let (Some(key), Ok(samples)) = (key, samples(body, Reading { now, at_any_time: true })) else {
        return Ok(None);
    };
    let repeated = app.store().repeated(&group.group.name, &key, now).await;
    let repeated = app.stored(&group.group.name, Asked::Show, repeated)?;
    let answer = Answer { accepted: samples.len(), fresh: 0, repeated: true, note: None };
    Ok(repeated.then(|| taken(answer)))
}

/// A hint for the sender some of whose samples changed nothing.
fn known_before(accepted: usize, fresh: u32) -> Option<String> {
    let known = accepted.saturating_sub(usize::try_from(fresh).unwrap_or(usize::MAX));
    (known > 0).then(|| {
        format!(
            "{known} of {accepted} changed nothing: the `id`, or the time of measuring with no \
             smaller value, came before"
        )
    })
}

/// By which clock samples are read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) now: Now,
    /// Whatever `at` says is taken.
    pub(super) at_any_time: bool,
}

impl Reading {
    fn too_far_ahead(self, at: Wall) -> bool {
        !self.at_any_time && at > self.now.wall.plus(AHEAD_MOST)
    }

    fn too_old(self, at: Wall) -> bool {
        !self.at_any_time && at < self.now.wall.minus(OLD_MOST)
    }

    pub(super) fn fits(self, at: Wall) -> bool {
        !self.too_far_ahead(at) && !self.too_old(at)
    }
}

/// The samples of a body, all valid or none.
fn samples(body: &[u8], by: Reading) -> Result<Vec<Identified>, Problem> {
    plain::samples(body, by).map_or_else(|| by_tree(body, by), Ok)
}

/// The same with a word for every fault.
pub(super) fn by_tree(body: &[u8], by: Reading) -> Result<Vec<Identified>, Problem> {
    let all = Several { one: "sample", many: "samples", key: &["signals"], most: SAMPLES_MOST };
    all.read(body, |node| sample(node, by))
}

fn sample(node: Node, by: Reading) -> Result<Identified, Problem> {
    let mut fields = Fields::of(node, &["name", "value", "at", "server", "id"])?;
    let name = fields.need("name")?.valid()?;
    let value = fields.need("value")?;
    let value = Value::new(value.number()?).map_err(|why| value.fault(why))?;
    let at = fields.take("at").map_or(Ok(by.now.wall), |node| measured_at(&node, by))?;
    let server = fields.take("server").map(|node| node.valid()).transpose()?;
    let id = fields.take("id").map(|n| n.printable(ID_MOST).map(str::to_owned)).transpose()?;
    let sample = Sample { name, value, at, received: by.now, server };
    Ok(Identified { sample, id })
}

fn measured_at(node: &Node, by: Reading) -> Result<Wall, Problem> {
    let now = by.now;
    let at = Wall::parse(node.text()?)
        .map_err(|_| node.fault("it must be RFC 3339, as 2026-11-23T18:00:00Z"))?;
    if by.too_far_ahead(at) {
        let (ahead, most) = (spoken(at.since(now.wall)), spoken(AHEAD_MOST));
        return Err(node
            .fault(format_args!("it lies {ahead} ahead of our clock; at most {most} is allowed"))
            .hint("set the sender's clock, or leave `at` out"));
    }
    if by.too_old(at) {
        let (old, most) = (spoken(now.wall.since(at)), spoken(OLD_MOST));
        return Err(node.fault(format_args!("it is {old} old; at most {most} is taken")));
    }
    Ok(at)
}

/// A hint for the sender whose signals nobody reads.
pub fn unread(group: &Group, samples: &[Identified]) -> Option<String> {
    let read: BTreeSet<&SignalName> = group.signals().collect();
    let name = samples.iter().map(|s| &s.sample.name).find(|name| !read.contains(name))?;
    let reads = if read.is_empty() {
        "it reads no signals".to_owned()
    } else {
        let all: Vec<&str> = read.iter().map(|name| name.as_str()).collect();
        format!("it reads {}", all.join(", "))
    };
    Some(format!("no policy of {} reads {name}; {reads}", group.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Steady;

    fn now() -> Now {
        Now { wall: Wall::parse("2026-11-23T12:00:00Z").unwrap(), steady: Steady(7) }
    }

    fn by_now() -> Reading {
        Reading { now: now(), at_any_time: false }
    }

    #[test]
    fn one_a_list_and_an_envelope_are_the_same() {
        let one = "{\"name\": \"requests\", \"value\": 12.5}";
        let bodies = [one.to_owned(), format!("[{one}]"), format!("{{\"signals\": [{one}]}}")];
        for body in bodies {
            let all = samples(body.as_bytes(), by_now()).unwrap();
            assert_eq!(all.len(), 1, "{body}");
            assert_eq!(all[0].sample.value.get(), 12.5);
            assert_eq!((all[0].sample.at, all[0].sample.received), (now().wall, now()));
            assert_eq!((&all[0].id, &all[0].sample.server), (&None, &None));
        }
    }

    #[test]
    fn everything_that_a_sample_says_is_kept() {
        let body = br#"{"name": "a:b", "value": 0, "at": "2026-11-23T11:59:00+00:00",
                        "server": "5c1f-1", "id": "m-1"}"#;
        let all = samples(body, by_now()).unwrap();
        assert_eq!(all[0].sample.at, now().wall.minus(Duration::from_secs(60)));
        assert_eq!(all[0].sample.server.as_ref().unwrap().as_str(), "5c1f-1");
        assert_eq!(all[0].id.as_deref(), Some("m-1"));
    }

    #[test]
    fn the_time_has_bounds_on_both_sides() {
        let at = |wall: Wall| {
            let body = format!("{{\"name\": \"a\", \"value\": 1, \"at\": \"{wall}\"}}");
            samples(body.as_bytes(), by_now()).map(|_| ())
        };
        let second = Duration::from_secs(1);
        assert!(at(now().wall.plus(AHEAD_MOST)).is_ok());
        assert!(at(now().wall.plus(AHEAD_MOST).plus(second)).is_err());
        assert!(at(now().wall.minus(OLD_MOST)).is_ok());
        assert!(at(now().wall.minus(OLD_MOST).minus(second)).is_err());
    }
}
