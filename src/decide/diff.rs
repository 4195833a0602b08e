//! Desired minus fleet = plan: launches, terminations, and what is waited for.
//!
//! It plans only on a complete, fresh and plausible listing. Launches take room under
//! the ceiling, counting servers in any state; terminations keep the floor and the
//! velocity. Servers that ended in ERROR, or never left BUILD, are swept: those that
//! never served outside the velocity, but not more than a few at a time.

use std::collections::{BTreeMap, BTreeSet};

mod launching;

use super::adopt::{Adoptee, adopt};
use super::backoff::{Wait, delete_wait, deletes_wait};
use super::cut::Cut;
use super::pause::paused;
use super::rivals::{Rivals, rivals};
use super::settle::Fleet;
use super::snapshot::Snapshot;
use super::victim;
use super::{Draws, sooner};
use crate::domain::adoption::{Adopt, Over};
use crate::domain::behaviour::Velocity;
use crate::domain::fleet::{Member, Standing};
use crate::domain::id::{IntentId, LaunchId, ServerId, Tag};
use crate::domain::intent::{Intent, State, Terminate, What};
use crate::domain::outcome::FailureKind;
use crate::domain::pause::Process;
use crate::domain::plan::{Action, Cause, Held, Waiting};
use crate::domain::server::Ownership;
use crate::domain::time::{Steady, left_secs};

/// The most create calls of one pass: with the largest batch, far above any quota.
pub const LAUNCHES_MOST: usize = 10;
/// The most delete calls of one pass: each costs a GET beside it.
pub const TERMINATIONS_MOST: usize = 30;

/// What is to be done now.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    pub actions: Vec<Action>,
    /// The journal lines of the actions.
    pub intents: Vec<Intent>,
    pub waiting: Vec<Waiting>,
    pub wake: Option<Steady>,
    /// Orders to adopt that are over, and tags to be listed for the others.
    pub adopted: Over,
    pub sought: Vec<Tag>,
}

/// Plans the way from the fleet to desired.
pub fn diff(snapshot: &Snapshot<'_>, fleet: &Fleet, desired: u32, draws: &mut dyn Draws) -> Diff {
    let no_deletes = deletes_wait(&fleet.intents, &snapshot.group.launch.backoff);
    let (rivals, out) = (rivals(&fleet.members, snapshot.install), Diff::default());
    let arriving = 0;
    let mut planner =
        Planner { snapshot, fleet, desired, draws, no_deletes, rivals, arriving, out };
    let stops = planner.stops();
    let obstacle = planner.obstacle();
    // Adopting them is the way out where members carry another installation's mark.
    let may_adopt = matches!(obstacle, None | Some(Waiting::OtherInstall { .. }));
    planner.adopt(stops.is_empty() && may_adopt);
    let free = stops.is_empty() && obstacle.is_none();
    planner.out.waiting.splice(0..0, stops.into_iter().chain(obstacle));
    if free {
        planner.sweep();
        if !planner.rivalled() {
            planner.shrink();
        }
        planner.grow();
    }
    planner.say_what_is_under_way();
    planner.out
}

struct Planner<'a> {
    snapshot: &'a Snapshot<'a>,
    fleet: &'a Fleet,
    desired: u32,
    draws: &'a mut dyn Draws,
    /// What keeps every delete, if anything does.
    no_deletes: Option<Wait>,
    rivals: Option<Rivals>,
    /// Servers that are being adopted and are no members yet.
    arriving: u32,
    out: Diff,
}

impl<'a> Planner<'a> {
    /// Who or what stopped the group, until a person lets it go on.
    fn stops(&self) -> Vec<Waiting> {
        let (group, now) = (&self.snapshot.group.name, self.snapshot.now);
        let mut stops = self.snapshot.holds().waiting(group, now);
        stops.extend(self.fleet.losses.melted.as_ref().map(|melted| Waiting::Meltdown {
            group: group.clone(),
            lost: count(melted.lost.len()),
            of: melted.of,
            for_secs: now.steady.since(melted.since).as_secs(),
        }));
        stops
    }

    /// Why nothing at all may be done now.
    fn obstacle(&self) -> Option<Waiting> {
        let now = self.snapshot.now;
        let Some(seen) = self.snapshot.seen() else {
            return Some(unseen(self.snapshot));
        };
        let age = now.steady.since(seen.began.steady);
        if age > seen.fresh_for {
            Some(Waiting::Stale { age_secs: age.as_secs() })
        } else if let Some((n, region)) = self.fleet.elsewhere.clone() {
            Some(Waiting::Elsewhere { n, region })
        } else if self.fleet.implausible() {
            let (missing, known) = (self.fleet.missing, self.fleet.living);
            Some(Waiting::Implausible { missing, known })
        } else {
            let first = self.rivals.as_ref().filter(|rivals| !rivals.second);
            first.map(|Rivals { n, install, .. }| Waiting::OtherInstall {
                n: *n,
                install: install.clone(),
            })
        }
    }

