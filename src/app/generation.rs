//! The loops of one configuration. At any time there is one generation: the next one begins when
//! the last loop of the one before has ended, so that no group ever has two.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::upkeep;
use crate::clock;
use crate::cloud::openstack::OpenStack;
use crate::control::Parts;
use crate::control::absent::Absent;
use crate::control::handle::Handle;
use crate::control::run::{self, Charge, STOP_WITHIN};
use crate::domain::group::Group;
use crate::domain::id::Region;

/// A loop ends within its own bound, or what it waits for is dropped; then it only has to return.
const ENDS_WITHIN: Duration = STOP_WITHIN.saturating_add(Duration::from_secs(3));

pub(super) struct Generation {
    pub(super) groups: Vec<Arc<Group>>,
    pub(super) handle: Handle,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Generation {
    /// Starts the loops. They end when `parts.stopping` is cancelled, or by [`end`](Self::end).
    pub(super) fn start(
        parts: &Parts,
        groups: Vec<Arc<Group>>,
        absent: Vec<Absent>,
        before: &Handle,
    ) -> Self {
        let (stopping, tasks) = (parts.stopping.child_token(), TaskTracker::new());
        let parts = Parts { stopping: stopping.clone(), ..parts.clone() };
        let charge = Charge { groups: &groups, before };
        let seed = || clock::entropy() as u64;
        let handle = run::start(&parts, charge, &tasks, seed).beside(absent);
        tasks.close();
        Self { groups, handle, stopping, tasks }
    }

    /// Ends the loops as a stop does: no new call begins, what is under way ends or is found in
    /// the journal. False if some would not end.
    pub(super) async fn end(&self) -> bool {
        self.stopping.cancel();
        tokio::time::timeout(ENDS_WITHIN, self.tasks.wait()).await.is_ok()
    }

    /// Asks each region for its version, to say it; ends with the generation.
    pub(super) fn look_at(&self, openstack: OpenStack, regions: Vec<Region>) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = upkeep::say_versions(&openstack, &regions) => {}
            }
        });
    }

    /// Ready once all of them have ended.
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}
