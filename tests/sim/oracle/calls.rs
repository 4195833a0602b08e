//! I12: how often the cloud is called, by kind, in every minute; and how often a thing is tried
//! that fails.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use novascale::domain::group::Group;
use novascale::domain::id::ServerId;
use novascale::domain::time::Steady;

use crate::servers::State;
use crate::trace::Trace;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    List,
    Get,
    Create,
    Delete,
    Resolve,
    Adopt,
}

const KINDS: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// Listings of one region in a minute: one every half second after calls, and some slack.
const LISTINGS: usize = 130;
/// Servers asked for by id in one cycle of the observer, at most.
const LOOKUPS: usize = 20;
/// Creates of all groups in a minute: ten a pass, and after each pass its servers are waited for.
const CREATES: usize = 120;
/// Deletes of all groups in a minute: thirty a pass, each with its own wait afterwards.
const DELETES: usize = 120;
/// Calls in a minute while nothing has answered for longer than that: a listing every 15 s, and
/// what one start in between adds.
const IN_THE_DARK: usize = 8;

/// The calls of the last minute.
#[derive(Default)]
pub struct Calls {
    minute: [VecDeque<Steady>; KINDS],
    /// When each server's delete was tried, within ten minutes.
    deletes: BTreeMap<ServerId, VecDeque<Steady>>,
    /// The most of each kind in any minute.
    pub most: [usize; KINDS],
}

impl Calls {
    fn count(&mut self, kind: Kind, now: Steady) {
        let start = now.minus(MINUTE);
        self.minute[kind as usize].push_back(now);
        for (calls, most) in self.minute.iter_mut().zip(&mut self.most) {
            forget(calls, start);
            *most = calls.len().max(*most);
        }
    }

    fn of(&self, kind: Kind) -> usize {
        self.minute[kind as usize].len()
    }

    /// What is too much of it.
    fn excess(&self) -> Option<String> {
        let lookups = LOOKUPS * (self.of(Kind::List) + 1) + DELETES;
        let limits = [
            (Kind::List, LISTINGS),
            (Kind::Get, lookups),
            (Kind::Create, CREATES),
            (Kind::Delete, DELETES),
            (Kind::Resolve, CREATES),
            (Kind::Adopt, DELETES),
        ];
        let (kind, _) = limits.into_iter().find(|(kind, most)| self.of(*kind) > *most)?;
        Some(format!("{} calls of kind {kind:?} within a minute", self.of(kind)))
    }
}

fn forget(calls: &mut VecDeque<Steady>, before: Steady) {
    while calls.front().is_some_and(|at| *at < before) {
        calls.pop_front();
    }
}

/// Passes of one group in ten minutes that may try to launch while every try fails, or tries of
/// one delete: the first ones come close together, the later ones half of the longest wait
/// apart in the mean, and chance may triple that.
fn failing_tries(group: &Group) -> usize {
    let later = 600 / (group.launch.backoff.most.as_secs() / 2).max(1);
    40 + 3 * usize::try_from(later).unwrap()
}

impl State {
    /// A call goes out.
    pub fn called(&mut self, kind: Kind, now: Steady, trace: &Trace) {
        self.oracle.calls.count(kind, now);
        if let Some(excess) = self.oracle.calls.excess() {
            trace.broken(now, "I12", &excess);
        }
        let dark = self.weather.dark.is_some_and(|since| now.since(since) > 2 * MINUTE);
        let all: usize = self.oracle.calls.minute.iter().map(VecDeque::len).sum();
        if dark && all > IN_THE_DARK {
            trace.broken(now, "I12", &format!("{all} calls a minute though nothing answers"));
        }
    }

    /// Another process begins: it has to find out anew that nothing answers.
    pub fn called_anew(&mut self, now: Steady) {
        self.weather.dark = self.weather.dark.map(|_| now);
    }

    /// While the machine stood still it could not find out that nothing answers.
    pub fn stood_still(&mut self, span: Duration) {
        self.weather.dark = self.weather.dark.map(|since| since.plus(span));
    }

    /// A pass tries to launch something.
    pub fn judge_try(&mut self, now: Steady, trace: &Trace) {
        let Some(context) = &self.oracle.context else { return };
        let passed = context.decision.as_ref().map_or(now, |decision| decision.at.steady);
        let watch = &mut self.oracle.groups[context.group];
        if watch.tries.back() != Some(&passed) {
            watch.tries.push_back(passed);
        }
        forget(&mut watch.tries, now.minus(10 * MINUTE));
        if watch.tries.len() > failing_tries(&watch.group) {
            let said = format!("{} passes tried to launch in ten minutes", watch.tries.len());
            trace.broken(now, "I12", &said);
        }
    }

    /// A pass looks at a server that it wants to delete or to adopt.
    pub fn judge_delete_try(&mut self, id: &ServerId, now: Steady, trace: &Trace) {
        let Some(context) = self.oracle.context.as_ref().filter(|c| c.decision.is_some()) else {
            return;
        };
        let most = failing_tries(&self.oracle.groups[context.group].group);
        let tries = self.oracle.calls.deletes.entry(id.clone()).or_default();
        tries.push_back(now);
        forget(tries, now.minus(10 * MINUTE));
        if tries.len() > most {
            let said = format!("{} deletes of {id} tried in ten minutes", tries.len());
            trace.broken(now, "I12", &said);
        }
    }
}
