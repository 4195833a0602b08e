//! One region's observer, which lists on its cadence, and its auditor, which looks at the
//! whole project now and then. They are tasks of their own: an audit, the longest of all
//! listings, holds up no observation.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::control::Parts;
use crate::control::audit::{AUDIT_CYCLE, Findings, findings};
use crate::control::handle::ObserverPulse;
use crate::control::observe::{
    AFTER_CALLS, BUSY_CYCLE, Haste, LOOKUPS_WITHIN, REST_CYCLE, Round, Watched, observe, void,
};
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Now;

/// How long one look may take, with its look-ups: several times longer than an observation
/// stays fresh, so that nothing of use is cut.
const LOOK_WITHIN: Duration = Duration::from_secs(150);
/// How long an audit may take: many pages, at the pace that the cloud is asked with.
const AUDIT_WITHIN: Duration = Duration::from_secs(300);

/// What makes an observer look sooner than at rest.
#[derive(Default)]
pub(super) struct Spur {
    /// Something is in flight.
    pub(super) busy: Notify,
    /// Calls have ended: what they did can be seen.
    pub(super) acted: Notify,
}

/// Lists a region for all of its groups.
pub(super) struct Observer {
    pub(super) parts: Parts,
    pub(super) region: Region,
    /// The groups that are there: another configuration changes them.
    pub(super) watched: watch::Receiver<Arc<[Watched]>>,
    pub(super) spur: Arc<Spur>,
    pub(super) pulse: watch::Sender<ObserverPulse>,
}

impl Observer {
    /// Lists on its cadence until we stop, from the moment on that there are groups.
    pub(super) async fn run(mut self) {
        let (mut round, mut haste) = (Round::default(), Haste::default());
        let stopping = self.parts.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            _ = self.watched.changed() => {}
        }
        loop {
            let (began, watched) = (Instant::now(), Arc::clone(&self.watched.borrow_and_update()));
            let result = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                result = self.look(&watched, &mut round) => result,
            };
            tell(&self.pulse, &self.region, &result);
            if !self.rest(began, result.is_ok(), &mut haste).await {
                return;
            }
        }
    }

    /// One listing with its look-ups, or the failure that every group was told.
    async fn look(&self, watched: &[Watched], round: &mut Round) -> Result<Now, Failure> {
        let (region, clock, began) = (&self.region, &*self.parts.clock, self.parts.clock.now());
        self.pulse.send_modify(|pulse| pulse.tried = began);
        let enough = || sleep(LOOKUPS_WITHIN);
        let look = observe(&*self.parts.compute, clock, region, watched, round, enough);
        match timeout(LOOK_WITHIN, look).await {
            Ok(result) => result,
            Err(_) => {
                let secs = LOOK_WITHIN.as_secs();
                let text = format!("listing the servers of {region} did not end within {secs} s");
                let failure = Failure::new(FailureKind::Unclear, text);
                void(watched, began, &failure);
                Err(failure)
            }
        }
    }

    /// Waits until the next look is due; false once we stop.
    async fn rest(&mut self, began: Instant, seen: bool, haste: &mut Haste) -> bool {
        let mut next = began + REST_CYCLE;
        loop {
            let watched = Arc::clone(&self.watched.borrow());
            if seen && haste.needed(&watched, self.parts.clock.now().steady) {
                next = next.min(began + BUSY_CYCLE);
            }
            tokio::select! {
                biased;
                () = self.parts.stopping.cancelled() => return false,
                () = sleep_until(next) => return true,
                // Other groups want to be seen.
                changed = self.watched.changed() => match changed {
                    Ok(()) => next = next.min(began + AFTER_CALLS),
                    Err(_) => return false,
                },
                () = self.spur.busy.notified() => {}
                () = self.spur.acted.notified(), if seen => {
                    next = next.min(began + AFTER_CALLS);
                }
            }
        }
    }
}

/// Audits a region every [`AUDIT_CYCLE`], one audit at a time.
pub(super) struct Auditor {
    pub(super) parts: Parts,
    pub(super) region: Region,
    pub(super) watched: watch::Receiver<Arc<[Watched]>>,
    /// While the region cannot be listed, it is not audited either.
    pub(super) listed: watch::Receiver<ObserverPulse>,
}

impl Auditor {
    pub(super) async fn run(mut self) {
        let stopping = self.parts.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = self.audits() => {}
        }
    }

    async fn audits(&mut self) {
        // The first one comes soon: what was changed while we were away shows at once.
        let mut due = Instant::now() + BUSY_CYCLE;
        let mut found = Findings::default();
        loop {
            sleep_until(due).await;
            let listed = |pulse: &ObserverPulse| pulse.seen.is_some() && pulse.failure.is_none();
            if self.listed.wait_for(listed).await.is_err() {
                return;
            }
            due = Instant::now() + AUDIT_CYCLE;
            if timeout(AUDIT_WITHIN, self.look_closer(&mut found)).await.is_err() {
                let (region, secs) = (&self.region, AUDIT_WITHIN.as_secs());
                tracing::warn!(region = %region, "the audit was given up after {secs} s");
            }
        }
    }

    /// One audit; what it found is told when it differs from the last time.
    async fn look_closer(&self, found: &mut Findings) {
        let (parts, region) = (&self.parts, &self.region);
        match parts.compute.audit(region).await {
            Ok(audit) => {
                let watched = Arc::clone(&self.watched.borrow());
                let now = findings(&audit, &watched, &parts.install);
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
