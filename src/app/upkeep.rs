//! What goes on beside the loops: retention, the note of the clocks, the watchdog.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cloud::openstack::{OpenStack, SignedIn};
use crate::control::handle::Handle;
use crate::domain::group::Group;
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
    pub(super) handle: Handle,
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

    /// Feeds systemd's watchdog while every loop passes in time; a loop that hangs starves it.
    pub(super) async fn watchdog(self) {
        let asked = sd_notify::watchdog_enabled();
        let mut tick = interval(asked.map_or(LOOK_EVERY, |limit| limit / 3));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = self.clock.now();
        let mut hanging = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                _ = tick.tick() => {}
            }
            let stalled = probe::stalled(&self.handle, started, self.clock.now());
            for group in stalled.iter().filter(|group| !hanging.contains(*group)) {
                tracing::error!(group = %group, "the group's loop hangs: no pass has ended in time");
            }
            hanging = stalled;
            if hanging.is_empty() && asked.is_some() {
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
    let mut regions: Vec<_> = groups.iter().map(|g| &g.region).collect();
    regions.sort();
    regions.dedup();
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
