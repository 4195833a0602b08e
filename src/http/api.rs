//! What is shown: groups, servers, decisions, and what a pass would do now.
//!
//! Everything here reads: the loops' latest decisions, and from the store what was ordered
//! and what was decided. Shapes are in [`super::view`].

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Json;
use serde::Deserialize;
use tokio::time::timeout;

use super::error::{Kind, Problem};
use super::trouble::Asked;
use super::view::{
    AnyGroup, CommandView, CommandsView, DecisionView, DecisionsView, GroupView, GroupsView,
    PlanView, ServersView, Shown,
};
use super::{App, Named, unknown};
use crate::control::handle::{GroupHandle, ObserverPulse};
use crate::domain::freeze::Holds;
use crate::domain::group::GroupState;
use crate::domain::plan::Decision;
use crate::domain::time::{Now, Wall};
use crate::store::keep::DECISIONS_MOST;
use crate::store::{StoreError, Window};

pub(super) async fn groups(State(app): State<App>) -> Result<Json<GroupsView>, Problem> {
    let (now, all) = (app.now(), app.handle());
    let (mut groups, observers) = (Vec::new(), all.observers());
    for handle in all.groups() {
        let view =
            view(&app, handle, Look { observers: &observers, now, sentences: false }).await?;
        groups.push(AnyGroup::Kept(Box::new(view)));
    }
    groups.extend(all.absent().iter().map(|absent| AnyGroup::Absent(absent.into())));
    let configuration = app.reload().standing.borrow().clone();
    Ok(Json(GroupsView { groups, configuration }))
}

pub(super) async fn group(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<AnyGroup>, Problem> {
    let (now, all) = (app.now(), app.handle());
    if let Some(absent) = all.absent().iter().find(|absent| absent.name.as_str() == name) {
        return Ok(Json(AnyGroup::Absent(absent.into())));
    }
    let handle = all.group(&name).ok_or_else(|| unknown(&all, &name))?;
    let look = Look { observers: &all.observers(), now, sentences: true };
    let view = view(&app, handle, look).await?;
    Ok(Json(AnyGroup::Kept(Box::new(view))))
}

/// What is asked about a group.
struct Look<'a> {
    observers: &'a [ObserverPulse],
    now: Now,
    sentences: bool,
}

/// A group as it is shown; one whose rows cannot be read hides neither itself nor another.
async fn view(app: &App, handle: &GroupHandle, look: Look<'_>) -> Result<GroupView, Problem> {
    let Look { observers, now, sentences } = look;
    let name = &handle.group.name;
    let gathered = app.store().gather(name, bare(now)).await;
    let unreadable = match &gathered {
        Err(StoreError::Corrupt(why)) => Some(why.clone()),
        Ok(_) | Err(_) => None,
    };
    let (state, all, unreadable) = match (app.stored(name, Asked::Show, gathered), unreadable) {
        (Ok(gathered), _) => (gathered.state, gathered.all_frozen, None),
        (Err(_), Some(why)) => (GroupState::default(), None, Some(why)),
        (Err(problem), None) => return Err(problem),
    };
    let brake = app.brake().on(name);
    let holds = Holds { own: state.freeze.as_ref(), all: all.as_ref(), brake: brake.as_ref() };
    let holds = holds.waiting(name, now);
    let shown = Shown { state: &state, holds, observers, now, sentences };
    Ok(match unreadable {
        None => GroupView::of(handle, shown),
        Some(why) => GroupView::unreadable(handle, shown, why),
    })
}

/// As little as the store can gather.
fn bare(now: Now) -> Window {
    Window { now, signals: Duration::ZERO, past: Duration::ZERO }
}

/// What was ordered for the group, with as little else as the store can do.
pub(super) async fn ordered(
    app: &App,
    handle: &GroupHandle,
    now: Now,
) -> Result<GroupState, Problem> {
    let gathered = app.store().gather(&handle.group.name, bare(now)).await;
    Ok(app.stored(&handle.group.name, Asked::Show, gathered)?.state)
}

