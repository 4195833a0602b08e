//! Which cloud is meant, and how it is spoken to.
//!
//! `[cloud]` says so by `use`, by a preset, by a cloud of clouds.yaml, or by keystoneauth's options
//! themselves; without any of these, openstacksdk's rules find it. What `[cloud]` writes lies over
//! what was found.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::cloud::{Cloud, CloudSettings, Limits, SandboxSettings};
use super::super::fault::{Sink, Spot};
use super::super::file::{CloudText, LimitsText, SandboxText, SecretText, StrengthText};
use super::super::openstack::{self, Found};
use super::super::options::{Base, Options, Origin};
use super::super::presets::{PRESETS, Preset};
use super::super::read::{At, Named, nearest};
use super::super::rehearsal::{Fault, Wishes};
use super::super::view::CloudView;
use super::auth::{self, Taker};
use super::endpoint::{self, Allowed};
use super::range::{self, HOUR, SECOND};
use super::{Around, at_most_one, secrets, tls};
use crate::domain::id::Region;

pub(super) struct Checked {
    pub(super) cloud: Option<(Cloud, CloudView)>,
    pub(super) region: Option<Region>,
    pub(super) call_timeout: Duration,
}

pub(super) fn check(text: &At<CloudText>, around: Around<'_>, sink: &mut Sink) -> Checked {
    let limits = limits(text.limits.as_deref(), sink);
    let ways = [&text.source, &text.preset, &text.cloud];
    at_most_one(&ways.map(|at| at.as_ref().map(|at| &at.spot)), sink);
    let (cloud, region) = match text.source.as_ref().map(|at| (at, at.value.as_str())) {
        Some((_, "sandbox")) => sandbox(text, limits, sink),
        None if only_tried(text, sink) => (None, Some(unknown_region())),
        Some((_, "env")) | None => openstack(text, limits, around, sink),
        Some((at, other)) => {
            let fault = sink.fault(&at.spot, format!("`cloud.use` has no choice \"{other}\""));
            fault.hint("write \"sandbox\" or \"env\", or name a preset or a cloud instead");
            (None, Some(unknown_region()))
        }
    };
    // A region that was refused is no reason to refuse every group for lacking one.
    let refused = sink.refused_at(|key| key == "cloud.region");
    let region = region.or_else(|| refused.then(unknown_region));
    Checked { cloud, region, call_timeout: limits.call_timeout }
}

/// Whether `[cloud]` says which cloud is meant, but not so that it could be read: what other
/// places would say is beside the point then.
fn only_tried(text: &CloudText, sink: &Sink) -> bool {
    let says = text.preset.is_some() || text.cloud.is_some() || signs_in(text);
    let tried = |key: &str| {
        let below = key.strip_prefix("cloud.");
        let beside = |rest: &str| rest.starts_with("sandbox") || rest.starts_with("limits");
        key == "cloud" || below.is_some_and(|rest| !beside(rest))
    };
    !says && sink.refused_at(tried)
}

fn region_of(at: Option<&At<String>>, sink: &mut Sink) -> Option<Region> {
    range::id::<Region>(at?, sink)
}

#[expect(clippy::expect_used, reason = "a word of letters keeps Region's rule")]
fn unknown_region() -> Region {
    Region::new("unknown").expect("a region")
}

/// Faster than any service takes; a number above it is a mistake.
const RATE_MOST: f64 = 1000.0;

fn limits(text: Option<&LimitsText>, sink: &mut Sink) -> Limits {
    let default = Limits::default();
    let Some(text) = text else { return default };
    let Limits { read_per_second, write_per_second, concurrency, call_timeout, retry_after_most } =
        default;
    Limits {
        read_per_second: range::above_zero(
            text.read_per_second.as_ref(),
            read_per_second,
            RATE_MOST,
            sink,
        ),
        write_per_second: range::above_zero(
            text.write_per_second.as_ref(),
            write_per_second,
            RATE_MOST,
            sink,
        ),
        concurrency: range::number(text.concurrency.as_ref(), concurrency, 1..=256, sink),
        call_timeout: range::span(
            text.call_timeout.as_ref(),
            call_timeout,
            SECOND..=600 * SECOND,
            sink,
        ),
        retry_after_most: range::span(
            text.retry_after_most.as_ref(),
            retry_after_most,
            SECOND..=HOUR,
            sink,
        ),
    }
}

