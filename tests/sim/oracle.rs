//! The invariants of ARCHITECTURE.md, judged on the truth: at every create and delete that
//! reaches Nova, and at every decision that is published.
//!
//! It shares no code with `decide` and `verify`, and knows what they cannot: what is really
//! there. Where the truth may differ from what a controller can know (somebody deletes a
//! server between the look and the call), it grants exactly that much.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use novascale::cloud::Create;
use novascale::domain::fleet::{Found, Observation};
use novascale::domain::group::Group;
use novascale::domain::id::{InstallId, ServerId, mark};
use novascale::domain::intent::{Intent, State as Progress};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::policy::Policy;
use novascale::domain::server::Status;
use novascale::domain::time::{Now, Steady};
use novascale::store::{MemoryStore, Store, Window};

use super::nova::{Body, State};
use super::trace::Trace;

/// Listings of one region in a minute: one every half second after calls, and some slack.
const LISTINGS_A_MINUTE: usize = 130;
/// Passes of one group in ten minutes that may try to launch while every try fails: the first
/// ones come close together, the later ones half of the longest wait apart in the mean, and
/// chance may triple that.
fn failing_tries(group: &Group) -> usize {
    let later = 600 / (group.launch.backoff.most.as_secs() / 2).max(1);
    40 + 3 * usize::try_from(later).unwrap()
}

pub struct Oracle {
    pub groups: Vec<Watch>,
    pub store: Arc<MemoryStore>,
    pub install: InstallId,
    /// The pass that is under way.
    pub context: Option<Context>,
    looked: BTreeMap<ServerId, Steady>,
    listings: VecDeque<Steady>,
}

/// What the oracle remembers of one group.
pub struct Watch {
    pub group: Group,
    /// The last desired, and the earliest instant at which it may have come to be.
    pub desired: Option<(u32, Steady)>,
    /// Since then a pass may have decided something that was not published.
    pub unsure: Option<Steady>,
    pub ordered: Steady,
    /// When the last sample was taken; none before the first.
    pub fed: Option<Steady>,
    /// Members lost by other hands.
    pub harm: Vec<Steady>,
    pub taken: VecDeque<Steady>,
    /// Servers that somebody ordered to be adopted.
    pub adoptees: BTreeSet<ServerId>,
    /// Passes that tried to launch since one succeeded.
    tries: VecDeque<Steady>,
    pub cut: Cut,
}

/// How the configured max stands to the one that was last in force without a doubt.
#[derive(Clone, Copy, Default)]
pub struct Cut {
    accepted: u32,
    /// A person may have said that this max is meant.
    pub confirmed: Option<u32>,
    /// The last decision had to wait for a person.
    pub waits: bool,
    /// A pass may have accepted it and not been published.
    pub unsure: bool,
}

impl Cut {
    fn to(accepted: u32) -> Self {
        Self { accepted, ..Self::default() }
    }

    /// A cut by more than half waits for a person, unless it takes nothing away.
    fn decided(&mut self, max: u32, capacity: Option<u32>) {
        let doubted = max * 2 < self.accepted && self.confirmed != Some(max);
        let takes = capacity.is_none_or(|there| there > max);
        self.waits = doubted && takes && !self.unsure;
        self.unsure = false;
        if !self.waits {
            (self.accepted, self.confirmed) = (max, None);
        }
    }
}

impl Watch {
    pub fn of(group: Group) -> Self {
        let (harm, taken, adoptees, tries) = Default::default();
        let (desired, unsure, fed) = (None, None, None);
        let cut = Cut::to(group.bounds.max);
        let ordered = Steady(0);
        Self { group, desired, unsure, ordered, fed, harm, taken, adoptees, tries, cut }
    }

    /// Other bounds are a reason to fall at once.
    pub fn reconfigure(&mut self, group: Group) {
        self.group = group;
        self.desired = self.desired.map(|_| (0, Steady(0)));
        self.unsure = Some(Steady(0));
    }

    /// All that was kept is gone: what the controller did before binds it no more.
    pub fn forget(&mut self) {
        (self.desired, self.fed) = (None, None);
        self.cut = Cut::to(self.group.bounds.max);
        self.taken.clear();
        self.tries.clear();
    }
}

