//! What a payload comes to is made durable, group by group.
//!
//! Each group's part is kept whole or not at all. Where one fails the sender hears so and sends
//! all of it again: what was kept changes nothing then.

use crate::control::handle::GroupHandle;
use crate::domain::alert::{AlertTold, TOLD_MOST};
use crate::domain::id::{GroupName, SourceName};
use crate::domain::signal::{Command, Ordered};
use crate::domain::time::Now;
use crate::http::api::ordered;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::webhook::signals::SAMPLES_MOST;
use crate::http::webhook::{admit, bounds};
use crate::http::{App, unknown};
use crate::store::{Admitted, IdempotencyKey, Identified, What};
use crate::telemetry::count;

use super::episodes::{self, Ended};
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

impl Keeper<'_> {
    /// Whether any of it was new.
    pub(super) async fn keep(&self, name: &GroupName, words: Words) -> Result<bool, Problem> {
        let handle = self.app.handle();
        let group = handle.group(name.as_str()).ok_or_else(|| unknown(&handle, name.as_str()))?;
        let mut fresh = self.samples(group, words.samples).await?;
        fresh |= self.alerts(group, (words.alerts, &words.ended)).await?;
        for (n, (command, reason)) in words.orders.into_iter().enumerate() {
            fresh |= self.order(group, command, reason, &format!("order/{n}")).await?;
        }
        Ok(fresh)
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
        (mut alerts, ended): (Vec<AlertTold>, &Ended),
    ) -> Result<bool, Problem> {
        let mut fresh = false;
        if alerts.iter().any(|told| told.starts.is_some()) {
            let kept = ordered(self.app, group, self.now).await?.alerts;
            alerts.iter_mut().for_each(|told| episodes::place(told, ended, &kept, self.now));
        }
        for (n, part) in alerts.chunks(TOLD_MOST).enumerate() {
            let command = Command::Alerts { alerts: part.to_vec() };
            fresh |= self.order(group, command, None, &format!("alerts/{n}")).await?;
        }
        Ok(fresh)
    }

    async fn order(
        &self,
        group: &GroupHandle,
        command: Command,
        reason: Option<String>,
        part: &str,
    ) -> Result<bool, Problem> {
        let bounds = bounds(self.app, group, self.now).await?;
        let by = self.caller.name();
        let told = crate::domain::explain::order(&command, reason.as_deref(), self.now);
        let order = Ordered { command, at: self.now, by: by.clone(), reason };
        let what = What::Command(order, bounds);
        let fresh = match admit(self.app, group, what, self.key(part), self.now).await? {
            Admitted::Stored { fresh, .. } => fresh > 0,
            Admitted::Repeated { .. } => false,
        };
        if fresh {
            tracing::info!(group = %group.group.name, by, "told: {told}");
        }
        Ok(fresh)
    }

    fn key(&self, part: &str) -> Option<IdempotencyKey> {
        let id = self.id.as_ref()?;
        let key = format!("{}/{id}/{part}", self.source);
        // Ids of senders may be long; a key has its bound.
        let key = super::keys::hex_digest(key.as_bytes());
        Some(IdempotencyKey { key, digest: self.body })
    }
}
