//! What a payload comes to is made durable, group by group.
//!
//! Each group's part is kept whole or not at all. Where one fails the sender hears so and sends
//! all of it again: what was kept changes nothing then.

use std::collections::BTreeSet;

use crate::control::handle::GroupHandle;
use crate::domain::alert::{self, AlertTold, TOLD_MOST};
use crate::domain::group::GroupState;
use crate::domain::id::{GroupName, SourceName};
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::Now;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::webhook::signals::SAMPLES_MOST;
use crate::http::webhook::{admit, bounds};
use crate::http::{App, unknown};
use crate::store::{Admitted, IdempotencyKey, Identified, What};
use crate::telemetry::count;

use super::place::Words;

pub(super) struct Keeper<'a> {
    pub(super) app: &'a App,
    pub(super) source: &'a SourceName,
    pub(super) caller: &'a Caller,
    /// By which the sender's repetitions are known.
    pub(super) id: Option<String>,
    /// The digest of the body.
    pub(super) body: [u8; 32],
    pub(super) now: Now,
}

/// What became of one group's part.
pub(super) struct Kept {
    /// Whether any of it was new.
    pub(super) fresh: bool,
    /// How many alerts fire without a place of their own.
    pub(super) crowded: usize,
}

impl Keeper<'_> {
    pub(super) async fn keep(&self, name: &GroupName, words: Words) -> Result<Kept, Problem> {
        let handle = self.app.handle();
        let group = handle.group(name.as_str()).ok_or_else(|| unknown(&handle, name.as_str()))?;
        let mut fresh = self.samples(group, words.samples).await?;
        let alerts = self.alerts(group, words.alerts).await?;
        fresh |= alerts.fresh;
        for (n, (command, reason)) in words.orders.into_iter().enumerate() {
            fresh |= self.order(group, command, reason, &format!("order/{n}")).await?.0;
        }
        Ok(Kept { fresh, ..alerts })
    }

    async fn samples(
        &self,
        group: &GroupHandle,
        mut samples: Vec<Identified>,
    ) -> Result<bool, Problem> {
        let mut fresh = 0;
        let mut part = 0;
        while !samples.is_empty() {
            let rest = samples.split_off(samples.len().min(SAMPLES_MOST));
            let names = group.group.signals().cloned().collect();
            let key = self.key(&format!("samples/{part}"));
            let what = What::Samples(std::mem::replace(&mut samples, rest), names);
            fresh += match admit(self.app, group, what, key, self.now).await? {
                Admitted::Stored { fresh, .. } => fresh,
                Admitted::Repeated { .. } => 0,
            };
            part += 1;
        }
        let labels = [("group", group.group.name.as_str())];
        self.app.counters().add(count::SIGNALS, &labels, u64::from(fresh));
        Ok(fresh > 0)
    }

    async fn alerts(
        &self,
        group: &GroupHandle,
        mut alerts: Vec<AlertTold>,
    ) -> Result<Kept, Problem> {
        let mut kept = Kept { fresh: false, crowded: 0 };
        if alerts.len() > TOLD_MOST {
            ends_first(&mut alerts);
        }
        for (n, part) in alerts.chunks(TOLD_MOST).enumerate() {
            let command = Command::Alerts { alerts: part.to_vec() };
            let (fresh, state) = self.order(group, command, None, &format!("alerts/{n}")).await?;
            kept.fresh |= fresh;
            kept.crowded += alert::crowded(&state.alerts, part);
        }
        Ok(kept)
    }

    async fn order(
        &self,
        group: &GroupHandle,
        command: Command,
        reason: Option<String>,
        part: &str,
    ) -> Result<(bool, GroupState), Problem> {
        let bounds = bounds(self.app, group, self.now).await?;
        let by = self.caller.name();
        let told = crate::domain::explain::order(&command, reason.as_deref(), self.now);
        let order = Ordered { command, at: self.now, by: by.clone(), reason };
        let what = What::Command(order, bounds);
        let (fresh, state) = match admit(self.app, group, what, self.key(part), self.now).await? {
            Admitted::Stored { fresh, state } => (fresh > 0, state),
            Admitted::Repeated { state } => (false, state),
        };
        if fresh {
            tracing::info!(group = %group.group.name, by, "told: {told}");
        }
        Ok((fresh, state))
    }

    fn key(&self, part: &str) -> Option<IdempotencyKey> {
        let id = self.id.as_ref()?;
        let key = format!("{}/{id}/{part}", self.source);
        // Ids of senders may be long; a key has its bound.
        let key = super::keys::hex_digest(key.as_bytes());
        Some(IdempotencyKey { key, digest: self.body })
    }
}

/// What only ends makes room for what fires in a later part. Of one alert the order stays.
fn ends_first(alerts: &mut [AlertTold]) {
    let alert = |told: &AlertTold| (told.name.clone(), told.fingerprint.clone());
    let fires: BTreeSet<_> = alerts.iter().filter(|told| told.firing).map(alert).collect();
    alerts.sort_by_cached_key(|told| fires.contains(&alert(told)));
}