/// One pass, as far as it has got.
pub struct Context {
    pub group: usize,
    pub observation: Observation,
    pub decision: Option<Arc<Decision>>,
}

impl Context {
    fn began(&self) -> Option<Steady> {
        match &self.observation {
            Observation::Seen(seen) => Some(seen.began.steady),
            Observation::Unseen { .. } => None,
        }
    }
}

impl Context {
    /// I6: nothing is changed without a listing, on one that was stale when the plan was made, or
    /// on a plan that has grown old since.
    fn judge_sight(&self, decision: &Decision, at: Steady, trace: &Trace) {
        let planned = decision.at.steady;
        match self.began() {
            None => trace.broken(at, "I6", "a change without a listing"),
            Some(began) if planned.since(began) > Duration::from_secs(30) => {
                trace.broken(at, "I6", "a change on a stale listing");
            }
            Some(_) => {}
        }
        if at.since(planned) > Duration::from_secs(30) {
            trace.broken(at, "I6", "a plan older than 30 s was acted on");
        }
    }
}

impl Oracle {
    pub fn new(groups: Vec<Group>, store: Arc<MemoryStore>, install: InstallId) -> Self {
        let groups = groups.into_iter().map(Watch::of).collect();
        let (looked, listings) = Default::default();
        Self { groups, store, install, context: None, looked, listings }
    }

    pub fn listed(&mut self, now: Now, trace: &Trace) {
        let start = now.steady.minus(Duration::from_secs(60));
        self.listings.push_back(now.steady);
        while self.listings.front().is_some_and(|at| *at < start) {
            self.listings.pop_front();
        }
        if self.listings.len() > LISTINGS_A_MINUTE {
            trace.broken(now.steady, "I12", &format!("{} listings a minute", self.listings.len()));
        }
    }

    pub fn looked(&mut self, id: &ServerId, now: Steady) {
        self.looked.insert(id.clone(), now);
    }

    /// The journal of a group, as it would be found after a crash.
    pub fn journal(&self, group: usize, now: Now) -> Vec<Intent> {
        let past = Duration::from_secs(8 * 86_400);
        let window = Window { now, signals: Duration::ZERO, past };
        let read = pin!(self.store.gather(&self.groups[group].group.name, window));
        match read.poll(&mut Task::from_waker(Waker::noop())) {
            Poll::Ready(gathered) => gathered.unwrap().intents,
            Poll::Pending => panic!("the plain store waits for nothing"),
        }
    }

    /// A decision is durable, and its calls come next.
    fn published(&mut self, at: usize, decision: &Arc<Decision>, trace: &Trace) {
        let now = decision.at.steady;
        let watch = &mut self.groups[at];
        let seen = self.context.as_ref().is_some_and(|context| context.began().is_some());
        // Before the first look nothing is concluded, and nothing done.
        if watch.desired.is_none() && !seen {
            return;
        }
        let bounds = watch.group.bounds;
        watch.cut.decided(bounds.max, seen.then(|| decision.tally.capacity()));
        let desired = decision.desired;
        if bounds.clamp(desired) != desired {
            trace.broken(now, "I10", &format!("desired {desired} is outside {bounds:?}"));
        }
        if let Some((last, changed)) = watch.desired
            && desired < bounds.clamp(last)
        {
            let cooldown = watch.group.behaviour.scale_in.cooldown;
            let pinned = decision.claims.iter().any(is_pin);
            if now.since(changed) < cooldown && watch.ordered <= changed && !pinned {
                let said = format!("desired fell from {last} to {desired} within the cooldown");
                trace.broken(now, "I13", &said);
            }
            if watch.blind(now) && !pinned && watch.unsure.is_none() {
                let said = format!("desired fell from {last} to {desired} without data");
                trace.broken(now, "I11", &said);
            }
        }
        if watch.desired.is_none_or(|(last, _)| last != desired) {
            watch.desired = Some((desired, watch.unsure.unwrap_or(now)));
        }
        watch.unsure = None;
        if let Some(context) = &mut self.context {
            context.decision = Some(Arc::clone(decision));
        }
    }
}

