//! Digests: the identity of a template and of a group's whole configuration.
//!
//! A server carries its template's digest in its metadata, so a digest must be the same in every
//! run and release for the same settings: fields are written out one by one, each with its name
//! and length, never through `Debug`. Adding a field to a template changes every digest once.

use sha2::{Digest as _, Sha256};

use crate::domain::behaviour::{Behaviour, Change, Meltdown, Rates, ScaleOut, Select};
use crate::domain::group::{
    AntiAffinity, Group, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use crate::domain::id::TemplateHash;
use crate::domain::policy::{self, Adjustment, Asks, Fallback, Policy, Reading, Tolerance};
use crate::domain::schedule::{Ends, Gives, Lead, Schedule, When};
use crate::domain::time::Wall;

/// Of all that servers are made from; the group's name and the template's `hash` have no part.
pub(super) fn template(template: &Template) -> TemplateHash {
    let mut writer = Writer::default();
    writer.list("flavors", &template.flavors);
    match &template.image {
        ImageRef::Id(id) => writer.text("image.id", id),
        ImageRef::Name(name) => writer.text("image.name", name),
        ImageRef::Newest(pattern) => writer.text("image.newest", pattern),
    }
    match &template.networks {
        Networks::Auto => writer.text("networks", "auto"),
        Networks::None => writer.text("networks", "none"),
        Networks::Named(names) => writer.list("networks.named", names),
    }
    writer.list("security_groups", &template.security_groups);
    writer.list("key_name", template.key_name.as_slice());
    writer.list("zones", template.zones.iter().map(|z| z.as_str()));
    writer.list("user_data", template.user_data.as_ref().map(|u| &*u.0).as_slice());
    writer.list("metadata.keys", template.metadata.keys());
    writer.list("metadata.values", template.metadata.values());
    writer.text("name_prefix", &template.name_prefix);
    writer.number("config_drive", u64::from(template.config_drive));
    if let Some(volume) = &template.boot_volume {
        writer.number("boot_volume.size_gib", u64::from(volume.size_gib));
        writer.list("boot_volume.type", volume.volume_type.as_slice());
        writer.number("boot_volume.delete", u64::from(volume.delete_on_termination));
    }
    match &template.placement {
        Placement::Anywhere => {}
        Placement::ServerGroup(name) => writer.text("server_group", name),
        Placement::AntiAffinity(AntiAffinity::Soft) => writer.text("anti_affinity", "soft"),
        Placement::AntiAffinity(AntiAffinity::Strict) => writer.text("anti_affinity", "strict"),
    }
    writer.finish()
}

/// Of all that is configured for a group; its `config_hash` has no part.
pub(super) fn group(group: &Group) -> TemplateHash {
    let mut writer = Writer::default();
    writer.text("name", group.name.as_str());
    writer.text("tag", group.tag.as_str());
    writer.text("region", group.region.as_str());
    writer.number("min", u64::from(group.bounds.min));
    writer.number("max", u64::from(group.bounds.max));
    writer.text("template", group.template.hash.as_str());
    for policy in &group.policies {
        write_policy(&mut writer, policy);
    }
    for schedule in &group.schedules {
        write_schedule(&mut writer, schedule);
    }
    write_behaviour(&mut writer, &group.behaviour);
    write_limits(&mut writer, group.patience, group.launch);
    writer.finish()
}

fn write_policy(writer: &mut Writer, policy: &Policy) {
    match policy {
        Policy::Total(target) => {
            write_reading(writer, "target", &target.reading);
            writer.number("target.per_server", target.per_server.to_bits());
            writer.span("target.stale_after", target.reading.stale_after);
            // What is left out where it is the default keeps the digests of groups without it.
            if target.tolerance != Tolerance::default() {
                write_tolerance(writer, target.tolerance);
            }
        }
        Policy::Average(target) => {
            write_reading(writer, "target", &target.reading);
            writer.number("target.average", target.target.to_bits());
            writer.span("target.stale_after", target.reading.stale_after);
            writer.span("target.warm_up", target.warm_up);
            write_tolerance(writer, target.tolerance);
        }
        Policy::Step(step) => {
            write_reading(writer, "step", &step.reading);
            writer.span("step.stale_after", step.reading.stale_after);
            writer.span("step.warm_up", step.warm_up);
            writer.number("step.flapping_guard", u64::from(step.flapping_guard));
            for (side, ranges) in [("step.out", &step.out), ("step.in", &step.into)] {
                ranges.iter().for_each(|range| write_range(writer, side, range));
            }
        }
        Policy::Alert(alert) => {
            writer.text("alert.alert", alert.alert.as_str());
            writer.span("alert.expires_after", alert.expires_after);
            match alert.asks {
                Asks::Capacity(n) => writer.number("alert.capacity", u64::from(n)),
                Asks::More { change, every, most } => {
                    write_change(writer, "alert", change);
                    writer.span("alert.every", every);
                    writer.number("alert.most", u64::from(most));
                }
            }
        }
        Policy::Expression(expression) => {
            writer.text("expression.name", &expression.name);
            writer.text("expression.servers", expression.formula.text());
            for reading in &expression.readings {
                write_reading(writer, "expression", reading);
                writer.span("expression.stale_after", reading.stale_after);
            }
        }
    }
    if let Some(Fallback { after, capacity }) = policy.fallback() {
        writer.span("policy.hold_for", after);
        writer.number("policy.fallback", u64::from(capacity));
    }
}

fn write_reading(writer: &mut Writer, of: &str, reading: &Reading) {
    writer.text(&format!("{of}.signal"), reading.signal.as_str());
    if !reading.window.is_zero() {
        writer.text(&format!("{of}.aggregate"), reading.aggregate.to_string());
        writer.span(&format!("{of}.window"), reading.window);
    }
}

fn write_tolerance(writer: &mut Writer, tolerance: Tolerance) {
    writer.number("target.tolerance.out", tolerance.out.to_bits());
    writer.number("target.tolerance.in", tolerance.into.to_bits());
}

fn write_range(writer: &mut Writer, side: &str, range: &Adjustment) {
    let end = |end: Option<f64>| end.map(|n| n.to_bits().to_be_bytes());
    writer.list(&format!("{side}.from"), end(range.from).as_slice());
    writer.list(&format!("{side}.to"), end(range.to).as_slice());
    write_change(writer, side, range.change);
}

fn write_change(writer: &mut Writer, of: &str, change: policy::Change) {
    match change {
        policy::Change::Servers(n) => writer.number(&format!("{of}.change"), u64::from(n)),
        policy::Change::Exact(n) => writer.number(&format!("{of}.exact"), u64::from(n)),
        policy::Change::Percent { by, least } => {
            writer.number(&format!("{of}.percent"), by.to_bits());
            writer.number(&format!("{of}.least"), u64::from(least));
        }
    }
}

fn write_schedule(writer: &mut Writer, schedule: &Schedule) {
    let at = |wall: &Wall| wall.0.to_be_bytes();
    let number = |n: u32| u64::from(n).to_be_bytes();
    writer.text("schedule.name", &schedule.name);
    match &schedule.when {
        When::Recurring(opens, ends) => {
            writer.text("schedule.cron", opens.to_string());
            match ends {
                Ends::After(span) => writer.span("schedule.duration", *span),
                Ends::At(closes) => writer.text("schedule.end", closes.to_string()),
            }
        }
        When::Once { from, until } => {
            writer.text("schedule.from", at(from));
            writer.list("schedule.until", until.as_ref().map(at).as_slice());
        }
    }
    let Gives { min, max, capacity } = schedule.gives;
    writer.list("schedule.min", min.map(number).as_slice());
    writer.list("schedule.max", max.map(number).as_slice());
    writer.list("schedule.capacity", capacity.map(number).as_slice());
    if let Lead::Fixed(lead) = schedule.lead {
        writer.span("schedule.lead", lead);
    }
}

fn write_behaviour(writer: &mut Writer, behaviour: &Behaviour) {
    let scale_in = &behaviour.scale_in;
    writer.span("scale_in.stabilization", scale_in.stabilization);
    writer.span("scale_in.cooldown", scale_in.cooldown);
    writer.number("scale_in.velocity", scale_in.velocity.percent.to_bits());
    // Left out where it is the default: the digests of groups that never set it stay.
    write_rates(writer, "scale_in", &scale_in.rates, scale_in.tolerance);
    let ScaleOut { stabilization, cooldown, rates, tolerance } = &behaviour.scale_out;
    for (name, span) in
        [("scale_out.stabilization", stabilization), ("scale_out.cooldown", cooldown)]
    {
        if !span.is_zero() {
            writer.span(name, *span);
        }
    }
    write_rates(writer, "scale_out", rates, *tolerance);
    let meltdown = behaviour.meltdown;
    if meltdown != Meltdown::default() {
        writer.number("meltdown.share", meltdown.percent.to_bits());
        writer.number("meltdown.most", u64::from(meltdown.most));
        writer.span("meltdown.within", meltdown.within);
    }
}

fn write_rates(writer: &mut Writer, way: &str, rates: &Rates, tolerance: Option<f64>) {
    match rates.select {
        Select::Max => {}
        Select::Min => writer.text(way, "min"),
        Select::Disabled => writer.text(way, "disabled"),
    }
    for rate in &rates.rates {
        match rate.change {
            Change::Count(n) => writer.number(&format!("{way}.count"), u64::from(n)),
            Change::Percent(percent) => {
                writer.number(&format!("{way}.percent"), percent.to_bits());
            }
        }
        writer.span(&format!("{way}.per"), rate.per);
    }
    if let Some(tolerance) = tolerance {
        writer.number(&format!("{way}.tolerance"), tolerance.to_bits());
    }
}

fn write_limits(writer: &mut Writer, patience: Patience, launch: LaunchLimits) {
    writer.span("patience.build", patience.build);
    writer.span("patience.delete", patience.delete);
    writer.span("patience.settle", patience.settle);
    writer.number("launch.batch", u64::from(launch.batch));
    writer.span("launch.backoff.first", launch.backoff.first);
    writer.span("launch.backoff.most", launch.backoff.most);
}

/// Feeds fields to SHA-256 so that no two different lists of fields read alike.
#[derive(Default)]
struct Writer(Sha256);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.list(name, [value]);
    }

    fn list<T: AsRef<[u8]>>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        let values: Vec<T> = values.into_iter().collect();
        self.bytes(name.as_bytes());
        self.0.update((values.len() as u64).to_be_bytes());
        values.iter().for_each(|value| self.bytes(value.as_ref()));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.text(name, value.to_be_bytes());
    }

    fn span(&mut self, name: &str, value: std::time::Duration) {
        self.text(name, value.as_nanos().to_be_bytes());
    }

    /// The first 64 bits: enough to tell templates apart, short enough to read aloud.
    fn finish(self) -> TemplateHash {
        let digest = self.0.finalize();
        let first = digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        TemplateHash::from_bits(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_never_run_into_each_other() {
        let of = |write: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::default();
            write(&mut writer);
            writer.finish()
        };
        let mut all = vec![
            of(&|w| w.list("a", ["b", "c"])),
            of(&|w| w.list("a", ["bc"])),
            of(&|w| w.list("a", ["c", "b"])),
            of(&|w| w.text("ab", "c")),
            of(&|w| {
                w.text("a", "b");
                w.text("c", "");
            }),
            of(&|w| w.list::<&str>("a", [])),
            of(&|w| w.text("a", "")),
        ];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7);
    }
}
