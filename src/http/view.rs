//! How groups, servers and decisions look as JSON: the shapes that the command line and
//! every other client read. Times are RFC 3339, spans are seconds, unknown is null.

use serde::Serialize;

use super::reload::Standing;
use crate::control::handle::{Absent, GroupHandle, ObserverPulse};
use crate::domain::alert::{self, Alerted, Crowd};
use crate::domain::claim::Claim;
use crate::domain::explain::{self, Situation, sentence};
use crate::domain::fleet::{Member, Tally};
use crate::domain::freeze::Freeze;
use crate::domain::group::GroupState;
use crate::domain::id::SourceName;
use crate::domain::pause::{self, Pause, Process};
use crate::domain::plan::{Decision, Waiting};
use crate::domain::server::{Fault, Ownership};
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::{Now, Wall};

/// All groups: those that are kept, and behind them those that are not configured any more.
#[derive(Debug, Clone, Serialize)]
pub struct GroupsView {
    pub groups: Vec<AnyGroup>,
    pub configuration: Standing,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum AnyGroup {
    Kept(Box<GroupView>),
    Absent(AbsentView),
}

/// A group that the configuration does not have. It has no bounds, no tag and no decision.
#[derive(Debug, Clone, Serialize)]
pub struct AbsentView {
    pub name: String,
    /// Always false.
    pub configured: bool,
    pub situation: &'static str,
    pub headline: String,
    /// Servers that lived when it was last looked at; null if that cannot be read.
    pub known_servers: Option<u32>,
    /// Calls whose end is not known.
    pub open_actions: Option<u32>,
    /// The last decision; null if that is so long ago that it was forgotten.
    pub decided_at: Option<Wall>,
}

impl From<&Absent> for AbsentView {
    fn from(absent: &Absent) -> Self {
        Self {
            name: absent.name.to_string(),
            configured: false,
            situation: "frozen",
            headline: absent.to_string(),
            known_servers: absent.kept.map(|kept| kept.servers),
            open_actions: absent.kept.map(|kept| kept.open),
            decided_at: absent.decided.map(|at| at.wall),
        }
    }
}

/// One group at a glance. What a decision says is null until there is one.
#[derive(Debug, Clone, Serialize)]
pub struct GroupView {
    pub name: String,
    /// Always true.
    pub configured: bool,
    pub tag: String,
    pub region: String,
    pub min: u32,
    pub max: u32,
    /// The base now; where none was ordered, the min that stands for it. Null where it cannot be
    /// read.
    pub base: Option<u32>,
    pub desired: Option<u32>,
    pub wanted: Option<u32>,
    pub pin: Option<PinView>,
    pub freeze: Option<FreezeView>,
    /// Those in force.
    pub pauses: Vec<PauseView>,
    /// Those that fire, whether a policy follows them or not.
    pub alerts: Vec<AlertView>,
    pub reservations: Vec<ReservationView>,
    pub tally: Option<Tally>,
    /// `steady`, `scaling_out`, `scaling_in`, `holding`, `failing`, `frozen`.
    pub situation: Option<&'static str>,
    pub headline: String,
    pub claims: Vec<Claim>,
    /// The place among `claims` of the one that counts; null if none is known.
    pub winner: Option<usize>,
    pub decided_at: Option<Wall>,
    pub next_look_at: Option<Wall>,
    /// When the last command came, if that was after the decision: it counts at the next look.
    pub told_since: Option<Wall>,
    pub observer: ObserverView,
    /// Why the loop's last pass failed, if it did.
    pub failure: Option<String>,
    /// The last decision in sentences; only where one group is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentences: Option<Vec<String>>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PinView {
    pub capacity: u32,
    /// Null: until it is taken away.
    pub until: Option<Wall>,
    pub reason: Option<String>,
}

/// A command that froze the group.
#[derive(Debug, Clone, Serialize)]
pub struct FreezeView {
    pub since: Wall,
    pub by: String,
    pub reason: Option<String>,
}

impl FreezeView {
    fn of(freeze: &Freeze) -> Self {
        let Freeze { since, by, reason } = freeze.clone();
        Self { since: since.wall, by, reason }
    }
}

/// A process that rests.
#[derive(Debug, Clone, Serialize)]
pub struct PauseView {
    /// `launch`, `terminate`, `heal`, `schedule`, `alarm`.
    pub process: Process,
    pub since: Wall,
    /// Null: until it is taken back.
    pub until: Option<Wall>,
    pub by: String,
    pub reason: Option<String>,
}

/// An alert that fires.
#[derive(Debug, Clone, Serialize)]
pub struct AlertView {
    pub name: String,
    /// Tells alerts of one name apart; empty where there is one.
    pub fingerprint: String,
    /// The source that tells of it; null if who tells speaks to the group itself.
    pub source: Option<SourceName>,
    /// It stands for so many of its name that have no place of their own; null if it is one.
    pub others: Option<usize>,
    pub since: Wall,
    /// When it was told last.
    pub renewed: Wall,
    /// When it ends unless it is told again; null: as its policy says.
    pub until: Option<Wall>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ReservationView {
    pub owner: String,
    pub capacity: u32,
    pub until: Wall,
    pub reason: Option<String>,
}

/// How the group's region was last looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ObserverView {
    /// When the last complete listing began.
    pub seen_at: Option<Wall>,
    /// Why the last listing failed, if it did.
    pub failure: Option<String>,
}

/// How a group fares. What was decided before its last pass failed says how it fared then; but
/// who holds it is still what a person has to know first.
fn situation(
    decision: Option<&Decision>,
    held: Option<Situation>,
    failed: bool,
) -> Option<Situation> {
    match decision.map(Decision::situation).or(held) {
        frozen @ Some(Situation::Frozen) => frozen,
        _ if failed => Some(Situation::Failing),
        fares => fares,
    }
}

/// What a group says before its first decision.
pub const NO_LOOK_YET: &str = "starting: no look yet";

/// What a group's view is made from, beside its loop.
pub struct Shown<'a> {
    pub state: &'a GroupState,
    /// What holds the group now; its last decision may be older.
    pub holds: Vec<Waiting>,
    pub observers: &'a [ObserverPulse],
    pub now: Now,
    /// Whether the decision is to be read out.
    pub sentences: bool,
}

