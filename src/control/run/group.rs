//! One group's loop: it waits for a reason to look, makes one pass, and shows that it lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Turn;
use super::region::Spur;
use crate::control::handle::{GroupEnd, GroupHandle, LoopPulse, Preview};
use crate::control::news::News;
use crate::control::pass::{PassError, pass, preview};
use crate::control::{Parts, Watcher};
use crate::decide::{Draws, LOOK_LEAST};
use crate::domain::explain::Situation;
use crate::domain::fleet::Observation;
use crate::domain::group::Group;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::time::{Clock, Now, Steady};
use crate::store::StoreError;

/// After a pass that failed, the next one comes no sooner than this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long a pass under way may take to end once we stop; what is left is recovered later.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Dice for deciding, thrown from the seed handed in.
pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn thrown_from(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Draws for Dice {
    fn bits(&mut self) -> u128 {
        (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64())
    }
}

/// Where a loop shows that it lives.
struct Alive {
    clock: Arc<dyn Clock>,
    pulse: watch::Sender<LoopPulse>,
}

impl Alive {
    fn beat(&self) {
        let now = self.clock.now().steady;
        self.pulse.send_modify(|pulse| pulse.due = Some(now));
    }
}

/// Takes every step of a pass for a sign of life: one with many calls may last long.
struct Beating {
    inner: Arc<dyn Watcher>,
    alive: Alive,
}

impl Watcher for Beating {
    fn decided(&self, decision: &Decision) {
        self.alive.beat();
        self.inner.decided(decision);
    }

    fn ended(&self, decision: &Decision, outcome: &Outcome) {
        self.alive.beat();
        self.inner.ended(decision, outcome);
    }
}

/// What connects a loop with the others.
pub(super) struct Post {
    pub(super) group: Arc<Group>,
    pub(super) end: GroupEnd,
    pub(super) seen: watch::Receiver<Observation>,
    pub(super) spur: Arc<Spur>,
    pub(super) turn: Turn,
    /// The group's last loop, which may have a call under way.
    pub(super) before: Option<GroupHandle>,
    pub(super) stops: Stops,
}

/// How long a pass under way may take to end once its loop was told to.
pub(super) struct Stops {
    /// The whole program stops, and not only this loop.
    pub(super) stopping: CancellationToken,
    /// What it gets where only the configuration is another one: enough for the call under way,
    /// since one that is dropped on its way is unclear for the whole settling time.
    pub(super) room: Duration,
}

impl Stops {
    /// Ready when it has taken too long.
    async fn time_is_up(&self) {
        let stop = async {
            self.stopping.cancelled().await;
            sleep(STOP_WITHIN).await;
        };
        tokio::select! {
            biased;
            () = stop => {}
            () = sleep(self.room) => {}
        }
    }

    fn cut_short(&self) -> &'static str {
        if self.stopping.is_cancelled() {
            "stopped in the middle of a pass; the next start recovers"
        } else {
            "a call did not end in time before the group's new configuration counts; the journal \
             has it, and the next pass goes on from there"
        }
    }
}

/// One group's loop.
pub(super) struct GroupLoop {
    parts: Parts,
    group: Arc<Group>,
    seen: watch::Receiver<Observation>,
    end: GroupEnd,
    spur: Arc<Spur>,
    turn: Turn,
    before: Option<GroupHandle>,
    stops: Stops,
    dice: Dice,
    next_look: Option<Instant>,
    /// What was last said of the group, so that only news are.
    said: Option<(Situation, u32)>,
    news: News,
}

