//! Orders to adopt: which servers are adopted now, which are waited for, which orders are over.
//!
//! An order names servers, or a group that was renamed, whose servers the observer then lists
//! by their old tag. It is carried out on a sound listing only, a few servers in each pass, and
//! is over for a server once a listing shows it as ours, once Nova says that it is not there or
//! cannot be ours, or when it has waited for too long. An order for a renamed group is over
//! when a listing that was asked for its tag has shown nothing more of it for a while; for as
//! long as a launch takes to settle, where one was under way when the group got its name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::backoff::{Wait, adopt_wait, adoptions_wait};
use super::settle::Fleet;
use super::snapshot::Snapshot;
use super::sooner;
use crate::domain::adoption::{ADOPT_FOR, Adoptees, Adoption, Former, Over};
use crate::domain::fleet::Seen;
use crate::domain::id::{GroupName, LaunchId, ServerId, Tag};
use crate::domain::intent::{Intent, State};
use crate::domain::outcome::FailureKind;
use crate::domain::plan::Waiting;
use crate::domain::server::{KnownState, Ownership, Server, Status};
use crate::domain::time::{Steady, left_secs};

/// The most adoptions of one pass: each costs a GET and up to three changes.
pub const ADOPTIONS_MOST: usize = 20;
/// A listing may lack servers: so long a renamed group is looked for, at least.
pub const SOUGHT_FOR: Duration = Duration::from_secs(60);

/// How far the orders are.
#[derive(Debug, Clone, Default)]
pub struct Adopting {
    /// To be adopted now.
    pub now: Vec<Adoptee>,
    /// Servers that are no members yet, and will be once their adoption is seen.
    pub arriving: u32,
    pub waiting: Vec<Waiting>,
    pub over: Over,
    /// Tags that the next listing is to cover as well.
    pub sought: Vec<Tag>,
    pub wake: Option<Steady>,
}

/// One server that somebody ordered to be adopted.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoptee {
    pub server: ServerId,
    pub untagged: bool,
    pub from: Option<Former>,
    /// When the order came.
    ordered: Steady,
}

/// Where one server stands on its way to us.
enum Stage {
    Over,
    /// Called for, and not seen yet.
    UnderWay,
    /// Nova does not allow it yet.
    TooEarly,
    Held(Wait),
    Due,
}

/// How far every order has got. On no sound listing nothing is concluded.
pub fn adopt(snapshot: &Snapshot<'_>, fleet: &Fleet, sound: bool) -> Adopting {
    let orders = snapshot.state.adoptions.as_slice();
    if orders.is_empty() {
        return Adopting::default();
    }
    let mut run = Run { snapshot, fleet, out: Adopting::default(), pending: 0, coming: 0 };
    run.out.sought = former(orders).filter(|f| run.foreign_tag(f)).map(|f| f.tag.clone()).collect();
    match snapshot.seen().filter(|_| sound) {
        Some(seen) => run.carry_out(seen, orders),
        None => run.pending = run.targets(None, orders).len(),
    }
    run.say(orders);
    run.out
}

fn former(orders: &[Adoption]) -> impl Iterator<Item = &Former> {
    orders.iter().filter_map(|order| order.what.former())
}

struct Run<'a> {
    snapshot: &'a Snapshot<'a>,
    fleet: &'a Fleet,
    out: Adopting,
    pending: usize,
    /// Servers that were being launched for renamed groups and may still come.
    coming: u32,
}

impl<'a> Run<'a> {
    /// A renamed group may have kept its tag.
    fn foreign_tag(&self, former: &Former) -> bool {
        !self.snapshot.group.tag.same(former.tag.as_str())
    }

