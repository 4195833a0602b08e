//! The invariants of ARCHITECTURE.md, judged on the truth: at every call that reaches Nova, and
//! at every decision that is published.
//!
//! It shares no code with `decide` and `verify`, and knows what they cannot: what is really
//! there, and what was really sent. Where the truth may differ from what a controller can know
//! (somebody deletes a server between the look and the call), it grants exactly that much.
//!
//! | | checked when | where |
//! |---|---|---|
//! | I1 | a create begins: bodies in any state, creates under way and the new ones together | [`create`] |
//! | I2 | a delete begins (floor), and is taken (velocity) | [`delete`] |
//! | I3 | a delete begins: plan and intent, a look after the decision, whose it really is | [`delete`] |
//! | I4 | a create begins: its line is durable, its launch id was never sent; servers of a launch | [`create`] |
//! | I5 | at the end: no member too many, none that does not serve | `calm` |
//! | I6 | a change begins: age of listing and plan, what a listing lacked of the truth; a create for what serves already | [`change`], [`create`] |
//! | I7 | a change begins under a lease that another has taken over; a pass succeeds under it | [`change`], `world` |
//! | I8 | a decision: each claim's numbers were really sent and still count; what was refused changed nothing; an adoption was ordered | [`input`], [`policies`], [`alerts`], `post`, [`adopt`] |
//! | I9 | at the end: desired is what the reference comes to, whatever was repeated, late or lost | `calm`, `reference` |
//! | I10 | a decision: desired is within the bounds in force then, which are worked out anew | here, [`hours`] |
//! | I11 | a decision: desired does not fall while no sample of some signal can count; an average that lacks servers asks for what they may need, a level falls by a measure alone | here, [`policies`] |
//! | I12 | every call: so many of each kind within any minute, next to none while nothing answers; tries within ten | [`calls`] |
//! | I13 | a decision: desired does not fall within the cooldown | here |
//! | I14 | a change begins: its group is in the configuration; a delete: a large cut of max was confirmed | [`change`], [`cut`] |
//! | freeze | a change begins: nobody has frozen its group | `brake` |
//! | meltdown | a change begins: others did not take too much of what served at once, as far as passes were shown it | [`melt`] |
//! | I15 | at the end: within a span and a number of passes all serve that are desired, and nothing moves | `calm` |
//!
//! What `verify` refuses is a failure too: the controller has to get along without it.
//!
//! That an invalid file never takes effect (I14) cannot be asked here: a world hands the
//! controller groups, and what reads files stands before them. The story of it is
//! `tests/it/stories/reloading.rs::a_file_with_faults_changes_nothing_and_is_told_everywhere`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use novascale::control::act::CALLS_AT_ONCE;
use novascale::domain::claim::{Claim, Source, StepHeld};
use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Found, Observation, Seen};
use novascale::domain::group::Group;
use novascale::domain::id::{InstallId, ServerId, SignalName};
use novascale::domain::plan::Decision;
use novascale::domain::schedule::{Lead, Schedule};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use novascale::store::{Gathered, MemoryStore, Store, Window};

use self::calls::Calls;
use self::cut::Cut;
use self::hours::Hours;
use self::input::Inputs;
use self::melt::Melt;
use self::policies::Told;
use super::nova::Nova;
use super::servers::{Body, State};
use super::trace::Trace;

mod adopt;
mod alerts;
pub mod calls;
mod change;
mod create;
pub mod cut;
mod delete;
pub mod hours;
pub mod input;
pub mod melt;
mod policies;

pub struct Oracle {
    pub groups: Vec<Watch>,
    pub store: Arc<MemoryStore>,
    pub install: InstallId,
    /// The pass that is under way.
    pub context: Option<Context>,
    /// Of the lease that was taken last.
    pub epoch: u64,
    pub calls: Calls,
    looked: BTreeMap<ServerId, Steady>,
}