type Outcome = (Option<(Cloud, CloudView)>, Option<Region>);

fn sandbox(text: &CloudText, limits: Limits, sink: &mut Sink) -> Outcome {
    for spot in written_spots(text) {
        let reason = format!("`{}` means nothing to the embedded cloud", spot.key);
        sink.fault(&spot, reason).hint("remove it, or remove use = \"sandbox\"");
    }
    let empty = SandboxText::empty();
    let written = text.limits.as_ref().map(|at| &at.value);
    let text = text.sandbox.as_deref().unwrap_or(&empty);
    let plain = SandboxSettings::default();
    let region = region_of(text.region.as_ref(), sink).unwrap_or(plain.region);
    let settings = SandboxSettings {
        port: u16::try_from(range::number(text.port.as_ref(), 0, 0..=65_535, sink)).unwrap_or(0),
        region: region.clone(),
        region_keys: BTreeMap::new(),
        build: build(text.build.as_ref(), sink),
        delete: range::span(text.delete.as_ref(), plain.delete, Duration::ZERO..=HOUR, sink),
        token_life: range::span(
            text.token_life.as_ref(),
            plain.token_life,
            SECOND..=24 * HOUR,
            sink,
        ),
        quota_instances: range::number(
            text.quota_instances.as_ref(),
            plain.quota_instances,
            0..=10_000,
            sink,
        ),
        faults: faults(text.faults.as_ref(), sink),
        fault_seed: text.fault_seed.as_ref().map(|at| at.value),
        limits,
    };
    let mut view = CloudView::new("sandbox");
    view.show("use", "sandbox", "cloud.use");
    let origin = |written: bool| if written { "cloud.sandbox" } else { "default" };
    view.show("region", region.as_str(), origin(text.region.is_some()));
    view.show("port", settings.port, origin(text.port.is_some()));
    view.show("quota_instances", settings.quota_instances, origin(text.quota_instances.is_some()));
    if !settings.faults.0.is_empty() {
        view.show("faults", settings.faults.to_string(), origin(true));
    }
    show_limits(&mut view, limits, written);
    (Some((Cloud::Sandbox(settings), view)), Some(region))
}

fn faults(at: Option<&At<Named<StrengthText>>>, sink: &mut Sink) -> Wishes {
    let mut wishes = Wishes::default();
    for entry in at.into_iter().flat_map(|at| &at.value.0) {
        let (spot, text) = (&entry.entry.spot, &entry.entry.value.0);
        let read = Fault::named(&entry.name).and_then(|it| Ok((it, it.strength(text)?)));
        match read {
            Ok((fault, strength)) => wishes.put(fault, strength),
            Err(why) => _ = sink.fault(spot, format!("`{}`: {why}", spot.key)),
        }
    }
    wishes
}

fn build(at: Option<&At<Vec<At<Duration>>>>, sink: &mut Sink) -> (Duration, Duration) {
    let default = SandboxSettings::default().build;
    let Some(at) = at else { return default };
    let [least, most] = at.value.as_slice() else {
        let fault = sink.fault(&at.spot, format!("`{}` must be two spans of time", at.spot.key));
        fault.hint("write the shortest and the longest, as [\"2s\", \"5s\"]");
        return default;
    };
    let within = Duration::ZERO..=HOUR;
    let least_span = range::span(Some(least), default.0, within.clone(), sink);
    let most_span = range::span(Some(most), default.1, within, sink);
    if least.value > most.value {
        sink.fault(&at.spot, format!("`{}` begins with the longer span", at.spot.key));
        return default;
    }
    (least_span, most_span)
}

/// Where `[cloud]` holds what only a real cloud has a use for.
fn written_spots(text: &CloudText) -> Vec<Spot> {
    let (texts, secrets) = written(text);
    let mut spots: Vec<Spot> = texts.iter().map(|(_, at)| at.spot.clone()).collect();
    spots.extend(secrets.iter().map(|(_, at)| at.spot.clone()));
    spots.extend(text.insecure.iter().chain(&text.allow_http).map(|at| at.spot.clone()));
    spots.extend(text.allowed_hosts.iter().map(|at| at.spot.clone()));
    spots
}