impl GroupLoop {
    pub(super) fn new(parts: &Parts, post: Post, dice: Dice) -> Self {
        let Post { group, end, seen, spur, turn, before, stops } = post;
        let alive = Alive { clock: Arc::clone(&parts.clock), pulse: end.pulse.clone() };
        let watcher = Arc::new(Beating { inner: Arc::clone(&parts.watcher), alive });
        let parts = Parts { watcher, ..parts.clone() };
        Self {
            parts,
            group,
            seen,
            end,
            spur,
            turn,
            before,
            stops,
            dice,
            next_look: None,
            said: None,
            news: News::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let stopping = self.parts.stopping.clone();
        let turn = Arc::clone(&self.turn);
        let _turn = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            turn = turn.lock() => turn,
        };
        self.take_over();
        // Nothing can be decided before the first listing has come or failed.
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = self.seen.changed() => {}
        }
        loop {
            let began = Instant::now();
            if !self.one_pass(&stopping).await || !self.rest(&stopping, began).await {
                return;
            }
        }
    }

    /// Goes on from the group's last loop, which has ended. What that saw last is still the last
    /// listing, and is looked at at once: an order may have come in between.
    fn take_over(&mut self) {
        if let Some(before) = self.before.take() {
            self.end.follow(&self.group, &before);
        }
        if matches!(*self.seen.borrow(), Observation::Seen(_)) {
            self.seen.mark_changed();
        }
    }

    /// Waits for the next reason to look; false once we stop.
    async fn rest(&mut self, stopping: &CancellationToken, began: Instant) -> bool {
        let far = began + Duration::from_secs(3600);
        let look = self.next_look.unwrap_or(far);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return false,
            () = self.end.nudge.notified() => {}
            changed = self.seen.changed() => if changed.is_err() { return false },
            () = sleep_until(look) => {}
        }
        tokio::select! {
            biased;
            () = stopping.cancelled() => false,
            () = sleep_until(began + LOOK_LEAST) => true,
        }
    }

    /// One pass, given time to end when we stop; false once it was cut short.
    async fn one_pass(&mut self, stopping: &CancellationToken) -> bool {
        let now = self.parts.clock.now();
        self.end.pulse.send_modify(|pulse| pulse.due = Some(now.steady));
        let Some(result) = self.pass_or_stop(now, stopping).await else {
            let group = &self.group.name;
            tracing::warn!(group = %group, "{}", self.stops.cut_short());
            return false;
        };
        let ended = self.parts.clock.now().steady;
        let next = match &result {
            Ok(decision) => decision.next_look,
            Err(_) => ended.plus(AFTER_FAILURE),
        };
        self.report(&result, next);
        if result.as_ref().is_ok_and(|decision| !decision.plan.is_empty()) {
            self.spur.acted.notify_one();
        }
        self.next_look = Some(Instant::now() + next.since(ended));
        true
    }

    async fn pass_or_stop(
        &mut self,
        now: Now,
        stopping: &CancellationToken,
    ) -> Option<Result<Arc<Decision>, PassError>> {
        let observation = self.seen.borrow_and_update().clone();
        let (latest, spur, stops) = (&self.end.latest, &self.spur, &self.stops);
        let said = &mut self.said;
        let news = &mut self.news;
        let publish = |decision: &Arc<Decision>| {
            tell_servers(news, decision);
            tell_news(said, decision);
            latest.send_replace(Some(Arc::clone(decision)));
            // Its own calls come first: what they do can be seen once they have ended.
            if decision.in_flight() && decision.plan.is_empty() {
                spur.busy.notify_one();
            }
        };
        let mut run =
            pin!(pass(&self.parts, &self.group, &observation, now, &mut self.dice, publish));
        tokio::select! {
            biased;
            result = &mut run => return Some(result),
            () = stopping.cancelled() => {}
        }
        tokio::select! {
            biased;
            result = &mut run => Some(result),
            () = stops.time_is_up() => None,
        }
    }

    fn report(&self, result: &Result<Arc<Decision>, PassError>, next: Steady) {
        let failure = result.as_ref().err().map(ToString::to_string);
        // Said once: the next pass comes in seconds, and so may the same failure.
        let (group, last) = (&self.group.name, self.end.pulse.borrow().failure.clone());
        match (&failure, &last) {
            (Some(now), last) if last.as_ref() != Some(now) => {
                tracing::error!(group = %group, "pass failed: {now}");
            }
            (None, Some(_)) => tracing::info!(group = %group, "passes succeed again"),
            (Some(_) | None, _) => {}
        }
        self.end.pulse.send_modify(|pulse| {
            pulse.due = Some(next);
            pulse.passes += 1;
            pulse.failed += u64::from(failure.is_some());
            pulse.failure = failure;
        });
    }
}

/// What became of servers without our doing.
fn tell_servers(news: &mut News, decision: &Decision) {
    let group = &decision.group;
    for item in news.of(decision) {
        if item.bad() {
            tracing::warn!(group = %group, "{item}");
        } else {
            tracing::info!(group = %group, "{item}");
        }
    }
}

/// One line whenever the group fares otherwise than before.
fn tell_news(said: &mut Option<(Situation, u32)>, decision: &Decision) {
    let news = (decision.situation(), decision.desired);
    if said.replace(news) == Some(news) {
        return;
    }
    let (group, headline) = (&decision.group, decision.headline());
    if matches!(news.0, Situation::Failing | Situation::Holding) {
        tracing::warn!(group = %group, "{headline}");
    } else {
        tracing::info!(group = %group, "{headline}");
    }
}

/// Decides without recording, for whoever asks.
pub(super) struct Previewer {
    pub(super) parts: Parts,
    pub(super) group: Arc<Group>,
    pub(super) seen: watch::Receiver<Observation>,
    pub(super) seed: u64,
}

#[async_trait]
impl Preview for Previewer {
    async fn preview(&self) -> Result<Decision, StoreError> {
        let observation = self.seen.borrow().clone();
        let mut dice = Dice::thrown_from(self.seed);
        let now = self.parts.clock.now();
        preview(&self.parts, &self.group, &observation, now, &mut dice).await
    }
}