pub(super) async fn servers(State(app): State<App>, Named(handle): Named) -> Json<ServersView> {
    Json(ServersView::of(&handle, &app.handle().observers()))
}

/// Decisions of one page, if nothing else is asked for, and at most.
const PAGE: u32 = 50;
const PAGE_MOST: u32 = 500;

/// Decisions that can be paged through: all that are kept.
const PAGED_MOST: u32 = DECISIONS_MOST;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<u32>,
    /// The `next_marker` of the page before.
    marker: Option<u64>,
    /// None later than this; the first of them was in force then.
    at: Option<Wall>,
    /// None earlier than this.
    since: Option<Wall>,
}

pub(super) async fn decisions(
    State(app): State<App>,
    Named(handle): Named,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<DecisionsView>, Problem> {
    let Page { limit, marker, at, since } = page.map_err(bad_query)?.0;
    let limit = limit.unwrap_or(if at.is_some() { 1 } else { PAGE }).clamp(1, PAGE_MOST);
    // One more than the page holds tells whether there is a next one.
    let newest = marker.is_none() && at.is_none();
    let fetch = if newest { limit.saturating_add(1) } else { PAGED_MOST };
    let stored = app.store().decisions(&handle.group.name, fetch).await;
    let stored = app.stored(&handle.group.name, Asked::Show, stored)?;
    let meant = |d: &Decision| {
        marker.is_none_or(|m| d.at.steady.0 < m)
            && at.is_none_or(|at| d.at.wall <= at)
            && since.is_none_or(|since| d.at.wall >= since)
    };
    let mut page: Vec<Decision> = stored.into_iter().filter(meant).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.len() > limit;
    page.truncate(limit);
    let last = page.last().filter(|_| more).map(|d| d.at.steady.0.to_string());
    let decisions = page.into_iter().map(DecisionView::from).collect();
    Ok(Json(DecisionsView { decisions, next_marker: last }))
}

fn bad_query(_: QueryRejection) -> Problem {
    Problem::new(Kind::BadQuery, "the query does not read").hint(
        "limit is a number of decisions, marker the next_marker of the page before; at and since \
         are RFC 3339, as 2026-12-24T18:00:00Z",
    )
}

/// Which commands are shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orders {
    limit: Option<u32>,
    /// None earlier than this.
    since: Option<Wall>,
}

/// Commands of one answer, at most.
const ORDERS_MOST: u32 = 2_000;

pub(super) async fn commands(
    State(app): State<App>,
    Named(handle): Named,
    orders: Result<Query<Orders>, QueryRejection>,
) -> Result<Json<CommandsView>, Problem> {
    let bad = |_| {
        Problem::new(Kind::BadQuery, "the query does not read")
            .hint("limit is a number of commands, since is RFC 3339, as 2026-12-24T18:00:00Z")
    };
    let Orders { limit, since } = orders.map_err(bad)?.0;
    let limit = limit.unwrap_or(PAGE).clamp(1, ORDERS_MOST);
    let stored = app.store().commands(&handle.group.name, limit).await;
    let stored = app.stored(&handle.group.name, Asked::Show, stored)?;
    let meant = stored.into_iter().filter(|o| since.is_none_or(|since| o.at.wall >= since));
    Ok(Json(CommandsView { commands: meant.map(CommandView::from).collect() }))
}

/// How long a plan may take: it reads the store and computes.
const PLAN_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn plan(
    State(app): State<App>,
    Named(handle): Named,
) -> Result<Json<PlanView>, Problem> {
    match timeout(PLAN_WITHIN, handle.preview()).await {
        Ok(planned) => {
            app.stored(&handle.group.name, Asked::Show, planned).map(|d| Json(PlanView::from(d)))
        }
        Err(_) => Err(Problem::new(Kind::Late, "the plan was not ready in time")
            .hint("ask again")
            .after(Duration::from_secs(1))),
    }
}