fn is_pin(claim: &novascale::domain::claim::Claim) -> bool {
    matches!(claim.source, novascale::domain::claim::Source::Pin { .. })
}

impl Watch {
    /// Nothing was measured for so long that no sample can count.
    fn blind(&self, now: Steady) -> bool {
        let longest = self.group.policies.iter().map(|policy| match policy {
            Policy::Target(target) => target.stale_after,
        });
        let Some(longest) = longest.max() else { return false };
        self.fed.is_none_or(|fed| now.since(fed) > longest)
    }
}

impl State {
    /// A decision is durable: what it was made from is known from here on.
    pub fn published(&mut self, at: usize, decision: &Arc<Decision>, trace: &Trace) {
        if let Some(Context { observation: Observation::Seen(seen), .. }) = &self.oracle.context {
            let found = seen.lookups.iter().filter_map(|lookup| match &lookup.found {
                Found::Present(server) => Some(server),
                Found::Absent | Found::Unclear(_) => None,
            });
            for server in seen.servers.iter().chain(found) {
                if let Some(body) = self.bodies.get_mut(&server.id) {
                    body.shown = Some(seen.began.steady);
                }
            }
        }
        self.oracle.published(at, decision, trace);
    }

    pub fn judge_create(&mut self, request: &Create, now: Now, trace: &Trace) {
        let at = now.steady;
        self.changes += 1;
        let Some(context) = self.oracle.context.take() else {
            trace.broken(at, "I4", "a create that no pass made");
            return;
        };
        if let Some(decision) = context.decision.clone() {
            let journal = self.oracle.journal(context.group, now);
            context.judge_sight(&decision, at, trace);
            self.judge_intent(request, &journal, at, trace);
            self.judge_room(request, &context, &journal, at, trace);
            self.judge_need(request, &context, &journal, &decision, at, trace);
        } else {
            trace.broken(at, "I4", "a create before its decision was durable");
        }
        let watch = &mut self.oracle.groups[context.group];
        let passed = context.decision.as_ref().map_or(at, |d| d.at.steady);
        if watch.tries.back() != Some(&passed) {
            watch.tries.push_back(passed);
        }
        let start = at.minus(Duration::from_secs(600));
        while watch.tries.front().is_some_and(|then| *then < start) {
            watch.tries.pop_front();
        }
        if watch.tries.len() > failing_tries(&watch.group) {
            trace.broken(at, "I12", &format!("{} tries in ten minutes", watch.tries.len()));
        }
        self.oracle.context = Some(context);
    }

    /// I4: a durable intent with a launch id of its own precedes each create.
    fn judge_intent(&self, request: &Create, journal: &[Intent], at: Steady, trace: &Trace) {
        let line = journal.iter().find_map(|intent| {
            let launch = intent.launch().filter(|launch| launch.launch == request.launch)?;
            Some((intent, launch))
        });
        match line {
            None => trace.broken(at, "I4", "a create without an intent"),
            Some((intent, launch)) if intent.state != Progress::Open || launch.n != request.n => {
                trace.broken(at, "I4", &format!("a create for an intent that is {intent:?}"));
            }
            Some(_) => {}
        }
        let sent = self.late.iter().any(|(_, late)| late.launch == request.launch);
        if sent || self.made.contains_key(&request.launch) {
            trace.broken(at, "I4", "one intent was sent twice");
        }
    }

    /// I1: servers in any state, open intents and the new ones together stay within max. What a
    /// launch brings that was given up counts from when it is shown.
    fn judge_room(
        &self,
        request: &Create,
        context: &Context,
        journal: &[Intent],
        at: Steady,
        trace: &Trace,
    ) {
        let group = &self.oracle.groups[context.group].group;
        let began = context.began().unwrap_or(at);
        let there = self.bodies.values().filter(|b| self.member(b, context.group) && !b.soft());
        let there: Vec<&Body> =
            there.filter(|b| b.touched <= began && self.told_of(b, journal)).collect();
        let on_the_way: u32 = self
            .late
            .iter()
            .filter(|(_, late)| late.group == group.name && alive(journal, late))
            .map(|(_, late)| late.n)
            .sum();
        let sum = u32::try_from(there.len()).unwrap() + on_the_way + request.n;
        if sum > group.bounds.max {
            let there: Vec<String> = there.iter().map(|body| body.in_words()).collect();
            let said = format!(
                "{on_the_way} on the way and {} new ones exceed {} beside {there:?}",
                request.n, group.bounds.max
            );
            trace.broken(at, "I1", &said);
        }
    }