/// What the oracle remembers of one group.
pub struct Watch {
    pub group: Group,
    /// It is not in the configuration for now.
    pub absent: bool,
    /// The last desired, and the earliest instant at which it may have come to be.
    pub desired: Option<(u32, Steady)>,
    /// Since then a pass may have decided something that was not published.
    pub unsure: Option<Steady>,
    pub ordered: Steady,
    /// When the last sample of each signal was taken.
    pub fed: BTreeMap<SignalName, Steady>,
    pub inputs: Inputs,
    /// Members lost by other hands.
    pub harm: Vec<Steady>,
    pub taken: VecDeque<Steady>,
    /// Servers that somebody ordered to be adopted.
    pub adoptees: BTreeSet<ServerId>,
    /// Passes that tried to launch since one succeeded.
    tries: VecDeque<Steady>,
    pub cut: Cut,
    pub melt: Melt,
    hours: Hours,
    told: Told,
    /// When the decision was made that was told of last.
    newest: Steady,
}

/// What is known of a group by what its newest decision told.
struct Aside {
    desired: Option<(u32, Steady)>,
    unsure: Option<Steady>,
    cut: Cut,
    told: Told,
}

impl Watch {
    pub fn of(group: Group) -> Self {
        Self {
            group,
            absent: false,
            desired: None,
            unsure: None,
            ordered: Steady(0),
            fed: BTreeMap::new(),
            inputs: Inputs::default(),
            harm: Vec::new(),
            taken: VecDeque::new(),
            adoptees: BTreeSet::new(),
            tries: VecDeque::new(),
            cut: Cut::default(),
            melt: Melt::default(),
            hours: Hours::default(),
            told: Told::default(),
            newest: Steady(0),
        }
    }

    /// A decision that was durable before another took over, and is told of after one of the other's:
    /// what went before it is no longer known, and what it came to is not what is remembered.
    fn set_aside(&mut self, decision: &Decision) -> Option<Aside> {
        let at = decision.at.steady;
        if at >= self.newest {
            self.newest = at;
            return None;
        }
        let (desired, unsure) = (self.desired.take(), self.unsure.replace(at));
        Some(Aside { desired, unsure, cut: self.cut, told: self.told.clone() })
    }

    fn put_back(&mut self, aside: Aside) {
        let most = self.told.most().max(aside.told.most());
        (self.desired, self.unsure, self.cut) = (aside.desired, aside.unsure, aside.cut);
        self.told = aside.told;
        self.told.stood(most);
    }

    /// Other bounds are a reason to fall at once.
    pub fn reconfigure(&mut self, group: Group) {
        self.group = group;
        self.hours.forget();
        self.told.reconfigured();
        self.desired = self.desired.map(|_| (0, Steady(0)));
        self.unsure = Some(Steady(0));
    }

    /// All that was kept is gone: what the controller did before binds it no more.
    pub fn forget(&mut self) {
        self.desired = None;
        self.fed.clear();
        self.told.clear();
        self.inputs = Inputs::default();
        self.cut.forget();
        self.melt = Melt::default();
        self.taken.clear();
        self.tries.clear();
    }

    /// Of a signal that some policy reads nothing was measured for so long that no sample can
    /// count, and not for so long that something else counts in its place.
    fn blind(&self, decision: &Decision) -> bool {
        let now = decision.at.steady;
        // Judged by itself; it may have begun before samples went stale, when who sent them left.
        let fallen = |key: &str| {
            let of = |claim: &Claim| matches!(&claim.source, Source::Fallback { policy, .. } if policy == key);
            decision.claims.iter().any(of)
        };
        self.group.policies.iter().filter(|policy| !fallen(&policy.key())).any(|policy| {
            policy.readings().iter().any(|reading| {
                let silent = self.fed.get(&reading.signal).map(|fed| now.since(*fed));
                let stands_in = policy.fallback().is_some_and(|fallback| {
                    silent.is_none_or(|silent| silent > reading.stale_after + fallback.after)
                });
                silent.is_none_or(|silent| silent > reading.stale_after) && !stands_in
            })
        })
    }
}

