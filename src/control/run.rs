//! The loops: one for each group, one observer for each region. Here alone is waited
//! and spawned.
//!
//! A group's loop wakes on a nudge, on a new observation, or when its last decision asked
//! for a look, and makes one pass. A nudge carries nothing; many count as one. It reads
//! the clock once for each pass and passes at most once a second.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Parts;
use super::audit::{AUDIT_CYCLE, Findings, findings};
use super::handle::{GroupHandle, Handle, LoopPulse, ObserverPulse, Preview};
use super::news::News;
use super::observe::{
    AFTER_CALLS, BUSY_CYCLE, Haste, LOOKUPS_WITHIN, REST_CYCLE, Round, Watched, observe,
};
use super::pass::{PassError, pass, preview};
use crate::decide::{Draws, LOOK_LEAST};
use crate::domain::explain::Situation;
use crate::domain::fleet::Observation;
use crate::domain::group::Group;
use crate::domain::id::Region;
use crate::domain::outcome::Failure;
use crate::domain::plan::Decision;
use crate::domain::time::Now;
use crate::store::StoreError;

/// After a pass that failed, the next one comes no sooner than this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long a pass under way may take to end once we stop; what is left is recovered later.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Dice for deciding, thrown from the seed handed in.
struct Dice(StdRng);

impl Draws for Dice {
    fn bits(&mut self) -> u128 {
        (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64())
    }
}

/// Starts every loop on the tracker; they end when `parts.stopping` is cancelled.
/// `seed` gives a fresh seed for each loop's dice.
pub fn start(
    parts: &Parts,
    groups: &[Arc<Group>],
    tracker: &TaskTracker,
    mut seed: impl FnMut() -> u64,
) -> Handle {
    let begun = parts.clock.now();
    let mut handles = Vec::new();
    let mut regions: Vec<(Region, Vec<Watched>, Arc<Spur>)> = Vec::new();
    for group in groups {
        let why = "no listing has been made yet".to_owned();
        let (out, seen) = watch::channel(Observation::Unseen { since: begun, why });
        let (latest_out, latest) = watch::channel(None);
        let (pulse_out, pulse) = watch::channel(LoopPulse::default());
        let nudge = Arc::new(Notify::new());
        let watched = Watched { group: Arc::clone(group), latest: latest.clone(), out };
        let spur = match regions.iter_mut().find(|(region, ..)| *region == group.region) {
            Some((_, list, spur)) => {
                list.push(watched);
                Arc::clone(spur)
            }
            None => {
                let spur = Arc::new(Spur::default());
                regions.push((group.region.clone(), vec![watched], Arc::clone(&spur)));
                spur
            }
        };
        let previewer = Previewer {
            parts: parts.clone(),
            group: Arc::clone(group),
            seen: seen.clone(),
            seed: seed(),
        };
        handles.push(GroupHandle {
            group: Arc::clone(group),
            nudge: Arc::clone(&nudge),
            latest,
            pulse,
            preview: Arc::new(previewer),
        });
        let keeper = GroupLoop {
            parts: parts.clone(),
            group: Arc::clone(group),
            seen,
            nudge,
            spur,
            latest: latest_out,
            pulse: pulse_out,
            dice: Dice(StdRng::seed_from_u64(seed())),
            next_look: None,
            said: None,
            news: News::default(),
        };
        let what = format!("the loop of {}", group.name);
        tracker.spawn(watch_over(parts, what, keeper.run()));
    }
    let observers = regions
        .into_iter()
        .map(|(region, watched, spur)| {
            let (out, pulse) = watch::channel(ObserverPulse {
                region: region.clone(),
                seen: None,
                listings: 0,
                failed: 0,
                failure: None,
            });
            let what = format!("the observer of {region}");
            let run = observer(parts.clone(), region, watched, spur, out);
            tracker.spawn(watch_over(parts, what, run));
            pulse
        })
        .collect();
    Handle::new(handles, observers)
}

/// What makes an observer look sooner than at rest.
#[derive(Default)]
struct Spur {
    /// Something is in flight.
    busy: Notify,
    /// Calls have ended: what they did can be seen.
    acted: Notify,
}

/// Runs a loop; if it ends by itself, that is told, and the daemon ends too.
fn watch_over<F: Future<Output = ()>>(
    parts: &Parts,
    what: String,
    run: F,
) -> impl Future<Output = ()> + use<F> {
    let guard = Guard { what, stopping: parts.stopping.clone(), broken: parts.broken.clone() };
    async move {
        let _guard = guard;
        run.await;
    }
}

struct Guard {
    what: String,
    stopping: CancellationToken,
    broken: CancellationToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.stopping.is_cancelled() {
            tracing::error!("{} ended by itself: stopping", self.what);
            self.broken.cancel();
        }
    }
}

struct GroupLoop {
    parts: Parts,
    group: Arc<Group>,
    seen: watch::Receiver<Observation>,
    nudge: Arc<Notify>,
    spur: Arc<Spur>,
    latest: watch::Sender<Option<Arc<Decision>>>,
    pulse: watch::Sender<LoopPulse>,
    dice: Dice,
    next_look: Option<Instant>,
    /// What was last said of the group, so that only news are.
    said: Option<(Situation, u32)>,
    news: News,
}

