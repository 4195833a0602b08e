//! What goes on beside the loops: retention, the note of the clocks, the watchdog.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cloud::openstack::{OpenStack, SignedIn};
use crate::control::handle::Handle;
use crate::domain::group::Group;
use crate::domain::id::Region;
use crate::domain::time::{Clock, Now};
use crate::http::probe;
use crate::store::{Lease, Store, StoreError};

/// How often the clocks are noted: what a crash costs the steady clock at most.
const MARK_EVERY: Duration = Duration::from_secs(30);
/// How often retention is applied.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How often the loops are looked at where no service manager says.
const LOOK_EVERY: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Upkeep {
    pub(super) store: Arc<dyn Store>,
    pub(super) lease: Lease,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopping: CancellationToken,
    pub(super) broken: CancellationToken,
}

impl Upkeep {
    /// Notes the clocks and removes what retention no longer keeps, until we stop.
    pub(super) async fn housekeeping(self) {
        let (mut mark, mut sweep) = (interval(MARK_EVERY), interval(SWEEP_EVERY));
        mark.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = self.clock.now();
            let done = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                _ = mark.tick() => self.store.mark_time(&self.lease, now).await,
                _ = sweep.tick() => self.sweep(now).await,
            };
            match done {
                Ok(()) => {}
                Err(error @ StoreError::Fenced(_)) => {
                    tracing::error!("stopping: {error}");
                    return self.broken.cancel();
                }
                Err(error) => tracing::warn!("housekeeping will be tried again: {error}"),
            }
        }
    }

    async fn sweep(&self, now: Now) -> Result<(), StoreError> {
        let gone = self.store.sweep(&self.lease, now).await?;
        if gone > 0 {
            tracing::debug!("retention removed {gone} rows");
        }
        Ok(())
    }

    /// Feeds systemd's watchdog while every loop shows that it lives; one that hangs starves it.
    pub(super) async fn watchdog(self, mut loops: Loops) {
        let asked = sd_notify::watchdog_enabled();
        let mut tick = interval(asked.map_or(LOOK_EVERY, |limit| limit / 3));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                _ = tick.tick() => {}
            }
            if loops.live(self.clock.now()) && asked.is_some() {
                super::announce::notify(&[sd_notify::NotifyState::Watchdog]);
            }
        }
    }

    /// Signs in once at the start and says as whom and to what. A failure is told by the
    /// observers as well, which go on trying.
    pub(super) async fn introduce(self, openstack: OpenStack, groups: Vec<Arc<Group>>) {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => {}
            () = introduce(&openstack, &groups) => {}
        }
    }
}

/// The loops as the watchdog sees them.
pub(super) struct Loops {
    handle: watch::Receiver<Handle>,
    overdue: Duration,
    /// Those that were told of.
    hanging: Vec<String>,
}

impl Loops {
    pub(super) fn new(handle: watch::Receiver<Handle>, overdue: Duration) -> Self {
        Self { handle, overdue, hanging: Vec::new() }
    }

    /// Whether all of them live; which do not is told once.
    fn live(&mut self, now: Now) -> bool {
        let handle = self.handle.borrow().clone();
        let hanging = probe::stalled(&handle, self.overdue, now);
        for which in hanging.iter().filter(|which| !self.hanging.contains(*which)) {
            tracing::error!("{which} hangs: it has not shown that it lives in time");
        }
        self.hanging = hanging;
        self.hanging.is_empty()
    }
}

fn tell(signed_in: &SignedIn) {
    let name = |(id, name): &(String, Option<String>)| name.clone().unwrap_or_else(|| id.clone());
    let roles = signed_in.roles.join(", ");
    tracing::info!(
        "signed in as {} to project {} (roles {roles}); the token is good until {}",
        name(&signed_in.user),
        name(&signed_in.project),
        signed_in.expires_at.timestamp().strftime("%H:%M:%S UTC"),
    );
    if !signed_in.renewable {
        tracing::warn!(
            "a given token cannot be renewed: after {} nothing can be done",
            signed_in.expires_at
        );
    }
}

async fn introduce(openstack: &OpenStack, groups: &[Arc<Group>]) {
    let signed_in = match openstack.sign_in().await {
        Ok(signed_in) => signed_in,
        Err(failure) => {
            let (key, hint) = (failure.key.as_deref(), failure.hint.as_deref());
            tracing::error!(key, hint, "cannot sign in, trying again: {failure}");
            return;
        }
    };
    tell(&signed_in);
    say_versions(openstack, &new_regions(&[], groups)).await;
}

/// The regions that these groups are in and those before were not.
pub(super) fn new_regions(before: &[Arc<Group>], groups: &[Arc<Group>]) -> Vec<Region> {
    let known: BTreeSet<&Region> = before.iter().map(|group| &group.region).collect();
    let now: BTreeSet<&Region> = groups.iter().map(|group| &group.region).collect();
    now.difference(&known).map(|region| (*region).clone()).collect()
}

/// The same for regions that a reload brought, until we stop.
pub(super) async fn look_at(stopping: CancellationToken, openstack: OpenStack, new: Vec<Region>) {
    tokio::select! {
        biased;
        () = stopping.cancelled() => {}
        () = say_versions(&openstack, &new) => {}
    }
}

/// Says in which version Nova speaks in each region.
async fn say_versions(openstack: &OpenStack, regions: &[Region]) {
    for region in regions {
        match openstack.microversion(region).await {
            Ok(version) => tracing::info!(region = %region, "Nova speaks microversion {version}"),
            Err(failure) => {
                let (key, hint) = (failure.key.as_deref(), failure.hint.as_deref());
                tracing::error!(region = %region, key, hint, "{failure}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::handle::ObserverPulse;
    use crate::domain::time::{Steady, Wall};

    #[test]
    fn what_hangs_starves_the_watchdog_until_it_lives_again() {
        let at = |secs: u64| Now { wall: Wall(0), steady: Steady(secs * 1000) };
        let region = Region::new("GRA11").unwrap();
        let (observer, pulse) = watch::channel(ObserverPulse::fresh(region, at(0)));
        let handle = watch::channel(Handle::new([], vec![pulse])).1;
        let mut loops = Loops::new(handle, Duration::from_secs(180));
        assert!(loops.live(at(180)));
        assert!(!loops.live(at(181)));
        assert_eq!(loops.hanging, ["the observer of GRA11"]);
        assert!(!loops.live(at(1000)));
        observer.send_modify(|pulse| pulse.tried = at(1001));
        assert!(loops.live(at(1001)));
    }
}