/// One pass, as far as it has got.
pub struct Context {
    pub group: usize,
    began_at: Steady,
    pub observation: Observation,
    /// How long servers take to boot, as far as was known then.
    learned: Duration,
    /// Of the lease that it runs under.
    pub epoch: u64,
    /// Calls of one pass that may be under way when another takes over.
    at_once: u32,
    /// Changes that it began after another had taken over.
    fenced: u32,
    /// Writes that the disk refused: it could not see then that another had taken over.
    pub refused: u32,
    pub decision: Option<Arc<Decision>>,
}

impl Context {
    fn seen(&self) -> Option<&Seen> {
        match &self.observation {
            Observation::Seen(seen) => Some(seen),
            Observation::Unseen { .. } => None,
        }
    }

    /// When the listing began that it looks at.
    fn began(&self) -> Option<Steady> {
        self.seen().map(|seen| seen.began.steady)
    }
}

impl Oracle {
    pub fn new(groups: Vec<Group>, store: Arc<MemoryStore>, install: InstallId) -> Self {
        let groups = groups.into_iter().map(Watch::of).collect();
        let (looked, calls) = Default::default();
        Self { groups, store, install, context: None, epoch: 0, calls, looked }
    }

    pub fn looked(&mut self, id: &ServerId, now: Steady) {
        self.looked.insert(id.clone(), now);
    }

    /// What would be found of a group after a crash: all that is live, and what was given up.
    pub fn journal(&self, group: usize, now: Now) -> Gathered {
        self.journal_of(group, Window { now, signals: Duration::ZERO, past: Duration::ZERO })
    }

    /// With all that has ended.
    fn whole_journal(&self, group: usize, now: Now) -> Gathered {
        self.journal_of(group, Window { now, signals: Duration::ZERO, past: Duration::MAX })
    }

    fn journal_of(&self, group: usize, window: Window) -> Gathered {
        let read = pin!(self.store.gather(&self.groups[group].group.name, window));
        match read.poll(&mut Task::from_waker(Waker::noop())) {
            Poll::Ready(gathered) => gathered.unwrap(),
            Poll::Pending => panic!("the plain store waits for nothing"),
        }
    }

    /// What nine of ten of the last boots took, where a window's lead rests on it.
    fn learned(&self, group: usize, now: Now) -> Option<Duration> {
        let learns = |schedule: &Schedule| schedule.lead == Lead::Learned;
        if !self.groups[group].group.schedules.iter().any(learns) {
            return None;
        }
        let mut boots = self.journal(group, now).memory.unwrap_or_default().boots;
        boots.sort_unstable();
        let nine = (boots.len() * 9).div_ceil(10).checked_sub(1).map_or(0, |at| boots[at]);
        Some(Duration::from_secs(u64::from(nine)))
    }

    /// A decision is durable, and its calls come next.
    fn published(&mut self, at: usize, decision: &Arc<Decision>, trace: &Trace) {
        let now = decision.at.steady;
        let learned =
            [self.context.as_ref().map(|context| context.learned), self.learned(at, decision.at)];
        let learned: Vec<Duration> = learned.into_iter().flatten().collect();
        let watch = &mut self.groups[at];
        let seen = self.context.as_ref().is_some_and(|context| context.began().is_some());
        // Before the first look nothing is concluded, and nothing done.
        if watch.desired.is_none() && !seen {
            return;
        }
        let max = watch.group.max_ever();
        watch.cut.decided(max, seen.then(|| decision.tally.occupied() - decision.tally.leaving));
        watch.judge_bounds(decision, learned, trace);
        watch.judge_desired(decision, trace);
        watch.judge_inputs(decision, trace);
        watch.judge_policies(decision, trace);
        let desired = decision.desired;
        if watch.desired.is_none_or(|(last, _)| last != desired) {
            // What is not given while a cut of max waits changes nothing.
            let before = watch.desired.filter(|_| watch.cut.waits).map(|(_, changed)| changed);
            let changed = before.or(watch.unsure).unwrap_or(now);
            watch.desired = Some((desired, changed));
        }
        watch.unsure = None;
        if let Some(context) = &mut self.context {
            context.decision = Some(Arc::clone(decision));
        }
    }
}

