//! Is the program alive, and is it able to do its work?
//!
//! `/healthz` fails only when a loop hangs: then a restart helps. `/readyz` fails as well
//! while the store takes no writes, the token is for another project, or a region cannot be listed: then a restart does not
//! help, and senders may want to know. Both answer without a token, hence in words that
//! name checks and nothing of the groups.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::App;
use super::error::{Kind, Problem};
use crate::control::handle::Handle;
use crate::domain::freeze::Braked;
use crate::domain::time::{Now, Steady};

/// How long after its last sign of life, or past the look that it announced, a loop hangs.
///
/// One action of a pass is the longest that a loop may be silent: a sign-in, a look (twice, if
/// the first one fails) and a change, each of which may wait for its turn and then take a whole
/// `call_timeout`. An observer's look ends within 150 s, and the next one begins 15 s later.
pub fn overdue(call_timeout: Duration) -> Duration {
    ((TURN + call_timeout) * 4).max(Duration::from_secs(180))
}

/// A call waits no longer than this for its turn (`cloud::throttle::WAIT_MOST`).
const TURN: Duration = Duration::from_secs(30);

/// A region's last complete listing counts as young for four cycles at rest.
pub const LISTING_YOUNG: Duration = Duration::from_secs(60);

/// The loops and observers that hang: what `/healthz` and the service manager's watchdog go by.
pub fn stalled(handle: &Handle, overdue: Duration, now: Now) -> Vec<String> {
    let hangs = |due: Steady| now.steady.since(due) > overdue;
    let loops = handle.groups().filter(|group| group.pulse().due.is_some_and(hangs));
    let loops = loops.map(|group| format!("the loop of {}", group.group.name));
    let observers = handle.observers().into_iter().filter(|pulse| hangs(pulse.tried.steady));
    let observers = observers.map(|pulse| format!("the observer of {}", pulse.region));
    loops.chain(observers).collect()
}

pub(super) async fn healthz(State(app): State<App>) -> Response {
    let stalled = stalled(&app.handle(), app.overdue(), app.now()).len();
    if stalled == 0 {
        return "alive\n".into_response();
    }
    Problem::new(Kind::NotAlive, format!("{stalled} loops hang"))
        .hint("restart novascale; its log says where it stands")
        .into_response()
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    checks: [Check; 4],
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What the check means, the same whether it holds or not.
    meaning: &'static str,
}

pub(super) async fn readyz(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let checks = checks(&app).await;
    let failed: Vec<&str> = checks.iter().filter(|c| !c.ok).map(|c| c.name).collect();
    let problem = Problem::new(Kind::NotReady, format!("not ready: {}", failed.join(", ")))
        .hint("GET /readyz?verbose lists the checks")
        .after(Duration::from_secs(5));
    let verbose =
        query.is_some_and(|q| q.split('&').any(|p| p.split('=').next() == Some("verbose")));
    match (failed.is_empty(), verbose) {
        (true, false) => "ready\n".into_response(),
        (false, false) => problem.into_response(),
        (true, true) => Json(Readiness { ready: true, checks }).into_response(),
        (false, true) => {
            (problem.status(), Json(Readiness { ready: false, checks })).into_response()
        }
    }
}

async fn checks(app: &App) -> [Check; 4] {
    let now = app.now();
    let handle = app.handle();
    let observers = handle.observers();
    let young =
        |seen: Option<Now>| seen.is_some_and(|at| now.steady.since(at.steady) <= LISTING_YOUNG);
    let listed = observers.iter().all(|pulse| young(pulse.seen));
    let looping = stalled(&handle, app.overdue(), now).is_empty();
    [
        Check {
            name: "store",
            ok: app.store_check().writable(app, now).await,
            meaning: "the store takes writes",
        },
        Check {
            name: "project",
            ok: !fenced_off(app),
            meaning: "the token is for the project that the state belongs to",
        },
        Check {
            name: "listings",
            ok: listed,
            meaning: "every region was listed completely within a minute",
        },
        Check {
            name: "loops",
            ok: looping,
            meaning: "every loop passes and every region is looked at in time",
        },
    ]
}

/// Whether the last token was for another project than the state.
fn fenced_off(app: &App) -> bool {
    let other = |braked: Option<Braked>| matches!(braked, Some(Braked::OtherProject { .. }));
    // The fence is around all of them.
    app.handle().groups().next().is_some_and(|group| other(app.brake().on(&group.group.name)))
}

/// The store's last answer, so that a stranger's questions do not become writes.
#[derive(Default)]
pub(super) struct StoreCheck(Mutex<Option<(Steady, bool)>>);

/// How long an answer of the store counts, and how long it may take.
const STORE_ANSWER_COUNTS: Duration = Duration::from_secs(2);
const STORE_WITHIN: Duration = Duration::from_secs(2);

impl StoreCheck {
    async fn writable(&self, app: &App, now: Now) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = *last
            && now.steady.since(at) < STORE_ANSWER_COUNTS
        {
            return answer;
        }
        let answer = timeout(STORE_WITHIN, app.store().probe(app.lease())).await;
        let writable = match answer {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                // Said once: whoever watches readiness asks every few seconds.
                if !matches!(*last, Some((_, false))) {
                    tracing::warn!(error = %error, "the store does not take writes");
                }
                false
            }
            Err(_) => false,
        };
        *last = Some((now.steady, writable));
        writable
    }
}
