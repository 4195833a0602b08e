//! An operator's pin: its number in place of all claims, until it ends.

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::time::left_secs;

pub(super) fn claim(snapshot: &Snapshot<'_>) -> Option<Claim> {
    let pin = snapshot.state.pin.as_ref()?;
    let left = pin.until.map(|end| end.steady.since(snapshot.now.steady));
    if left.is_some_and(|left| left.is_zero()) {
        return None;
    }
    let source = Source::Pin { left_secs: left.map(left_secs), reason: pin.reason.clone() };
    Some(Claim { source, wants: Wants::Servers(pin.capacity) })
}