type Written<'a> = (Vec<(&'static str, &'a At<String>)>, Vec<(&'static str, &'a At<SecretText>)>);

/// Options that stand in `[cloud]` itself, by keystoneauth's names.
fn written(text: &CloudText) -> Written<'_> {
    let texts = [
        ("region_name", &text.region),
        ("interface", &text.interface),
        ("cacert", &text.cacert),
        ("auth_type", &text.auth_type),
        ("auth_url", &text.auth_url),
        ("identity_provider", &text.identity_provider),
        ("protocol", &text.protocol),
        ("client_id", &text.client_id),
        ("discovery_endpoint", &text.discovery_endpoint),
        ("access_token_endpoint", &text.access_token_endpoint),
        ("access_token_type", &text.access_token_type),
        ("openid_scope", &text.openid_scope),
        ("project_id", &text.project_id),
        ("project_name", &text.project_name),
        ("project_domain_id", &text.project_domain_id),
        ("project_domain_name", &text.project_domain_name),
        ("user_id", &text.user_id),
        ("username", &text.username),
        ("user_domain_id", &text.user_domain_id),
        ("user_domain_name", &text.user_domain_name),
        ("application_credential_id", &text.application_credential_id),
        ("application_credential_name", &text.application_credential_name),
    ];
    let secrets = [
        ("client_secret", &text.client_secret),
        ("password", &text.password),
        ("application_credential_secret", &text.application_credential_secret),
        ("token", &text.token),
    ];
    let texts = texts.into_iter().filter_map(|(name, at)| Some((name, at.as_ref()?)));
    let secrets = secrets.into_iter().filter_map(|(name, at)| Some((name, at.as_ref()?)));
    (texts.collect(), secrets.collect())
}

fn openstack(text: &At<CloudText>, limits: Limits, around: Around<'_>, sink: &mut Sink) -> Outcome {
    let region = region_of(text.region.as_ref(), sink);
    let Some(Found { name, mut options, warnings }) = found(text, around, sink) else {
        // No preset has a region; what another cloud would have had is not known.
        let told = text.preset.is_some();
        return (None, region.or_else(|| (!told).then(unknown_region)));
    };
    for warning in warnings {
        sink.add(warning);
    }
    overlay(&mut options, text, around, sink);
    let allowed = Allowed { http: text.allow_http.as_ref().is_some_and(|at| at.value) };
    let mut view = CloudView::new(name.as_str());
    let mut taker = Taker { options: &options, around, allowed, sink, view: &mut view };
    let auth = auth::check(&mut taker);
    let region = taker.region();
    let interface = tls::interface(&mut taker);
    let tls = tls::check(&mut taker);
    let allowed_hosts = allowed_hosts(text.allowed_hosts.as_ref(), sink);
    let origin = |written: bool, key: &str| {
        if written { format!("cloud.{key}") } else { "default".to_owned() }
    };
    view.show("allow_http", allowed.http, origin(text.allow_http.is_some(), "allow_http"));
    let hosts_origin = origin(text.allowed_hosts.is_some(), "allowed_hosts");
    view.show("allowed_hosts", allowed_hosts.clone(), hosts_origin);
    show_limits(&mut view, limits, text.limits.as_ref().map(|at| &at.value));
    let Some(auth) = auth else { return (None, region) };
    let settings = CloudSettings {
        name,
        auth,
        region: region.clone(),
        region_keys: BTreeMap::new(),
        interface,
        tls,
        limits,
        allow_http: allowed.http,
        allowed_hosts,
    };
    (Some((Cloud::OpenStack(Box::new(settings)), view)), region)
}

