//! The second judge: what must hold of any decision, checked by rules of its own.
//!
//! It recounts from the snapshot, in the plainest way, and shares no arithmetic with
//! the planner: a fault there must not excuse itself here. A decision that breaks a rule
//! is not carried out. The names are those of ARCHITECTURE.md's list of invariants.

mod meltdown;
mod pause;
mod stability;

use std::collections::BTreeSet;
use std::fmt;

use super::snapshot::Snapshot;
use crate::domain::adoption::{Adopt, Adoptees, Former};
use crate::domain::behaviour::Velocity;
use crate::domain::fleet::{Found, Observation, Seen};
use crate::domain::id::{ServerId, mark};
use crate::domain::intent::{Intent, State, What};
use crate::domain::plan::{Action, Cause, Decision, Tempering};
use crate::domain::server::{KnownState, Ownership, Server, Status};

/// A rule that a decision breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// All rules that the decision breaks; empty when it may be carried out.
pub fn verify(snapshot: &Snapshot<'_>, decision: &Decision) -> Vec<Violation> {
    let judge = Judge { snapshot, decision };
    [
        judge.ceiling(),
        judge.floor(),
        judge.velocity(),
        judge.ownership(),
        judge.intent_first(),
        judge.one_installation(),
        judge.adoption(),
        judge.sight(),
        judge.bounds(),
        judge.missing_data(),
        judge.fall(),
        judge.rise(),
        judge.frozen(),
        judge.paused(),
        judge.cut(),
        judge.meltdown(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Judge<'a> {
    snapshot: &'a Snapshot<'a>,
    decision: &'a Decision,
}

fn broken(invariant: &'static str, what: String) -> Option<Violation> {
    Some(Violation { invariant, what })
}

impl Judge<'_> {
    fn launched(&self) -> u32 {
        self.decision
            .plan
            .iter()
            .map(|action| match action {
                Action::Launch { launch, .. } => launch.n,
                Action::Terminate { .. } | Action::Adopt { .. } => 0,
            })
            .fold(0, u32::saturating_add)
    }

    fn victims(&self) -> Vec<&ServerId> {
        self.decision
            .plan
            .iter()
            .filter_map(|action| match action {
                Action::Terminate { server, .. } => Some(server),
                Action::Launch { .. } | Action::Adopt { .. } => None,
            })
            .collect()
    }

    fn seen(&self) -> Option<&Seen> {
        match self.snapshot.observation {
            Observation::Seen(seen) => Some(seen),
            Observation::Unseen { .. } => None,
        }
    }

    /// The server as this observation showed it.
    fn shown(&self, id: &ServerId) -> Option<&Server> {
        let seen = self.seen()?;
        let listed = seen.servers.iter().find(|s| s.id == *id);
        let found = seen.lookups.iter().find_map(|l| match &l.found {
            Found::Present(server) if l.id == *id => Some(server),
            Found::Present(_) | Found::Absent | Found::Unclear(_) => None,
        });
        listed.or(found).map(AsRef::as_ref)
    }

    fn all_shown(&self) -> impl Iterator<Item = &Server> {
        let seen = self.seen();
        let listed = seen.into_iter().flat_map(|s| s.servers.iter());
        let found =
            seen.into_iter().flat_map(|s| s.lookups.iter()).filter_map(|l| match &l.found {
                Found::Present(server) => Some(server),
                Found::Absent | Found::Unclear(_) => None,
            });
        listed.chain(found).map(AsRef::as_ref)
    }

    fn looked_up_absent(&self, id: &ServerId) -> bool {
        let absent = |l: &crate::domain::fleet::Lookup| l.id == *id && l.found == Found::Absent;
        self.seen().is_some_and(|seen| seen.lookups.iter().any(absent))
    }

    fn proved_absent(&self, id: &ServerId) -> bool {
        let deleted = |i: &Intent| {
            matches!(i.state, State::Closed { done: 1.., .. })
                && i.terminate().is_some_and(|t| t.server == *id)
        };
        self.looked_up_absent(id) || self.snapshot.intents.iter().any(deleted)
    }

    /// Every server that may exist as a member: shown, or known and not proved absent.
    fn standing(&self) -> BTreeSet<ServerId> {
        let known = self.snapshot.known.iter().filter(|k| k.state.lives()).map(|k| &k.id);
        let listed = self.seen().into_iter().flat_map(|s| s.servers.iter().map(|s| &s.id));
        known
            .chain(listed)
            .filter(|id| !self.proved_absent(id))
            .filter(|id| {
                self.shown(id).is_none_or(|s| {
                    !matches!(s.status, Status::SoftDeleted | Status::Deleted)
                        && s.has_tag(&self.snapshot.group.tag)
                })
            })
            .cloned()
            .collect()
    }

    /// I1: servers in any state + open intents + n ≤ max.
    fn ceiling(&self) -> Option<Violation> {
        let launched = self.launched();
        if launched == 0 {
            return None;
        }
        let standing = self.standing();
        let open: u32 = self
            .snapshot
            .intents
            .iter()
            .filter(|i| i.state.live() && !self.moved_on(i))
            .filter_map(|i| i.launch())
            .map(|launch| launch.n.saturating_sub(self.came(&launch.launch)))
            .fold(0, u32::saturating_add);
        let open = open.saturating_add(self.adopting(&standing));
        let total = standing.len() as u64 + u64::from(open) + u64::from(launched);
        let max = self.snapshot.bounds().max;
        if total <= u64::from(max) {
            return None;
        }
        let stand = standing.len();
        broken("I1", format!("{launched} more beside {stand} and {open} coming exceed max {max}"))
    }

    /// Servers that this decision makes members.
    fn adopting(&self, standing: &BTreeSet<ServerId>) -> u32 {
        let adopted = self.adopted().filter(|adopt| !standing.contains(&adopt.server));
        u32::try_from(adopted.count()).unwrap_or(u32::MAX)
    }

    fn adopted(&self) -> impl Iterator<Item = &Adopt> {
        self.decision.plan.iter().filter_map(|action| match action {
            Action::Adopt { adopt, .. } => Some(adopt),
            Action::Launch { .. } | Action::Terminate { .. } => None,
        })
    }

    /// The decision itself closed or gave up the intent, by the settling rules.
    fn moved_on(&self, intent: &Intent) -> bool {
        self.decision.changes.intents.iter().any(|i| i.id == intent.id && !i.state.live())
    }

    fn came(&self, launch: &crate::domain::id::LaunchId) -> u32 {
        let known = self.snapshot.known.iter().filter(|k| k.launch.as_ref() == Some(launch));
        let mut ids: BTreeSet<&ServerId> = known.map(|k| &k.id).collect();
        if let Some(seen) = self.seen() {
            let listed = seen.servers.iter().filter(|s| s.launch().as_ref() == Some(launch));
            ids.extend(listed.map(|s| &s.id));
        }
        u32::try_from(ids.len()).unwrap_or(u32::MAX)
    }

    /// I2: terminations leave at least the floor serving; the last server goes alone.
    fn floor(&self) -> Option<Violation> {
        let victims = self.victims();
        if victims.is_empty() {
            return None;
        }
        let serving: BTreeSet<&ServerId> =
            self.all_shown().filter(|s| serves(s)).map(|s| &s.id).collect();
        let going = victims.into_iter().filter(|id| serving.contains(id)).count();
        if going == 0 {
            return None;
        }
        let left = serving.len().saturating_sub(going);
        let floor = self.snapshot.bounds().floor() as usize;
        if left < floor {
            return broken("I2", format!("{left} would serve, below min {floor}"));
        }
        if left == 0 && going > 1 {
            return broken("I2", format!("the last {going} would go at once"));
        }
        if left == 0 && self.decision.desired > 0 {
            return broken("I2", "the last server would go while more are desired".to_owned());
        }
        None
    }

    /// I2: terminations of servers that serve or served keep the velocity.
    fn velocity(&self) -> Option<Violation> {
        let new = self
            .decision
            .changes
            .intents
            .iter()
            .filter(|i| i.state == State::Open && i.terminate().is_some_and(|t| t.served))
            .count();
        if new == 0 {
            return None;
        }
        let start = self.snapshot.now.steady.minus(Velocity::PERIOD);
        let latest = self.snapshot.intents.iter().map(|i| {
            self.decision.changes.intents.iter().find(|changed| changed.id == i.id).unwrap_or(i)
        });
        let asked = latest
            .filter(|i| i.opened.steady > start && i.terminate().is_some_and(|t| t.served))
            .collect::<Vec<_>>();
        let spared = |i: &&&Intent| matches!(i.state, State::Closed { done: 0, .. });
        let unclear = |i: &Intent| i.trouble.as_ref().is_some_and(|t| !t.failure.kind.certain());
        let gone = asked.len() - asked.iter().filter(spared).count();
        let earlier = gone + asked.iter().filter(spared).filter(|i| unclear(i)).count();
        let serving = self.decision.tally.serving as usize;
        let whole = u32::try_from(serving + gone).unwrap_or(u32::MAX);
        let allowed = self.snapshot.group.behaviour.scale_in.velocity.allows(whole) as usize;
        if earlier + new <= allowed {
            return None;
        }
        broken("I2", format!("{new} terminations after {earlier} exceed {allowed} a minute"))
    }

    /// I3: each victim is distinct, was shown with our tag and mark, and is neither locked nor
    /// protected.
    fn ownership(&self) -> Option<Violation> {
        let victims = self.victims();
        let distinct: BTreeSet<&ServerId> = victims.iter().copied().collect();
        if distinct.len() < victims.len() {
            return broken("I3", "one server is terminated twice".to_owned());
        }
        let group = self.snapshot.group;
        let wrong = victims.into_iter().find(|id| {
            self.shown(id).is_none_or(|s| {
                !s.has_tag(&group.tag)
                    || s.ownership(self.snapshot.install, &group.name) != Ownership::Ours
                    || s.locked
                    || s.protected()
            })
        })?;
        broken("I3", format!("server {wrong} is not ours to delete"))
    }

    /// I8: only what somebody ordered is adopted.
    fn adoption(&self) -> Option<Violation> {
        let group = self.snapshot.group;
        let known = |former: &Former, id: &ServerId| {
            let seen = self.seen();
            let mut listed =
                seen.into_iter().flat_map(|s| s.servers.iter().chain(&s.sought.servers));
            listed.any(|server| {
                server.id == *id
                    && former.holds(server, self.snapshot.install, (&group.name, &group.tag))
            })
        };
        let ordered = |adopt: &Adopt| {
            self.snapshot.state.adoptions.iter().any(|order| match (&order.what, &adopt.from) {
                (Adoptees::Servers { servers, untagged }, None) => {
                    servers.contains(&adopt.server) && (*untagged || !adopt.untagged)
                }
                (Adoptees::Renamed { former, .. }, Some(from)) => {
                    former == from && known(former, &adopt.server)
                }
                (Adoptees::Servers { .. }, Some(_)) | (Adoptees::Renamed { .. }, None) => false,
            })
        };
        let stolen = self.adopted().find(|adopt| !ordered(adopt))?;
        broken("I8", format!("nobody ordered to adopt server {}", stolen.server))
    }

    /// I7: while members carry another installation's mark, nothing that serves goes, and only
    /// whose mark is on the oldest member launches.
    fn one_installation(&self) -> Option<Violation> {
        if self.decision.plan.is_empty() {
            return None;
        }
        let install = self.snapshot.install.as_str();
        let there = self.standing();
        let shown = self.all_shown().filter(|s| there.contains(&s.id));
        let marked: Vec<(&Server, bool)> =
            shown.filter_map(|s| Some((s, s.metadata.get(mark::INSTALL)? != install))).collect();
        let oldest = marked.iter().min_by_key(|(s, _)| (s.created.0, &s.id));
        let strangers = marked.iter().any(|(_, theirs)| *theirs);
        let hidden = self.snapshot.known.iter().any(|k| {
            let unseen = there.contains(&k.id) && self.shown(&k.id).is_none();
            unseen && k.ownership == Ownership::OtherInstall
        });
        if !strangers && !hidden {
            return None;
        }
        let surplus = |a: &Action| matches!(a, Action::Terminate { cause: Cause::Surplus, .. });
        if self.decision.plan.iter().any(surplus) {
            return broken("I7", "servers go though another installation works here".to_owned());
        }
        let first = !hidden && oldest.is_some_and(|(_, theirs)| !theirs);
        if first || self.launched() == 0 {
            return None;
        }
        broken("I7", "a launch though another installation was here first".to_owned())
    }

    /// I4: each action stands in the journal, each launch with an id never used before.
    fn intent_first(&self) -> Option<Violation> {
        let journal = &self.decision.changes.intents;
        let missing =
            self.decision.plan.iter().find(|action| {
                !journal.iter().any(|i| i.state == State::Open && writes(i, action))
            });
        if let Some(action) = missing {
            return broken("I4", format!("no journal line stands before {action:?}"));
        }
        let opened = || journal.iter().filter(|i| i.state == State::Open);
        if !opened().any(|i| i.launch().is_some()) {
            return None;
        }
        let used: BTreeSet<_> =
            self.snapshot.intents.iter().filter_map(|i| i.launch().map(|l| &l.launch)).collect();
        let mut fresh = BTreeSet::new();
        let again = opened()
            .filter_map(|i| i.launch())
            .find(|l| used.contains(&l.launch) || !fresh.insert(&l.launch))?;
        broken("I4", format!("launch id {} is used twice", again.launch))
    }

    /// I6: no action without a complete, fresh and plausible listing.
    fn sight(&self) -> Option<Violation> {
        if self.decision.plan.is_empty() {
            return None;
        }
        let Some(seen) = self.seen() else {
            return broken("I6", "actions are planned without a listing".to_owned());
        };
        let age = self.snapshot.now.steady.since(seen.began.steady);
        if age > seen.fresh_for {
            return broken("I6", format!("the listing is {} s old", age.as_secs()));
        }
        let living: Vec<_> = self.snapshot.known.iter().filter(|k| k.state.lives()).collect();
        if let Some(away) = living.iter().find(|k| k.region != self.snapshot.group.region) {
            return broken("I6", format!("server {} is in region {}", away.id, away.region));
        }
        let leaving = |id: &ServerId| {
            self.snapshot
                .intents
                .iter()
                .any(|i| i.state.live() && i.terminate().is_some_and(|t| t.server == *id))
        };
        let missing = living
            .iter()
            .filter(|k| k.first_seen < seen.began.steady || k.state == KnownState::Missing)
            .filter(|k| self.shown(&k.id).is_none() && !self.proved_absent(&k.id))
            .filter(|k| !leaving(&k.id))
            .count();
        let listed = seen.servers.iter().map(|s| &s.id);
        let all = living.iter().map(|k| &k.id).chain(listed).collect::<BTreeSet<_>>().len();
        if missing as f64 > (all as f64 * 0.2).max(2.0) {
            return broken("I6", format!("{missing} of {all} known servers are missing"));
        }
        None
    }

    /// I10: desired is within the bounds, whatever came in.
    fn bounds(&self) -> Option<Violation> {
        let (bounds, desired) = (self.snapshot.bounds(), self.decision.desired);
        if bounds.clamp(desired) == desired {
            return None;
        }
        broken("I10", format!("desired {desired} is outside {} to {}", bounds.min, bounds.max))
    }

    /// What is frozen, or of another project, is left as it is.
    fn frozen(&self) -> Option<Violation> {
        let Snapshot { state, all_frozen, brake, .. } = self.snapshot;
        let held = state.freeze.is_some() || all_frozen.is_some() || brake.is_some();
        if !held || self.decision.plan.is_empty() {
            return None;
        }
        broken("freeze", "actions are planned while nothing may be changed".to_owned())
    }

    /// I14: below half of the max that was accepted last, nothing that is only more than desired
    /// goes without a word that came later, unless the fleet is no larger than the new max.
    fn cut(&self) -> Option<Violation> {
        let Snapshot { group, state, memory, .. } = self.snapshot;
        let last = memory.and_then(|memory| memory.accepted)?;
        let max = group.max_ever();
        let surplus = |a: &&Action| matches!(a, Action::Terminate { cause: Cause::Surplus, .. });
        let going = self.decision.plan.iter().filter(surplus).count() as u64;
        let confirmed =
            state.confirmed.is_some_and(|word| word.max == max && word.at.steady >= last.since);
        if going == 0 || confirmed || u64::from(max) * 2 >= u64::from(last.max) {
            return None;
        }
        let tally = &self.decision.tally;
        let before = u64::from(tally.serving + tally.building + tally.unsure + tally.coming);
        if before <= u64::from(max) || before >= u64::from(last.max) + going {
            return None;
        }
        let from = last.max;
        broken("I14", format!("{going} go by a cut of max from {from} to {max} that waits"))
    }

    /// I11: while a measured claim is unknown, desired does not fall, but for the bounds.
    fn missing_data(&self) -> Option<Violation> {
        let pinned = self.decision.tempering.iter().any(|t| matches!(t, Tempering::Pinned { .. }));
        let last = self.snapshot.memory.and_then(|m| m.desired)?;
        let last = self.snapshot.bounds().clamp(last);
        let blind = self.decision.claims.iter().any(|c| c.source.measured() && c.blind());
        if pinned || !blind || self.decision.desired >= last {
            return None;
        }
        let desired = self.decision.desired;
        broken("I11", format!("desired falls from {last} to {desired} on missing data"))
    }
}

/// Up, or for a moment away from it, and not on its way out.
fn serves(server: &Server) -> bool {
    let up = matches!(
        server.status,
        Status::Active
            | Status::Migrating
            | Status::Password
            | Status::Resize
            | Status::VerifyResize
            | Status::RevertResize
            | Status::Reboot
            | Status::HardReboot
            | Status::Rebuild
    );
    up && !server.deleting
}

fn writes(intent: &Intent, action: &Action) -> bool {
    match (action, &intent.what) {
        (Action::Launch { intent: id, launch }, What::Launch(line)) => {
            *id == intent.id && launch == line
        }
        (Action::Terminate { intent: id, server, .. }, What::Terminate(line)) => {
            *id == intent.id && *server == line.server
        }
        (Action::Adopt { intent: id, adopt }, What::Adopt(line)) => {
            *id == intent.id && adopt == line
        }
        (Action::Launch { .. }, What::Terminate(_) | What::Adopt(_))
        | (Action::Terminate { .. }, What::Launch(_) | What::Adopt(_))
        | (Action::Adopt { .. }, What::Launch(_) | What::Terminate(_)) => false,
    }
}