    fn carry_out(&mut self, seen: &Seen, orders: &[Adoption]) {
        let backoff = &self.snapshot.group.launch.backoff;
        let now = self.snapshot.now.steady;
        let all = adoptions_wait(&self.fleet.intents, backoff).filter(|wait| wait.until > now);
        for adoptee in self.targets(Some(seen), orders) {
            let stage = match (self.stage(&adoptee, seen), &all) {
                (Stage::Due, Some(wait)) => Stage::Held(wait.clone()),
                (stage, _) => stage,
            };
            self.pending += usize::from(!matches!(stage, Stage::Over));
            match stage {
                Stage::Over if adoptee.from.is_none() => {
                    self.out.over.servers.insert(adoptee.server);
                }
                Stage::Over | Stage::TooEarly => {}
                Stage::UnderWay => self.expect(&adoptee.server),
                Stage::Held(wait) => self.hold(&adoptee.server, wait),
                Stage::Due if self.out.now.len() < ADOPTIONS_MOST => {
                    self.expect(&adoptee.server);
                    self.out.now.push(adoptee);
                }
                Stage::Due => {}
            }
        }
        for order in orders {
            self.end_search(seen, order);
        }
    }

    /// Every server of the orders, the latest word on each.
    fn targets(&self, seen: Option<&Seen>, orders: &[Adoption]) -> Vec<Adoptee> {
        let mut targets: BTreeMap<ServerId, Adoptee> = BTreeMap::new();
        for order in orders {
            let (ids, untagged, from) = match &order.what {
                Adoptees::Servers { servers, untagged } => (servers.clone(), *untagged, None),
                Adoptees::Renamed { former, .. } => {
                    (self.held_by(seen, former), true, Some(former))
                }
            };
            targets.extend(ids.into_iter().map(|server| {
                let (from, ordered) = (from.cloned(), order.at.steady);
                (server.clone(), Adoptee { server, untagged, from, ordered })
            }));
        }
        targets.into_values().collect()
    }

    /// What the listing shows of the renamed group.
    fn held_by(&self, seen: Option<&Seen>, former: &Former) -> BTreeSet<ServerId> {
        let group = self.snapshot.group;
        let listed = seen.into_iter().flat_map(|s| s.servers.iter().chain(&s.sought.servers));
        let held = listed.filter(|server| {
            former.holds(server, self.snapshot.install, (&group.name, &group.tag))
                && !matches!(server.status, Status::SoftDeleted | Status::Deleted)
        });
        held.map(|server| server.id.clone()).collect()
    }

    fn stage(&self, adoptee: &Adoptee, seen: &Seen) -> Stage {
        let now = self.snapshot.now.steady;
        let tried: Vec<&Intent> = self
            .fleet
            .intents
            .iter()
            .filter(|i| i.opened.steady >= adoptee.ordered)
            .filter(|i| i.adopt().is_some_and(|a| a.server == adoptee.server))
            .collect();
        let newest = tried.iter().max_by_key(|i| i.opened.steady);
        if self.arrived(adoptee) || newest.is_some_and(|i| hopeless(i)) {
            return Stage::Over;
        }
        if now.since(adoptee.ordered) > ADOPT_FOR {
            return Stage::Over;
        }
        match newest.map(|intent| &intent.state) {
            Some(State::Closed { at, done: 1.. }) if seen.began.steady <= at.steady => {
                Stage::UnderWay
            }
            Some(state) if state.live() => Stage::UnderWay,
            _ if self.is_built(&adoptee.server) => Stage::TooEarly,
            _ => match adopt_wait(&tried, &self.snapshot.group.launch.backoff) {
                Some(wait) if wait.until > now => Stage::Held(wait),
                _ => Stage::Due,
            },
        }
    }

    /// Ours by now, with nothing of its former group left; or gone.
    fn arrived(&self, adoptee: &Adoptee) -> bool {
        let member = self.fleet.members.iter().find(|m| m.id == adoptee.server);
        let Some(member) = member else {
            let known = self.snapshot.known.iter().find(|k| k.id == adoptee.server);
            return known
                .is_some_and(|k| k.state == KnownState::Gone && k.since >= adoptee.ordered);
        };
        let tag = &self.snapshot.group.tag;
        let left = |server: &Server| {
            adoptee.from.as_ref().is_some_and(|former| former.leaves_tag(server, tag))
        };
        member.ownership == Ownership::Ours && !member.server.as_deref().is_some_and(left)
    }