    /// What operators ordered to be adopted, as far as it is due.
    fn adopt(&mut self, sound: bool) {
        let adopting = adopt(self.snapshot, self.fleet, sound);
        self.arriving = adopting.arriving;
        self.out.waiting.extend(adopting.waiting);
        (self.out.adopted, self.out.sought) = (adopting.over, adopting.sought);
        self.out.wake = sooner(self.out.wake, adopting.wake);
        for Adoptee { server, untagged, from, .. } in adopting.now {
            let intent = IntentId::from_bits(self.draws.bits());
            let launch = LaunchId::from_bits(self.draws.bits());
            let adopt = Adopt { server, launch, untagged, from };
            self.open(intent.clone(), What::Adopt(adopt.clone()));
            self.out.actions.push(Action::Adopt { intent, adopt });
        }
    }

    /// Whether a later installation works on the group: then nothing that serves is taken away.
    fn rivalled(&mut self) -> bool {
        let rival = self.rivals.as_ref();
        let rival = rival
            .map(|Rivals { n, install, .. }| Waiting::Rival { n: *n, install: install.clone() });
        self.out.waiting.extend(rival);
        self.rivals.is_some()
    }

    /// Failed servers that are ours go, and so do those that Nova keeps deleting in vain.
    fn sweep(&mut self) {
        let ours = self.fleet.members.iter().filter(|m| m.ownership == Ownership::Ours && !m.kept);
        let (failed, leaving): (Vec<&Member>, Vec<&Member>) = ours
            .filter(|m| m.standing == Standing::Failed || self.stuck_leaving(m))
            .partition(|m| m.standing == Standing::Failed);
        let failed = if self.rests(Process::Heal, Held::Swept(count(failed.len()))) {
            leaving
        } else {
            failed.into_iter().chain(leaving).collect()
        };
        let mut allowed = self.velocity_left();
        for member in failed {
            let cause = match &member.server {
                None => continue,
                // What Nova cannot tell of now is deleted on no older word.
                Some(server) if !server.deleting && !server.status.tells() => continue,
                Some(server) if server.status.word() == "ERROR" => Cause::Error,
                Some(_) => Cause::Stuck,
            };
            // Asking again for what leaves already takes nothing away.
            let counts = member.served && member.standing == Standing::Failed;
            if counts && allowed == 0 {
                self.wait_for_velocity();
                continue;
            }
            if self.terminate(member, cause, counts) && counts {
                allowed -= 1;
            }
        }
    }

    /// Nova says that it is being deleted, but no live intent of ours asks for it any more.
    fn stuck_leaving(&self, member: &Member) -> bool {
        let asked = self
            .fleet
            .intents
            .iter()
            .filter(|i| i.terminate().is_some_and(|t| t.server == member.id))
            .collect::<Vec<_>>();
        member.standing == Standing::Leaving
            && !asked.is_empty()
            && !asked.iter().any(|i| i.state.live())
    }

    /// What is more than desired goes, the newest first.
    fn shrink(&mut self) {
        let (tally, end) = (&self.fleet.tally, self.end_of_shrinking());
        let excess = tally.capacity().saturating_sub(end);
        if self.rests(Process::Terminate, Held::Terminated(excess)) || excess == 0 {
            return;
        }
        let (chosen, built) = self.surplus(excess);
        if built > 0 {
            self.out.waiting.push(Waiting::Building { n: built });
        }
        // What serves stays at or above that, whatever is still on its way.
        let spare = tally.serving.saturating_sub(end);
        let allowed = self.velocity_left();
        let mut going = count(chosen.len()).min(spare).min(allowed);
        // The last server goes alone.
        if going > 1 && going == tally.serving {
            going -= 1;
        }
        for member in chosen.iter().take(going as usize) {
            self.terminate(member, Cause::Surplus, member.served);
        }
        let wanted_to_go = count(chosen.len()).min(spare);
        if wanted_to_go > allowed {
            self.wait_for_velocity();
        }
        let able = count(victim::order(&self.fleet.members).len());
        let unable = excess.saturating_sub(able + tally.coming + tally.unsure);
        if unable > 0 {
            self.out.waiting.push(Waiting::Kept { n: unable });
        }
    }