impl GroupView {
    pub fn of(handle: &GroupHandle, shown: Shown<'_>) -> Self {
        let Shown { state, holds, observers, now, sentences } = shown;
        let undecided = holds.iter().map(|hold| sentence(&hold.to_string())).collect();
        let held = holds.first().map(|hold| (held_so(hold), hold.to_string()));
        let (group, latest) = (&*handle.group, handle.latest().map(|d| d.held(holds)));
        let (decision, failure) = (latest.as_ref(), handle.pulse().failure);
        let observer = observers.iter().find(|pulse| pulse.region == group.region);
        // The last decision counts a window ahead of its hour; it may be of another configuration.
        let clock = pause::schedule_clock(&state.pauses, now);
        let current = decision.filter(|decision| decision.config_hash == group.config_hash);
        let bounds = current.map_or_else(|| group.bounds_at(clock), |d| d.bounds);
        let fares = situation(decision, held.as_ref().map(|(held, _)| *held), failure.is_some());
        Self {
            name: group.name.to_string(),
            configured: true,
            tag: group.tag.to_string(),
            region: group.region.to_string(),
            min: bounds.min,
            max: bounds.max,
            base: Some(state.base.unwrap_or_else(|| bounds.floor())),
            desired: decision.map(|d| d.desired),
            wanted: decision.and_then(|d| d.wanted),
            pin: pin(state, now),
            freeze: state.freeze.as_ref().map(FreezeView::of),
            pauses: pauses(state, now),
            alerts: alerts(state, now),
            reservations: reservations(state, now),
            tally: decision.filter(|d| tally_known(d, observer)).map(|d| d.tally),
            situation: fares.map(Situation::word),
            headline: match (decision, held, &failure) {
                (Some(decision), _, Some(_)) if fares == Some(Situation::Failing) => {
                    format!("left as it is, its last pass failed; before: {}", decision.headline())
                }
                (Some(decision), ..) => decision.headline(),
                (None, Some((_, held)), _) => held,
                (None, None, Some(failure)) => format!("left as it is: {failure}"),
                (None, None, None) => NO_LOOK_YET.to_owned(),
            },
            claims: decision.map(|d| d.claims.clone()).unwrap_or_default(),
            winner: decision.and_then(Decision::winning),
            decided_at: decision.map(|d| d.at.wall),
            next_look_at: decision.map(|d| now.wall_at(d.next_look)),
            told_since: decision.and_then(|d| told_since(state, d)),
            observer: observer.map(ObserverView::of).unwrap_or_default(),
            failure,
            sentences: sentences.then(|| decision.map_or(undecided, Decision::sentences)),
        }
    }