    /// I6: what serves for all that is known is not launched again.
    fn judge_need(
        &self,
        request: &Create,
        context: &Context,
        journal: &[Intent],
        decision: &Decision,
        at: Steady,
        trace: &Trace,
    ) {
        let Some(began) = context.began() else { return };
        let group = &self.oracle.groups[context.group].group;
        let leaving = |body: &Body| {
            journal.iter().any(|intent| {
                intent.state.live()
                    && intent.terminate().is_some_and(|t| t.server == body.server.id)
            })
        };
        let counts = |body: &&Body| {
            let building = body.server.status == Status::Build
                && began.since(body.made).saturating_add(Duration::from_secs(120))
                    < group.patience.build;
            self.member(body, context.group)
                && body.shown.is_some_and(|shown| body.touched <= shown)
                && body.made < began
                && (body.serves() && body.built <= began || building && !body.deleting())
                && !leaving(body)
        };
        let there = u32::try_from(self.bodies.values().filter(counts).count()).unwrap();
        if there + request.n > decision.desired {
            let said = format!(
                "{there} serve or are built, {} more are launched, {} are desired",
                request.n, decision.desired
            );
            trace.broken(at, "I6", &said);
        }
    }

    /// Carries the group's tag.
    pub fn member(&self, body: &Body, group: usize) -> bool {
        body.server.has_tag(&self.oracle.groups[group].group.tag)
    }

    /// Shown, or of a launch that still counts. A controller that lost its state, or was not
    /// yet shown what somebody tagged, cannot count it; nor what an unreachable cell hides of
    /// a launch that two complete listings, a settling time apart, showed in part.
    fn told_of(&self, body: &Body, journal: &[Intent]) -> bool {
        let launched = body.server.launch();
        let live = journal.iter().filter(|intent| intent.state.live());
        let mut launches = live.filter_map(Intent::launch);
        body.shown.is_some() || launches.any(|launch| Some(&launch.launch) == launched.as_ref())
    }

    pub fn judge_delete(&mut self, id: &ServerId, now: Now, trace: &Trace) {
        let at = now.steady;
        self.changes += 1;
        let Some(context) = self.oracle.context.take() else {
            trace.broken(at, "I3", "a delete that no pass made");
            return;
        };
        self.judge_delete_of(id, &context, now, trace);
        self.oracle.context = Some(context);
    }

    fn judge_delete_of(&mut self, id: &ServerId, context: &Context, now: Now, trace: &Trace) {
        let at = now.steady;
        let Some(decision) = context.decision.clone() else {
            trace.broken(at, "I4", "a delete before its decision was durable");
            return;
        };
        let planned = decision.plan.iter().any(|action| match action {
            Action::Terminate { server, .. } => server == id,
            Action::Launch { .. } | Action::Adopt { .. } => false,
        });
        let recorded = self.oracle.journal(context.group, now).iter().any(|intent| {
            intent.state == Progress::Open && intent.terminate().is_some_and(|t| t.server == *id)
        });
        if !planned || !recorded {
            trace.broken(at, "I3", &format!("a delete of {id} without plan and intent"));
        }
        self.judge_cut(context, &decision, at, trace);
        context.judge_sight(&decision, at, trace);
        let looked = self.oracle.looked.get(id).copied().unwrap_or_default();
        if looked < decision.at.steady {
            trace.broken(at, "I3", &format!("{id} was not looked at before its delete"));
        }
        let Some(body) = self.bodies.get(id).cloned() else { return };
        if body.touched <= looked && !self.ours(&body, context.group) {
            trace.broken(at, "I3", &format!("{id} is not ours to delete"));
        }
        if body.serves() {
            self.judge_floor(context, &decision, at, trace);
        }
    }