    /// How many stay: those desired, and all that the last max allowed while a large cut of it
    /// waits for a person's word.
    fn end_of_shrinking(&mut self) -> u32 {
        let cut = Cut::of(self.snapshot, &self.fleet.tally);
        let Some(waiting) = cut.waiting(self.snapshot) else { return self.desired };
        // It is what a person has to read first.
        self.out.waiting.insert(0, waiting);
        self.desired.max(cut.accepted.max)
    }

    /// Whether the process is paused; it is said if that holds anything back.
    fn rests(&mut self, process: Process, held: Held) -> bool {
        let Some(waiting) = paused(self.snapshot, process, held) else { return false };
        let none = matches!(held, Held::Launched(0) | Held::Terminated(0) | Held::Swept(0));
        self.out.waiting.extend((!none).then_some(waiting));
        true
    }

    /// Of the `excess` that is to leave: those that can go now, and how many are still built.
    fn surplus(&mut self, excess: u32) -> (Vec<&'a Member>, u32) {
        let order = victim::order(&self.fleet.members);
        let (staying, order): (Vec<&Member>, Vec<&Member>) =
            order.into_iter().partition(|m| self.stays(m));
        if let Some((member, wait)) = staying.iter().find_map(|m| Some((m, self.delete_wait(m)?))) {
            self.wait_to_delete(member, wait);
        }
        let coming = self.fleet.tally.coming;
        let (old, current): (Vec<&Member>, Vec<&Member>) =
            order.into_iter().partition(|m| m.outdated);
        // What is still coming is newer than all that is listed, and current.
        let old_first = (excess as usize).min(old.len());
        let rest = excess.saturating_sub(count(old_first)).saturating_sub(coming);
        let newest = current.into_iter().take(rest as usize);
        let leaving: Vec<&Member> = old.into_iter().take(old_first).chain(newest).collect();
        let built = leaving.iter().filter(|m| m.standing == Standing::Building).count();
        let now = leaving.into_iter().filter(|m| m.standing == Standing::Serving).collect();
        (now, count(built))
    }

    /// How many servers that serve or served may still be terminated within this minute.
    fn velocity_left(&self) -> u32 {
        let planned = self.out.intents.iter().filter(|i| counts(i)).count();
        self.allowed().saturating_sub(count(self.recent().count() + planned))
    }

    /// How many may be terminated within a minute, by what served at its start.
    fn allowed(&self) -> u32 {
        let away = self.recent().filter(|i| !spared(i)).count();
        let serving = self.fleet.tally.serving.saturating_add(count(away));
        self.snapshot.group.behaviour.scale_in.velocity.allows(serving)
    }

    /// The terminations of this minute. Of several intents for one server, those that came to
    /// nothing count only if none of the others does.
    fn recent(&self) -> impl Iterator<Item = &Intent> {
        let start = self.snapshot.now.steady.minus(Velocity::PERIOD);
        let recent = self.fleet.intents.iter().filter(move |i| i.opened.steady > start);
        let server = |intent: &Intent| intent.terminate().map(|t| t.server.clone());
        let mut told: BTreeSet<ServerId> =
            recent.clone().filter(|i| counts(i)).filter_map(server).collect();
        recent.filter(move |intent| {
            let left = || self.left_all_the_same(intent);
            counts(intent) || left() && server(intent).is_some_and(|id| told.insert(id))
        })
    }

    /// A proxy may refuse in its own name what Nova does all the same. Who cannot be seen now is not
    /// known to be there.
    fn left_all_the_same(&self, intent: &Intent) -> bool {
        let gone = [Standing::Leaving, Standing::Unsure];
        let mut there = self.fleet.members.iter().filter(|m| !gone.contains(&m.standing));
        intent.terminate().is_some_and(|t| t.served && !there.any(|m| m.id == t.server))
    }

    /// Said once, whatever else has to wait for it.
    fn wait_for_velocity(&mut self) {
        if self.out.waiting.iter().any(|w| matches!(w, Waiting::Velocity { .. })) {
            return;
        }
        let now = self.snapshot.now.steady;
        let first = self.recent().map(|i| i.opened.steady).min().unwrap_or(now);
        let again = first.plus(Velocity::PERIOD);
        self.out.waiting.push(Waiting::Velocity {
            allowed: self.allowed(),
            per_secs: Velocity::PERIOD.as_secs(),
            left_secs: left_secs(again.since(now)),
        });
        self.wake_at(again);
    }