/// What lies below `[cloud]`'s own options.
fn found(text: &At<CloudText>, around: Around<'_>, sink: &mut Sink) -> Option<Found> {
    let region = text.region.as_ref().map(|at| at.value.as_str());
    if let Some(at) = &text.preset {
        let mut options = Options::new(Base::Written(text.spot.clone()));
        let Some(preset) = Preset::find(at) else {
            let names = PRESETS.each_ref().map(|preset| preset.name);
            let fault = sink.fault(&at.spot, format!("there is no preset \"{}\"", at.value));
            match nearest(at, &names) {
                Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
                None => fault.hint(format!("presets: {}", names.join(", "))),
            };
            return None;
        };
        preset.fill(&mut options);
        return Some(Found { name: preset.name.to_owned(), options, warnings: Vec::new() });
    }
    if text.cloud.is_none() && text.source.is_none() && signs_in(text) {
        let host = text.auth_url.as_ref().and_then(|at| ::url::Url::parse(at).ok());
        let host = host.as_ref().and_then(::url::Url::host_str).unwrap_or("cloud");
        let options = Options::new(Base::Written(text.spot.clone()));
        return Some(Found { name: host.to_owned(), options, warnings: Vec::new() });
    }
    let name = text.cloud.as_ref().map(|at| at.value.as_str());
    let found = match &text.source {
        Some(_) => openstack::from_variables(region, around.env),
        None => openstack::find(name, region, around.env),
    };
    match found {
        Ok(found) => Some(found),
        Err(fault) => {
            let at = text.cloud.as_ref().or(text.source.as_ref());
            let spot = at.map_or(&text.spot, |at| &at.spot);
            if fault.place.is_none() && !spot.span.is_empty() {
                let hint = fault.hint.clone();
                sink.fault(spot, fault.reason).hint = hint;
            } else {
                sink.add(fault);
            }
            None
        }
    }
}

/// Whether `[cloud]` holds an option of the sign-in itself.
fn signs_in(text: &CloudText) -> bool {
    let (texts, secrets) = written(text);
    let beside = ["region_name", "interface", "cacert"];
    !secrets.is_empty() || texts.iter().any(|(name, _)| !beside.contains(name))
}

fn overlay(options: &mut Options, text: &CloudText, around: Around<'_>, sink: &mut Sink) {
    let (texts, secrets) = written(text);
    for (name, at) in texts {
        if at.trim().is_empty() {
            sink.fault(&at.spot, format!("`{}` is empty", at.spot.key));
        }
        options.set(name, at.value.as_str(), Origin::Written(at.spot.clone()));
    }
    if let Some(at) = &text.insecure {
        options.set("insecure", at.value.to_string(), Origin::Written(at.spot.clone()));
    }
    for (name, at) in secrets {
        match secrets::secret(at, around, sink) {
            Some(secret) => options.set_secret(name, secret, Origin::Written(at.spot.clone())),
            None => options.refuse(name),
        }
    }
}

impl Taker<'_> {
    fn region(&mut self) -> Option<Region> {
        let text = self.text("region_name")?;
        // Under its name in scaling.toml.
        if let Some(setting) = self.view.settings.remove("region_name") {
            self.view.settings.insert("region".to_owned(), setting);
        }
        let region = Region::new(text);
        if let Err(invalid) = &region
            && !auth::is_written(self.options, "region_name")
        {
            let fault = self.options.fault("region_name", "is not a region", self.sink);
            fault.hint(format!("it is {}", invalid.rule));
        }
        region.ok()
    }
}

fn allowed_hosts(list: Option<&At<Vec<At<String>>>>, sink: &mut Sink) -> Vec<String> {
    let Some(list) = list else { return Vec::new() };
    for at in list.iter().filter(|at| !endpoint::is_host_pattern(at)) {
        let fault = sink.fault(&at.spot, format!("`{}` is not a host", at.spot.key));
        fault.hint("write a host name, or \"*.\" and a domain");
    }
    list.iter().map(|at| at.to_ascii_lowercase()).collect()
}

fn show_limits(view: &mut CloudView, limits: Limits, written: Option<&LimitsText>) {
    let origin = |given: fn(&LimitsText) -> bool| {
        if written.is_some_and(given) { "cloud.limits" } else { "default" }
    };
    let read = origin(|text| text.read_per_second.is_some());
    view.show("limits.read_per_second", limits.read_per_second, read);
    let write = origin(|text| text.write_per_second.is_some());
    view.show("limits.write_per_second", limits.write_per_second, write);
    let concurrency = origin(|text| text.concurrency.is_some());
    view.show("limits.concurrency", limits.concurrency, concurrency);
    let call = origin(|text| text.call_timeout.is_some());
    view.show("limits.call_timeout_secs", limits.call_timeout.as_secs_f64(), call);
    let retry = origin(|text| text.retry_after_most.is_some());
    view.show("limits.retry_after_most_secs", limits.retry_after_most.as_secs_f64(), retry);
}