impl GroupLoop {
    async fn run(mut self) {
        let stopping = self.parts.stopping.clone();
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

    /// Waits for the next reason to look; false once we stop.
    async fn rest(&mut self, stopping: &CancellationToken, began: Instant) -> bool {
        let far = began + Duration::from_secs(3600);
        let look = self.next_look.unwrap_or(far);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return false,
            () = self.nudge.notified() => {}
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
        let Some(result) = self.pass_or_stop(now, stopping).await else {
            let group = &self.group.name;
            tracing::warn!(group = %group, "stopped in the middle of a pass; the next start recovers");
            return false;
        };
        self.report(now, &result);
        if result.as_ref().is_ok_and(|decision| !decision.plan.is_empty()) {
            self.spur.acted.notify_one();
        }
        self.next_look = Some(match &result {
            Ok(decision) => Instant::now() + decision.next_look.since(now.steady),
            Err(_) => Instant::now() + AFTER_FAILURE,
        });
        true
    }

    async fn pass_or_stop(
        &mut self,
        now: Now,
        stopping: &CancellationToken,
    ) -> Option<Result<Arc<Decision>, PassError>> {
        let observation = self.seen.borrow_and_update().clone();
        let (latest, spur, said) = (&self.latest, &self.spur, &mut self.said);
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
        timeout(STOP_WITHIN, run).await.ok()
    }

    fn report(&self, now: Now, result: &Result<Arc<Decision>, PassError>) {
        let failure = result.as_ref().err().map(ToString::to_string);
        // Said once: the next pass comes in seconds, and so may the same failure.
        let (group, last) = (&self.group.name, self.pulse.borrow().failure.clone());
        match (&failure, &last) {
            (Some(now), last) if last.as_ref() != Some(now) => {
                tracing::error!(group = %group, "pass failed: {now}");
            }
            (None, Some(_)) => tracing::info!(group = %group, "passes succeed again"),
            (Some(_) | None, _) => {}
        }
        self.pulse.send_modify(|pulse| {
            pulse.passed = Some(now);
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

/// Lists a region on its cadence until we stop.
async fn observer(
    parts: Parts,
    region: Region,
    watched: Vec<Watched>,
    spur: Arc<Spur>,
    pulse: watch::Sender<ObserverPulse>,
) {
    // The first audit comes soon: what was changed while we were away shows at once.
    let mut audit_due = Instant::now() + BUSY_CYCLE;
    let mut found = Findings::default();
    let (mut round, mut haste) = (Round::default(), Haste::default());
    loop {
        let began = Instant::now();
        let enough = || sleep(LOOKUPS_WITHIN);
        let look = observe(&*parts.compute, &*parts.clock, &region, &watched, &mut round, enough);
        let result = tokio::select! {
            biased;
            () = parts.stopping.cancelled() => return,
            result = look => result,
        };
        tell(&pulse, &region, &result);
        if result.is_ok() && audit_due <= began {
            audit_due = began + AUDIT_CYCLE;
            let stopped = tokio::select! {
                biased;
                () = parts.stopping.cancelled() => true,
                () = look_closer(&parts, &region, &watched, &mut found) => false,
            };
            if stopped {
                return;
            }
        }
        let mut next = began + REST_CYCLE;
        loop {
            if result.is_ok() && haste.needed(&watched, parts.clock.now().steady) {
                next = next.min(began + BUSY_CYCLE);
            }
            tokio::select! {
                biased;
                () = parts.stopping.cancelled() => return,
                () = sleep_until(next) => break,
                () = spur.busy.notified() => {}
                () = spur.acted.notified(), if result.is_ok() => {
                    next = next.min(began + AFTER_CALLS);
                }
            }
        }
    }
}

/// One audit; what it found is told when it differs from the last time.
async fn look_closer(parts: &Parts, region: &Region, watched: &[Watched], found: &mut Findings) {
    match parts.compute.audit(region).await {
        Ok(audit) => {
            let now = findings(&audit, watched, &parts.install);
            if now != *found && !now.is_empty() {
                tracing::warn!(region = %region, "{now}");
            }
            *found = now;
        }
        Err(failure) => {
            tracing::debug!(region = %region, "the audit comes again later: {failure}");
        }
    }
}

fn tell(pulse: &watch::Sender<ObserverPulse>, region: &Region, result: &Result<Now, Failure>) {
    let failure = result.as_ref().err().map(Failure::in_words);
    let was = pulse.borrow().failure.clone();
    match (&was, result) {
        (last, Err(failure)) if *last != Some(failure.in_words()) => tracing::warn!(
            region = %region,
            kind = failure.kind.word(),
            key = failure.key.as_deref(),
            hint = failure.hint.as_deref(),
            "servers cannot be listed: {failure}"
        ),
        (Some(_), Ok(_)) => tracing::info!(region = %region, "servers are listed again"),
        (_, Ok(_) | Err(_)) => {}
    }
    pulse.send_modify(|p| {
        p.listings += 1;
        p.failed += u64::from(failure.is_some());
        p.seen = result.as_ref().ok().copied().or(p.seen);
        p.failure = failure;
    });
}

struct Previewer {
    parts: Parts,
    group: Arc<Group>,
    seen: watch::Receiver<Observation>,
    seed: u64,
}

#[async_trait]
impl Preview for Previewer {
    async fn preview(&self) -> Result<Decision, StoreError> {
        let observation = self.seen.borrow().clone();
        let mut dice = Dice(StdRng::seed_from_u64(self.seed));
        let now = self.parts.clock.now();
        preview(&self.parts, &self.group, &observation, now, &mut dice).await
    }
}