    /// A group whose rows cannot be read: what was ordered for it is unknown.
    pub fn unreadable(handle: &GroupHandle, shown: Shown<'_>, why: String) -> Self {
        let view = Self::of(handle, shown);
        Self {
            base: None,
            situation: Some(Situation::Failing.word()),
            headline: "its stored state cannot be read; it is left as it is".to_owned(),
            failure: view.failure.or(Some(why)),
            ..view
        }
    }
}

/// How a group fares that this holds and that was not decided for yet.
fn held_so(hold: &Waiting) -> Situation {
    let fenced = matches!(hold, Waiting::OtherProject { .. });
    if fenced { Situation::Holding } else { Situation::Frozen }
}

/// Whether a tally says anything: something was listed, in this run or an earlier one. Before
/// that a zero would be no more than a guess.
pub(super) fn tally_known(decision: &Decision, observer: Option<&ObserverPulse>) -> bool {
    let seen = observer.is_some_and(|pulse| pulse.seen.is_some());
    seen || decision.blind().is_none() || decision.tally.occupied() > 0
}

impl ObserverView {
    /// How the region of this group was looked at.
    fn for_group(handle: &GroupHandle, observers: &[ObserverPulse]) -> Self {
        let observer = observers.iter().find(|pulse| pulse.region == handle.group.region);
        observer.map(Self::of).unwrap_or_default()
    }

    fn of(pulse: &ObserverPulse) -> Self {
        Self { seen_at: pulse.seen.map(|at| at.wall), failure: pulse.failure.clone() }
    }
}

fn told_since(state: &GroupState, decision: &Decision) -> Option<Wall> {
    let adoption = state.adoptions.iter().map(|order| order.at);
    let told = adoption.chain(state.ordered).max_by_key(|told| told.steady);
    let told = told.filter(|told| told.steady > decision.at.steady)?;
    Some(told.wall)
}

fn pin(state: &GroupState, now: Now) -> Option<PinView> {
    let pin = state.pin.as_ref()?;
    if pin.until.is_some_and(|until| until.steady <= now.steady) {
        return None;
    }
    let until = pin.until.map(|until| now.wall_at(until.steady));
    Some(PinView { capacity: pin.capacity, until, reason: pin.reason.clone() })
}

fn alerts(state: &GroupState, now: Now) -> Vec<AlertView> {
    let fires = |alert: &&Alerted| alert.fires(now, alert::REMEMBERED);
    let view = |alert: &Alerted| AlertView {
        name: alert.name.to_string(),
        fingerprint: alert.fingerprint.clone(),
        source: alert.source().cloned(),
        others: alert.crowd.as_ref().map(Crowd::len),
        since: alert.since.wall,
        renewed: alert.renewed.wall,
        until: alert.until.map(|until| until.wall),
    };
    state.alerts.iter().filter(fires).map(view).collect()
}

fn pauses(state: &GroupState, now: Now) -> Vec<PauseView> {
    let standing = pause::in_force(&state.pauses, now).into_iter();
    let view = |(process, pause): (Process, Pause)| PauseView {
        process,
        since: pause.since.wall,
        until: pause.until.map(|until| now.wall_at(until.steady)),
        by: pause.by,
        reason: pause.reason,
    };
    standing.map(view).collect()
}

fn reservations(state: &GroupState, now: Now) -> Vec<ReservationView> {
    let current = state.reservations.iter().filter(|r| r.until.steady > now.steady);
    current
        .map(|r| ReservationView {
            owner: r.owner.to_string(),
            capacity: r.capacity,
            until: now.wall_at(r.until.steady),
            reason: r.reason.clone(),
        })
        .collect()
}