impl Watch {
    /// The bounds in force, and the most that windows which count ask for: at a time at which it
    /// does not matter how long servers take to boot.
    pub fn in_force(&mut self, at: Wall) -> (Bounds, u32) {
        let Self { group, hours, .. } = self;
        let counting = hours.counting(&group.schedules, at, Duration::ZERO);
        let asks = group.schedules.iter().zip(counting).filter(|(_, counts)| *counts);
        let asks = asks.filter_map(|(schedule, _)| schedule.gives.capacity).max();
        let bounds = hours.bounds((group.bounds, &group.schedules), at, Duration::ZERO);
        (bounds, asks.unwrap_or(0))
    }

    /// I10: the decision's bounds are those in force when it was made. I8: so are its windows.
    fn judge_bounds(&mut self, decision: &Decision, learned: Vec<Duration>, trace: &Trace) {
        let (now, at) = (decision.at.steady, decision.at.wall);
        let Self { group, hours, .. } = self;
        let told = |counting: &[bool]| {
            let each = group.schedules.iter().zip(counting).filter(|(_, counts)| **counts);
            let names: Vec<&String> = each.map(|(schedule, _)| &schedule.name).collect();
            names == decision.schedules.iter().map(|window| &window.name).collect::<Vec<_>>()
        };
        let mut right = false;
        for learned in learned {
            let counting = hours.counting(&group.schedules, at, learned);
            let bounds = hours.bounds((group.bounds, &group.schedules), at, learned);
            right |= told(&counting) && bounds == decision.bounds;
            // Without a lead that is learned there is no more than one answer.
            if !group.schedules.iter().any(|schedule| schedule.lead == Lead::Learned) {
                break;
            }
        }
        if !right {
            let said =
                format!("{:?} by {:?} are not in force", decision.bounds, decision.schedules);
            trace.broken(now, "I10", &said);
        }
    }

    /// I10, I11, I13.
    fn judge_desired(&self, decision: &Decision, trace: &Trace) {
        let (now, desired) = (decision.at.steady, decision.desired);
        // They were judged to be those in force.
        let bounds = decision.bounds;
        if bounds.clamp(desired) != desired {
            trace.broken(now, "I10", &format!("desired {desired} is outside {bounds:?}"));
        }
        let Some((last, changed)) = self.desired else { return };
        if desired >= bounds.clamp(last) || decision.claims.iter().any(is_pin) {
            return;
        }
        let cooldown = self.group.behaviour.scale_in.cooldown;
        let idle = self.cut.idle(self.group.max_ever(), decision);
        // What is not given while a cut of max waits cannot be taken away.
        if now.since(changed) < cooldown && self.ordered <= changed && !idle {
            let said = format!("desired fell from {last} to {desired} within the cooldown");
            trace.broken(now, "I13", &said);
        }
        if self.blind(decision) && self.unsure.is_none() {
            let said = format!("desired fell from {last} to {desired} without data");
            trace.broken(now, "I11", &said);
        }
        if decision.claims.iter().any(in_part) && self.unsure.is_none() && !idle {
            let said =
                format!("desired fell from {last} to {desired}, and a load is known in part");
            trace.broken(now, "I11", &said);
        }
    }
}

/// Some who carry load do not count, or nobody can tell whether others took it over.
fn in_part(claim: &Claim) -> bool {
    match &claim.source {
        Source::Average { warming, shifting, whole_silent, .. } => {
            warming + shifting > 0 || *whole_silent
        }
        Source::Step { held, .. } => *held == Some(StepHeld::KnownInPart),
        _ => false,
    }
}

