//! Failures → not before. Recomputed from the journal at every pass: nothing is kept
//! apart, nothing can be forgotten half-way.
//!
//! A failure counts where its cause lies: no host found concerns a flavor in a zone, a
//! used-up quota concerns a flavor everywhere, a refused or unclear call concerns the
//! group. The calls of one pass count once. Success at the same place ends the count. The
//! wait is drawn with full jitter between nothing and `first × 2^(failures − 1)`, at most
//! `most` (AWS Architecture Blog, "Exponential Backoff And Jitter"); the draw is the failed
//! intent's own id, so that every look at the journal gives the same answer. Where calls of
//! one pass fared differently, what failed counts: the latest wait, the smallest number.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::group::{Backoff, LaunchLimits};
use crate::domain::id::{ServerId, TemplateHash, Zone};
use crate::domain::intent::{Intent, Launch, State, Trouble};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Steady;

/// The least wait after a failure: no hot loop, whatever was drawn.
pub const WAIT_LEAST: Duration = Duration::from_secs(1);

/// A place is not held suspect for longer: where it has recovered, new servers spread again.
pub const SUSPECT_MOST: Duration = Duration::from_secs(30 * 60);

/// Whether, and how large, a create may be made now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// At most this many servers in one call; and in all calls together, where a quota
    /// told how many still fit. Where `suspect`, elsewhere first: it failed there not long ago.
    Go { batch: u32, fits: Option<u32>, suspect: bool },
    /// Not before then.
    Wait(Wait),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    pub until: Steady,
    pub attempts: u32,
    pub failure: Failure,
}

/// Where a failure's cause lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Group,
    Flavor,
    Place,
}

fn scope(failure: &Failure) -> Scope {
    match failure.kind {
        FailureKind::Capacity => Scope::Place,
        FailureKind::Quota { .. } => Scope::Flavor,
        FailureKind::Refused if names(failure, ".flavor") => Scope::Flavor,
        FailureKind::Refused if names(failure, ".availability_zones") => Scope::Place,
        FailureKind::Refused
        | FailureKind::Busy
        | FailureKind::Denied
        | FailureKind::Gone
        | FailureKind::Conflict
        | FailureKind::Unreached
        | FailureKind::Held
        | FailureKind::Unclear => Scope::Group,
    }
}

/// Whether it is this setting that is to be mended.
fn names(failure: &Failure, setting: &str) -> bool {
    failure.key.as_ref().is_some_and(|key| key.ends_with(setting))
}

/// The group's launches, newest first; of one pass, those that failed before the others.
#[derive(Debug, Clone)]
pub struct Journal<'a> {
    launches: Vec<(&'a Intent, &'a Launch)>,
}

impl<'a> Journal<'a> {
    /// What was refused of another template says nothing of this one: whoever mends the
    /// configuration need not wait.
    pub fn of(intents: &'a [Intent], template: &TemplateHash) -> Self {
        let mut launches: Vec<_> = intents
            .iter()
            .filter_map(|i| i.launch().map(|launch| (i, launch)))
            .filter(|(i, launch)| launch.template == *template || !refused(i))
            .collect();
        launches.sort_by(|(a, _), (b, _)| newest_first(a, b));
        Self { launches }
    }

    /// What a create of this flavor in this zone may do now.
    pub fn verdict(
        &self,
        flavor: &str,
        zone: Option<&Zone>,
        now: Steady,
        limits: &LaunchLimits,
    ) -> Verdict {
        let waits = [
            self.wait(Scope::Group, flavor, zone, &limits.backoff),
            self.wait(Scope::Flavor, flavor, zone, &limits.backoff),
            self.wait(Scope::Place, flavor, zone, &limits.backoff),
        ];
        let latest = waits.into_iter().flatten().max_by_key(|wait| wait.until);
        match latest {
            Some(wait) if wait.until > now => Verdict::Wait(wait),
            _ => Verdict::Go {
                batch: self.batch(flavor, zone, limits),
                fits: self.fits(flavor, zone),
                suspect: self.suspect(flavor, zone, now, &limits.backoff),
            },
        }
    }

    /// Whether the run of failures at this place is still a reason to launch elsewhere. Its wait
    /// may have been drawn short, and without this the first of several places that are out of order
    /// would be tried again and again, and the one that is not never.
    fn suspect(&self, flavor: &str, zone: Option<&Zone>, now: Steady, backoff: &Backoff) -> bool {
        let run = self.run(Scope::Place, flavor, zone);
        let for_so_long = doubled(backoff.most, run.attempts()).min(SUSPECT_MOST);
        run.newest.iter().any(|(_, t)| t.at.steady.plus(for_so_long) > now)
    }

