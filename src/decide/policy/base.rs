//! The base: the capacity that `set` and `adjust` declared, else the min in force.

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};

pub(super) fn claim(snapshot: &Snapshot<'_>) -> Claim {
    let base = snapshot.state.base;
    let reason = snapshot.state.base_reason.clone().filter(|_| base.is_some());
    let wants = Wants::Servers(base.unwrap_or(snapshot.bounds().floor()));
    Claim { source: Source::Base { declared: base.is_some(), reason }, wants }
}