fn is_pin(claim: &Claim) -> bool {
    matches!(claim.source, Source::Pin { .. })
}

impl Nova {
    /// A pass of this group begins, or another one within it.
    pub fn pass_begins(
        &self,
        group: usize,
        observation: Observation,
        epoch: u64,
    ) -> Option<Context> {
        let at = self.clock.now();
        let now = at.steady;
        let mut state = self.state();
        state.forget_harm(group, now);
        let learned = state.oracle.learned(group, at).unwrap_or_default();
        let oracle = &mut state.oracle;
        // What another one's pass recorded may show before that pass is told of.
        if let Some(around) = oracle.context.as_ref().filter(|around| around.decision.is_none()) {
            let watch = &mut oracle.groups[around.group];
            watch.unsure = watch.unsure.or(Some(around.began_at));
            watch.cut.unsure = true;
        }
        let context = Context {
            group,
            began_at: now,
            observation,
            learned,
            epoch,
            // Without a wire calls come one by one.
            at_once: if self.embedded.is_some() { CALLS_AT_ONCE as u32 } else { 1 },
            fenced: 0,
            refused: 0,
            decision: None,
        };
        state.oracle.context.replace(context)
    }

    /// It has ended: what it decided, if that was durable. What was under way around it goes on.
    pub fn pass_ends(&self, group: usize, around: Option<Context>) -> Option<Arc<Decision>> {
        let oracle = &mut self.state().oracle;
        let context = std::mem::replace(&mut oracle.context, around)?;
        let decision = context.decision.clone();
        if decision.is_none() {
            let unsure = &mut oracle.groups[group].unsure;
            *unsure = unsure.or(Some(context.began_at));
            oracle.groups[group].cut.unsure = true;
            oracle.doubt_losses(group, &context);
        }
        decision
    }
}

impl State {
    /// A decision is durable: what it was made from is known from here on.
    pub fn published(&mut self, at: usize, decision: &Arc<Decision>, trace: &Trace) {
        let context = self.oracle.context.take();
        if let Some(Context { observation: Observation::Seen(seen), .. }) = &context {
            let found = seen.lookups.iter().filter_map(|lookup| match &lookup.found {
                Found::Present(server) => Some(server),
                Found::Absent | Found::Unclear(_) => None,
            });
            for server in seen.servers.iter().chain(found) {
                // What a look showed of a server that was restored after it is what it was before.
                if let Some(body) = self.bodies.get_mut(&server.id)
                    && (body.shown.is_some() || body.touched <= seen.began.steady)
                {
                    body.shown = Some(seen.began.steady);
                }
            }
            self.oracle.judge_losses(at, seen, decision.at);
        }
        let aside = self.oracle.groups[at].set_aside(decision);
        self.judge_silence(at, decision, trace);
        self.oracle.context = context;
        self.oracle.published(at, decision, trace);
        aside.into_iter().for_each(|aside| self.oracle.groups[at].put_back(aside));
    }

    /// Carries the group's tag.
    pub fn member(&self, body: &Body, group: usize) -> bool {
        body.server.has_tag(&self.oracle.groups[group].group.tag)
    }

    pub fn members(&self, group: usize) -> impl Iterator<Item = &Body> {
        self.bodies.values().filter(move |body| self.member(body, group))
    }

    pub fn serving(&self, group: usize) -> usize {
        self.members(group).filter(|body| body.serves()).count()
    }

    /// What people did long ago excuses nothing.
    pub fn forget_harm(&mut self, group: usize, at: Steady) {
        let start = at.minus(Duration::from_secs(120));
        self.oracle.groups[group].harm.retain(|then| *then > start);
    }

    /// A launch succeeded: the count of failing tries begins anew.
    pub fn launched(&mut self) {
        if let Some(context) = &self.oracle.context {
            self.oracle.groups[context.group].tries.clear();
        }
    }
}