    /// The wait that the unbroken run of failures in this scope asks for.
    fn wait(
        &self,
        at: Scope,
        flavor: &str,
        zone: Option<&Zone>,
        backoff: &Backoff,
    ) -> Option<Wait> {
        let mut run = self.run(at, flavor, zone);
        // Where the rest still fits there is nothing to wait for.
        run.newest
            .retain(|(_, t)| !matches!(t.failure.kind, FailureKind::Quota { fits: Some(1..) }));
        run.wait(backoff)
    }

    /// The unbroken run of failures in this scope.
    fn run(&self, at: Scope, flavor: &str, zone: Option<&Zone>) -> Run<'a> {
        let mut run = Run::default();
        for (intent, launch) in self.near(at, flavor, zone) {
            match intent.trouble.as_ref().filter(|t| scope(&t.failure) == at) {
                Some(trouble) => run.failed(intent, trouble),
                None if succeeded(at, intent, launch) => break,
                None => {}
            }
        }
        run
    }

    fn near<'b>(
        &'b self,
        at: Scope,
        flavor: &'b str,
        zone: Option<&'b Zone>,
    ) -> impl Iterator<Item = &'b (&'a Intent, &'a Launch)> {
        self.launches.iter().filter(move |(_, launch)| match at {
            Scope::Group => true,
            Scope::Flavor => launch.flavor == flavor,
            Scope::Place => launch.flavor == flavor && launch.zone.as_ref() == zone,
        })
    }

    /// The least that the newest calls of this flavor were told that a quota leaves.
    fn fits(&self, flavor: &str, zone: Option<&Zone>) -> Option<u32> {
        let mut near = self.near(Scope::Flavor, flavor, zone).peekable();
        let newest = near.peek()?.0.opened.steady;
        let told = |(intent, _): &(&Intent, &Launch)| match intent.trouble.as_ref()?.failure.kind {
            FailureKind::Quota { fits } => fits.filter(|n| *n > 0),
            FailureKind::Busy
            | FailureKind::Capacity
            | FailureKind::Refused
            | FailureKind::Denied
            | FailureKind::Gone
            | FailureKind::Conflict
            | FailureKind::Unreached
            | FailureKind::Held
            | FailureKind::Unclear => None,
        };
        near.take_while(|(intent, _)| intent.opened.steady == newest).filter_map(told).min()
    }

    /// Halved by a refusal that may lie in the number, doubled by a success after one.
    fn batch(&self, flavor: &str, zone: Option<&Zone>, limits: &LaunchLimits) -> u32 {
        let mut batch = limits.batch;
        for (intent, launch) in self.near(Scope::Place, flavor, zone) {
            if too_many(intent) {
                batch = launch.n / 2;
                break;
            }
            if launch.proven {
                let doubled = launch.n.saturating_mul(2);
                let cautious = self.near(Scope::Place, flavor, zone).any(|(i, _)| too_many(i));
                batch = if cautious { doubled } else { batch };
                break;
            }
        }
        batch.clamp(1, limits.batch.max(1))
    }
}

fn newest_first(a: &Intent, b: &Intent) -> Ordering {
    let failed = b.trouble.is_some().cmp(&a.trouble.is_some());
    b.opened.steady.cmp(&a.opened.steady).then(failed).then_with(|| b.id.cmp(&a.id))
}

/// Fewer servers might have been granted: no host was found for all, or a quota is used up
/// (servers of a server group, ports of a network) that does not say what is left of it.
fn too_many(intent: &Intent) -> bool {
    let kind = intent.trouble.as_ref().map(|t| t.failure.kind);
    matches!(kind, Some(FailureKind::Capacity | FailureKind::Quota { fits: None }))
}

fn refused(intent: &Intent) -> bool {
    intent.trouble.as_ref().is_some_and(|t| t.failure.kind == FailureKind::Refused)
}

/// Whether an intent without trouble of this scope ends a run of failures there.
fn succeeded(at: Scope, intent: &Intent, launch: &Launch) -> bool {
    match at {
        Scope::Group | Scope::Flavor => taken(&intent.state),
        Scope::Place => launch.proven,
    }
}

fn taken(state: &State) -> bool {
    matches!(state, State::Accepted { .. } | State::Closed { done: 1.., .. })
}