/// The servers of a group, as the last decision judged them.
#[derive(Debug, Clone, Serialize)]
pub struct ServersView {
    pub servers: Vec<ServerView>,
    /// Null before the first look: the list is empty because nothing is known.
    pub decided_at: Option<Wall>,
    /// Whether the list rests on a look at the cloud.
    pub observer: ObserverView,
}

impl ServersView {
    pub fn of(handle: &GroupHandle, observers: &[ObserverPulse]) -> Self {
        let (latest, observer) = (handle.latest(), ObserverView::for_group(handle, observers));
        let decision = latest.as_deref();
        let members = decision.map(|d| d.changes.members.as_slice()).unwrap_or_default();
        let servers = members.iter().map(ServerView::of).collect();
        Self { servers, decided_at: decision.map(|d| d.at.wall), observer }
    }
}

/// One member. What only a listing tells is null while just its id is known.
#[derive(Debug, Clone, Serialize)]
pub struct ServerView {
    pub id: String,
    pub name: Option<String>,
    /// Nova's word.
    pub status: Option<String>,
    /// What it counts as: `serving`, `building`, `unsure`, `idle`, `failed`, `leaving`.
    pub standing: &'static str,
    pub ownership: Ownership,
    /// Nobody may delete it.
    pub kept: bool,
    /// Made from a template that is no longer the group's.
    pub outdated: bool,
    pub zone: Option<String>,
    pub flavor: Option<String>,
    pub addresses: Vec<String>,
    pub created: Option<Wall>,
    pub launch: Option<String>,
    pub fault: Option<Fault>,
}

impl ServerView {
    fn of(member: &Member) -> Self {
        let server = member.server.as_deref();
        Self {
            id: member.id.to_string(),
            name: server.map(|s| s.name.clone()),
            status: server.map(|s| s.status.word().to_owned()),
            standing: member.standing.word(),
            ownership: member.ownership,
            kept: member.kept,
            outdated: member.outdated,
            zone: server.and_then(|s| Some(s.zone.as_ref()?.to_string())),
            flavor: server.map(|s| s.flavor.clone()),
            addresses: server.map(|s| s.addresses.clone()).unwrap_or_default(),
            created: server.map(|s| s.created),
            launch: member.launch.as_ref().map(ToString::to_string),
            fault: server.and_then(|s| s.fault.clone()),
        }
    }
}

/// A decision with its sentences.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionView {
    #[serde(flatten)]
    pub decision: Decision,
    /// The place among `claims` of the one that counts; null if none is known.
    pub winner: Option<usize>,
    pub headline: String,
    pub sentences: Vec<String>,
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        let (headline, sentences) = (decision.headline(), decision.sentences());
        Self { winner: decision.winning(), decision, headline, sentences }
    }
}

/// What was ordered for a group, the newest first.
#[derive(Debug, Clone, Serialize)]
pub struct CommandsView {
    pub commands: Vec<CommandView>,
}

#[derive(Debug, Clone, Serialize)]
pub struct CommandView {
    pub at: Wall,
    pub by: String,
    pub reason: Option<String>,
    /// With its numbers: `{"command": "set", "capacity": 5}`.
    pub order: Command,
    pub sentence: String,
}

impl From<Ordered> for CommandView {
    fn from(order: Ordered) -> Self {
        let sentence = explain::order(&order.command, order.reason.as_deref(), order.at);
        let Ordered { command, at, by, reason } = order;
        Self { at: at.wall, by, reason, order: command, sentence }
    }
}

/// A page of decisions, the newest first.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionsView {
    pub decisions: Vec<DecisionView>,
    /// The `marker` of the next, older page; null on the last.
    pub next_marker: Option<String>,
}

/// What a pass would do now.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    pub decision: Decision,
    pub sentences: Vec<String>,
    /// Whether it would call the cloud to change anything.
    pub changes: bool,
    /// Why nothing would be changed whatever is desired: the cloud could not be looked at.
    pub held: Option<String>,
}

impl From<Decision> for PlanView {
    fn from(decision: Decision) -> Self {
        let (sentences, changes) = (decision.sentences(), !decision.plan.is_empty());
        let held = decision.blind().map(ToString::to_string);
        Self { decision, sentences, changes, held }
    }
}
