//! Reservations: capacity that an owner asked for until an announced end.

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::time::left_secs;

pub(super) fn claims<'a>(snapshot: &'a Snapshot<'a>) -> impl Iterator<Item = Claim> + 'a {
    let now = snapshot.now.steady;
    snapshot.state.reservations.iter().filter(move |r| r.until.steady > now).map(move |r| {
        let left_secs = left_secs(r.until.steady.since(now));
        let source =
            Source::Reservation { owner: r.owner.clone(), left_secs, reason: r.reason.clone() };
        Claim { source, wants: Wants::Servers(r.capacity) }
    })
}