/// Not before then, for any server, while deletes fail for a reason that lies with none of
/// them: a right is missing, or the cloud is busy or out of reach. Tried on one after the
/// other, it would be the same call as often as there are servers.
pub fn deletes_wait(intents: &[Intent], backoff: &Backoff) -> Option<Wait> {
    all_wait(intents, backoff, |i| i.terminate().is_some())
}

/// The same of adoptions.
pub fn adoptions_wait(intents: &[Intent], backoff: &Backoff) -> Option<Wait> {
    all_wait(intents, backoff, |i| i.adopt().is_some())
}

fn all_wait(intents: &[Intent], backoff: &Backoff, of_kind: fn(&Intent) -> bool) -> Option<Wait> {
    let mut calls: Vec<&Intent> = intents.iter().filter(|i| of_kind(i)).collect();
    calls.sort_by(|a, b| newest_first(a, b));
    let mut run = Run::default();
    for intent in calls {
        match intent.trouble.as_ref().filter(|t| concerns_all(t.failure.kind)) {
            Some(trouble) => run.failed(intent, trouble),
            None if taken(&intent.state) => break,
            None => {}
        }
    }
    run.wait(backoff)
}

fn concerns_all(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Denied | FailureKind::Busy | FailureKind::Unreached)
}

/// Not before then, for a server whose deletes failed; with the newest failure.
pub fn delete_wait(intents: &[Intent], server: &ServerId, backoff: &Backoff) -> Option<Wait> {
    let mut failed: Vec<&Intent> = intents
        .iter()
        .filter(|i| !i.state.live() && i.terminate().is_some_and(|t| t.server == *server))
        .filter(|i| i.trouble.is_some())
        .collect();
    failed.sort_by_key(|i| i.opened.steady);
    let newest = failed.last()?;
    let trouble = newest.trouble.as_ref()?;
    Some(waited(newest, trouble, failed.len(), backoff))
}

/// Not before then, for a server that was to be adopted since then and still is not ours,
/// whatever was answered.
pub fn adopt_wait(tried: &[&Intent], backoff: &Backoff) -> Option<Wait> {
    let newest = tried.iter().max_by_key(|i| i.opened.steady)?;
    let State::Closed { at, done } = newest.state else { return None };
    if newest.trouble.is_none() && done == 0 {
        return None;
    }
    let unseen = || {
        let said = "Nova took its marks, but does not show them";
        Trouble { at, failure: Failure::new(FailureKind::Conflict, said) }
    };
    let trouble = newest.trouble.clone().unwrap_or_else(unseen);
    Some(waited(newest, &trouble, tried.len(), backoff))
}

/// An unbroken run of failures, told from the newest on.
#[derive(Default)]
struct Run<'a> {
    passes: BTreeSet<Steady>,
    /// Those of the newest pass that failed.
    newest: Vec<(&'a Intent, &'a Trouble)>,
}

impl<'a> Run<'a> {
    fn failed(&mut self, intent: &'a Intent, trouble: &'a Trouble) {
        self.passes.insert(intent.opened.steady);
        if self.passes.last() == Some(&intent.opened.steady) {
            self.newest.push((intent, trouble));
        }
    }

    fn attempts(&self) -> u32 {
        u32::try_from(self.passes.len()).unwrap_or(u32::MAX)
    }

    fn wait(&self, backoff: &Backoff) -> Option<Wait> {
        let waits = self.newest.iter().map(|(i, t)| waited(i, t, self.passes.len(), backoff));
        waits.max_by_key(|wait| wait.until)
    }
}

/// The wait after so many passes that failed, the newest of them with this intent.
fn waited(intent: &Intent, trouble: &Trouble, passes: usize, backoff: &Backoff) -> Wait {
    let attempts = u32::try_from(passes).unwrap_or(u32::MAX);
    let wait = jittered(backoff, attempts, intent.id.bits())
        .max(trouble.failure.retry_after.unwrap_or_default())
        .max(WAIT_LEAST);
    let until = trouble.at.steady.plus(wait);
    Wait { until, attempts, failure: trouble.failure.clone() }
}

/// A wait between nothing and the ceiling of this attempt, from 128 random bits.
fn jittered(backoff: &Backoff, attempts: u32, bits: u128) -> Duration {
    let ceiling = doubled(backoff.first, attempts).min(backoff.most);
    // The upper 32 bits as a fraction of one.
    let fraction = f64::from((bits >> 96) as u32) / f64::from(u32::MAX);
    ceiling.mul_f64(fraction)
}

/// Twice as long with each attempt after the first.
fn doubled(first: Duration, attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(32);
    first.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
}