    /// Nova changes neither metadata nor tags of a server in BUILD.
    fn is_built(&self, id: &ServerId) -> bool {
        let member = self.fleet.members.iter().find(|m| m.id == *id);
        member.and_then(|m| m.server.as_ref()).is_some_and(|s| s.status == Status::Build)
    }

    fn expect(&mut self, id: &ServerId) {
        let member = self.fleet.members.iter().any(|m| m.id == *id);
        self.out.arriving = self.out.arriving.saturating_add(u32::from(!member));
    }

    /// Said once for each kind of failure.
    fn hold(&mut self, id: &ServerId, wait: Wait) {
        self.out.wake = sooner(self.out.wake, Some(wait.until));
        let kind = wait.failure.kind;
        let said =
            self.out.waiting.iter().any(
                |w| matches!(w, Waiting::AdoptBackoff { failure, .. } if failure.kind == kind),
            );
        if !said {
            let wait_secs = left_secs(wait.until.since(self.snapshot.now.steady));
            let (server, failure) = (id.clone(), wait.failure);
            self.out.waiting.push(Waiting::AdoptBackoff { server, wait_secs, failure });
        }
    }

    /// Whether a renamed group is looked for no more.
    fn end_search(&mut self, seen: &Seen, order: &Adoption) {
        let Adoptees::Renamed { former, coming } = &order.what else { return };
        let covered = !self.foreign_tag(former)
            || seen.sought.tags.iter().any(|tag| tag.same(former.tag.as_str()));
        let coming = self.still_coming(seen, coming);
        let due = order.at.steady.plus(self.sought_for(coming));
        let long = seen.began.steady >= due;
        let nothing = self.held_by(Some(seen), former).iter().all(|id| {
            let intents = self.fleet.intents.iter().filter(|i| i.opened.steady >= order.at.steady);
            let of = intents.filter(|i| i.adopt().is_some_and(|a| a.server == *id));
            of.max_by_key(|i| i.opened.steady).is_some_and(hopeless)
        });
        let late = self.snapshot.now.steady.since(order.at.steady) > ADOPT_FOR;
        if late || covered && long && nothing {
            self.out.over.former.insert(former.clone());
        } else {
            self.coming = self.coming.saturating_add(coming);
        }
        if !long {
            self.out.wake = sooner(self.out.wake, Some(due));
        }
    }

    /// Of what was being launched for a renamed group, how much has not been seen yet.
    fn still_coming(&self, seen: &Seen, launches: &BTreeMap<LaunchId, u32>) -> u32 {
        let missing = launches.iter().map(|(launch, n)| {
            let listed = seen.servers.iter().chain(&seen.sought.servers);
            let listed = listed.filter(|s| s.launch().as_ref() == Some(launch)).map(|s| &s.id);
            let known = self.snapshot.known.iter().filter(|k| k.launch.as_ref() == Some(launch));
            let came: BTreeSet<&ServerId> = listed.chain(known.map(|k| &k.id)).collect();
            n.saturating_sub(u32::try_from(came.len()).unwrap_or(u32::MAX))
        });
        missing.fold(0, u32::saturating_add)
    }

    /// A launch whose end nobody knows is given up after its settling time; its group is gone,
    /// and so this order waits in its place.
    fn sought_for(&self, coming: u32) -> Duration {
        match coming {
            0 => SOUGHT_FOR,
            _ => SOUGHT_FOR.max(self.snapshot.group.patience.settle),
        }
    }

    fn say(&mut self, orders: &[Adoption]) {
        let sought = former(orders).filter(|f| !self.out.over.former.contains(*f));
        let former: Vec<GroupName> = sought.map(|f| f.group.clone()).collect();
        if self.pending > 0 || !former.is_empty() {
            let n = u32::try_from(self.pending).unwrap_or(u32::MAX);
            let coming = self.coming;
            self.out.waiting.insert(0, Waiting::Adopting { n, former, coming });
        }
    }
}

/// Asking again would be refused again, until a person has changed something.
fn hopeless(intent: &Intent) -> bool {
    let kind = intent.trouble.as_ref().map(|t| t.failure.kind);
    !intent.state.live() && matches!(kind, Some(FailureKind::Gone | FailureKind::Refused))
}