    /// I14: while a large cut of max waits for a person, nothing goes but what exceeds the old one.
    fn judge_cut(&self, context: &Context, decision: &Decision, at: Steady, trace: &Trace) {
        let watch = &self.oracle.groups[context.group];
        let surplus = |a: &&Action| matches!(a, Action::Terminate { cause: Cause::Surplus, .. });
        let going = decision.plan.iter().filter(surplus).count();
        let spare = decision.tally.capacity().saturating_sub(watch.cut.accepted) as usize;
        if watch.cut.waits && going > spare {
            let (from, to) = (watch.cut.accepted, watch.group.bounds.max);
            let said = format!("{going} go by a cut of max from {from} to {to} without a word");
            trace.broken(at, "I14", &said);
        }
    }

    /// I8: what is adopted was ordered by a person, and stands in the journal.
    pub fn judge_adoption(&mut self, id: &ServerId, now: Now, trace: &Trace) {
        self.changes += 1;
        let Some(context) = &self.oracle.context else {
            trace.broken(now.steady, "I8", "an adoption that no pass made");
            return;
        };
        let of = |intent: &Intent| intent.adopt().is_some_and(|adopt| adopt.server == *id);
        let mut journal = self.oracle.journal(context.group, now).into_iter();
        if !journal.any(|intent| intent.state == Progress::Open && of(&intent)) {
            trace.broken(now.steady, "I4", &format!("{id} is adopted without an intent"));
        }
        if !self.oracle.groups[context.group].adoptees.contains(id) {
            trace.broken(now.steady, "I8", &format!("nobody ordered to adopt {id}"));
        }
    }

    fn ours(&self, body: &Body, group: usize) -> bool {
        let meta = |key: &str| body.server.metadata.get(key).map(String::as_str);
        self.member(body, group)
            && meta(mark::INSTALL) == Some(self.oracle.install.as_str())
            && meta(mark::GROUP) == Some(self.oracle.groups[group].group.name.as_str())
            && !body.server.locked
            && !body.server.protected()
    }

    /// I2: nothing that serves goes under min, and the last one only when none is desired.
    fn judge_floor(&self, context: &Context, decision: &Decision, at: Steady, trace: &Trace) {
        let watch = &self.oracle.groups[context.group];
        let serving = self.bodies.values().filter(|b| self.member(b, context.group) && b.serves());
        let serving = u32::try_from(serving.count()).unwrap();
        let began = context.began().unwrap_or(at);
        let harm = watch.harm.iter().filter(|then| **then > began).count();
        let left = serving - 1 + u32::try_from(harm).unwrap();
        let floor = watch.group.bounds.floor();
        if left < floor {
            let said = format!("{serving} serve, and one goes though min is {floor}");
            trace.broken(at, "I2", &said);
        }
        if left == 0 && decision.desired > 0 {
            trace.broken(at, "I2", "the last server goes though one is desired");
        }
    }

    /// A server that served is on its way out by our doing. I2: not too many at once.
    pub fn taken(&mut self, trace: &Trace) {
        let Some(Context { group, decision: Some(decision), .. }) = &self.oracle.context else {
            return;
        };
        // It counts from when it was decided: a call may be long on its way.
        let (group, at) = (*group, decision.at.steady);
        let watch = &mut self.oracle.groups[group];
        let minute = at.minus(Duration::from_secs(60));
        watch.taken.push_back(at);
        while watch.taken.front().is_some_and(|then| *then <= minute) {
            watch.taken.pop_front();
        }
        let harmed = watch.harm.iter().filter(|then| **then > minute).count();
        let taken = watch.taken.len();
        let serving = self.bodies.values().filter(|b| self.member(b, group) && b.serves()).count();
        let velocity = self.oracle.groups[group].group.behaviour.scale_in.velocity;
        let allowed = velocity.percent / 100.0 * (serving + taken + harmed) as f64;
        let allowed = (allowed.floor() as usize).max(1);
        if taken > allowed {
            trace.broken(at, "I2", &format!("{taken} went within a minute, {allowed} may"));
        }
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

/// Whether the create's intent is still counted.
fn alive(journal: &[Intent], late: &Create) -> bool {
    let of = |i: &&Intent| i.launch().is_some_and(|launch| launch.launch == late.launch);
    journal.iter().find(of).is_some_and(|intent| intent.state.live())
}
