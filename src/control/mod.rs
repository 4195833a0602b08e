//! The loop: observe, decide, verify, record, act, record.
//!
//! [`observe`] lists each region's servers on a cadence of its own; [`run`] keeps one
//! loop for each group, so that a slow group never delays another; [`pass`] is one look
//! at one group; [`act`] carries a decision out and chooses nothing. Everything that a
//! loop may touch is in [`Parts`]: the seams, the lease, the clock.

pub mod absent;
pub mod act;
pub mod audit;
pub mod handle;
pub mod news;
pub mod observe;
pub mod pass;
pub mod run;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cloud::{Compute, Resolve};
use crate::domain::freeze::Brake;
use crate::domain::id::InstallId;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::time::Clock;
use crate::store::{Lease, Store};

/// What the loops work with. Cloned into each of them.
#[derive(Clone)]
pub struct Parts {
    pub compute: Arc<dyn Compute>,
    pub resolve: Arc<dyn Resolve>,
    pub store: Arc<dyn Store>,
    pub lease: Lease,
    pub clock: Arc<dyn Clock>,
    pub install: InstallId,
    pub watcher: Arc<dyn Watcher>,
    /// Asked at each pass, and again before each call that changes anything.
    pub brake: Arc<dyn Brake>,
    /// Held from the look at a server that is adopted to the end of its marking.
    pub adopting: Arc<tokio::sync::Mutex<()>>,
    /// Cancelled when we stop: no new call is begun after that.
    pub stopping: CancellationToken,
    /// Cancelled by a loop that ended though nobody stopped it, as by a panic: the daemon then
    /// ends, for whoever started it to start it again whole.
    pub broken: CancellationToken,
}

/// Is told what the loops concluded, to count it. It must not wait.
pub trait Watcher: Send + Sync {
    /// A decision is durable; its calls come next.
    fn decided(&self, decision: &Decision);

    /// One of the decision's calls has ended.
    fn ended(&self, decision: &Decision, outcome: &Outcome);
}