    /// Plans one delete; false if this server's back-off or the call budget forbids it.
    fn terminate(&mut self, member: &Member, cause: Cause, served: bool) -> bool {
        let planned =
            self.out.actions.iter().filter(|a| matches!(a, Action::Terminate { .. })).count();
        if planned >= TERMINATIONS_MOST {
            return false;
        }
        if let Some(wait) = self.delete_wait(member) {
            self.wait_to_delete(member, wait);
            return false;
        }
        let intent = IntentId::from_bits(self.draws.bits());
        let server = member.id.clone();
        let what = Terminate { server: server.clone(), cause, served, attempts: 0 };
        self.open(intent.clone(), What::Terminate(what));
        self.out.actions.push(Action::Terminate { intent, server, cause });
        true
    }

    /// How long this server's delete, or every delete, is not asked for again.
    fn delete_wait(&self, member: &Member) -> Option<Wait> {
        let all = self.no_deletes.clone().filter(|wait| self.in_force(wait));
        [self.own_delete_wait(member), all].into_iter().flatten().max_by_key(|wait| wait.until)
    }

    fn own_delete_wait(&self, member: &Member) -> Option<Wait> {
        let backoff = self.snapshot.group.launch.backoff;
        let own = delete_wait(&self.fleet.intents, &member.id, &backoff);
        own.filter(|wait| self.in_force(wait))
    }

    fn in_force(&self, wait: &Wait) -> bool {
        wait.until > self.snapshot.now.steady
    }

    /// Whether it is just this server that Nova does not delete: it stays for now, and others go
    /// instead. One failure that is not a refusal may be chance; two in a row are not.
    fn stays(&self, member: &Member) -> bool {
        let own = self.own_delete_wait(member);
        own.is_some_and(|w| w.failure.kind == FailureKind::Conflict || w.attempts >= 2)
    }

    /// Said once for each kind of failure: what strikes every server need not be said of each.
    fn wait_to_delete(&mut self, member: &Member, wait: Wait) {
        self.wake_at(wait.until);
        let kind = wait.failure.kind;
        let said =
            self.out.waiting.iter().any(
                |w| matches!(w, Waiting::DeleteBackoff { failure, .. } if failure.kind == kind),
            );
        if !said {
            let wait_secs = left_secs(wait.until.since(self.snapshot.now.steady));
            let (server, failure) = (member.id.clone(), wait.failure);
            self.out.waiting.push(Waiting::DeleteBackoff { server, wait_secs, failure });
        }
    }

    fn open(&mut self, id: IntentId, what: What) {
        let (group, opened) = (self.snapshot.group.name.clone(), self.snapshot.now);
        self.out.intents.push(Intent {
            id,
            group,
            opened,
            what,
            state: State::Open,
            trouble: None,
        });
    }

    fn say_what_is_under_way(&mut self) {
        let tally = &self.fleet.tally;
        let said = self.out.waiting.iter().any(|w| matches!(w, Waiting::Building { .. }));
        if tally.building > 0 && !said {
            self.out.waiting.push(Waiting::Building { n: tally.building });
        }
        if tally.coming > 0 {
            let unclear = self.unclear().min(tally.coming);
            self.out.waiting.push(Waiting::Coming { n: tally.coming, unclear });
        }
        if tally.leaving > 0 {
            self.out.waiting.push(Waiting::Leaving { n: tally.leaving });
        }
    }

    fn unclear(&self) -> u32 {
        let launches: BTreeMap<&IntentId, u32> = self
            .fleet
            .intents
            .iter()
            .filter(|i| matches!(i.state, State::Unsettled { .. }))
            .filter_map(|i| i.launch().map(|l| (&i.id, l.n)))
            .collect();
        launches.values().sum()
    }

    fn wake_at(&mut self, then: Steady) {
        self.out.wake = sooner(self.out.wake, Some(then));
    }
}

/// Whether a delete counts against velocity: it took a server that serves or served, or may yet
/// take it. A listing that shows the server after an unclear delete may only be too early.
fn counts(intent: &Intent) -> bool {
    let unclear = intent.trouble.as_ref().is_some_and(|t| !t.failure.kind.certain());
    intent.terminate().is_some_and(|t| t.served) && (unclear || !spared(intent))
}

/// The server is still there, as far as was seen.
fn spared(intent: &Intent) -> bool {
    matches!(intent.state, State::Closed { done: 0, .. })
}

fn unseen(snapshot: &Snapshot<'_>) -> Waiting {
    use crate::domain::fleet::Observation;
    match snapshot.observation {
        Observation::Unseen { since, why } => Waiting::Unseen {
            why: why.clone(),
            for_secs: snapshot.now.steady.since(since.steady).as_secs(),
        },
        Observation::Seen(_) => Waiting::Stale { age_secs: 0 },
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
