//! `/metrics`: the program in numbers, read at the moment it is asked.
//!
//! Nothing is kept for it but [`Counters`](crate::telemetry::Counters): gauges come from
//! the loops' latest decisions, so a group that went away leaves no number behind. Every
//! family stands in [`FAMILIES`] and in docs/metrics.md, which a test holds together.
//! Labels are bounded: groups, regions, routes, words of ours; never a server or a sender.
//! The text is OpenMetrics 1.0, and says so: without its content type Prometheus would
//! read counters as untyped.

use std::fmt;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::App;
use super::error::{Kind, Problem};
use super::view::tally_known;
use crate::control::handle::{Absent, GroupHandle, ObserverPulse};
use crate::domain::fleet::Tally;
use crate::domain::pause;
use crate::domain::plan::{Decision, Waiting};
use crate::domain::time::Wall;
use crate::telemetry::count;

/// OpenMetrics 1.0, "Protocol negotiation".
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One family: its name (counters appear with `_total` behind it), what it means, and its
/// samples now.
pub struct Family {
    pub name: &'static str,
    pub kind: FamilyKind,
    pub help: &'static str,
    read: fn(&App) -> Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    Counter,
    Gauge,
}

type Labels = Vec<(&'static str, String)>;
type Sample = (Labels, f64);

macro_rules! gauge {
    ($name:literal, $help:literal, $read:expr) => {
        Family { name: $name, kind: FamilyKind::Gauge, help: $help, read: $read }
    };
}

macro_rules! counter {
    ($name:expr, $help:literal, $read:expr) => {
        Family { name: $name, kind: FamilyKind::Counter, help: $help, read: $read }
    };
}

/// All that is shown, in the order of docs/metrics.md.
pub const FAMILIES: &[Family] = &[
    gauge!("novascale_build_info", "Always 1; the label says which version runs.", |_| {
        vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)]
    }),
    gauge!("novascale_start_timestamp_seconds", "When this process began to answer.", |app| {
        vec![(Vec::new(), seconds(app.started().wall))]
    }),
    gauge!(
        "novascale_config_last_reload_successful",
        "Whether the configuration file was valid when it was read last.",
        |app| {
            let taken = app.reload().standing.borrow().refused.is_none();
            vec![(Vec::new(), f64::from(u8::from(taken)))]
        }
    ),
    gauge!(
        "novascale_config_last_reload_success_timestamp_seconds",
        "When the configuration that counts was read.",
        |app| vec![(Vec::new(), seconds(app.reload().standing.borrow().loaded_at))]
    ),
    gauge!("novascale_group_min_servers", "Configured min.", |app| {
        groups(app, |g| Some(f64::from(g.group.bounds.min)))
    }),
    gauge!("novascale_group_max_servers", "Configured max.", |app| {
        groups(app, |g| Some(f64::from(g.group.bounds.max)))
    }),
    gauge!(
        "novascale_group_wanted_servers",
        "The largest claim; absent if none is known.",
        |app| { decisions(app, |d| d.wanted.map(f64::from)) }
    ),
    gauge!("novascale_group_desired_servers", "Wanted after behaviour and bounds.", |app| {
        decisions(app, |d| Some(f64::from(d.desired)))
    }),
    gauge!("novascale_group_servers", "Members by what they count as.", standings),
    gauge!("novascale_group_waiting", "1 for each reason why less is done than desired.", waiting),
    gauge!("novascale_group_paused", "1 for each process that is paused.", paused),
    gauge!(
        "novascale_group_decided_timestamp_seconds",
        "When the last decision was made.",
        |app| { decisions(app, |d| Some(seconds(d.at.wall))) }
    ),
    gauge!(
        "novascale_unconfigured_group_servers",
        "Servers known of a group that is missing from the configuration.",
        |app| {
            let known = |absent: &Absent| {
                let labels = vec![("group", absent.name.to_string())];
                Some((labels, f64::from(absent.kept?.servers)))
            };
            app.handle().absent().iter().filter_map(known).collect()
        }
    ),
    counter!("novascale_passes", "Finished passes.", |app| {
        groups(app, |g| Some(g.pulse().passes as f64))
    }),
    counter!("novascale_pass_failures", "Passes that ended in an error.", |app| {
        groups(app, |g| Some(g.pulse().failed as f64))
    }),
    counter!(count::DECISIONS, "What decisions rested on, by reason.", |app| counted(
        app,
        count::DECISIONS
    )),
    counter!(count::ACTIONS, "Calls to launch, terminate or adopt, by result.", |app| counted(
        app,
        count::ACTIONS
    )),
    counter!(count::LAUNCHED, "Servers of accepted creates.", |app| counted(app, count::LAUNCHED)),
    counter!(count::TERMINATED, "Servers whose delete was accepted.", |app| counted(
        app,
        count::TERMINATED
    )),
    counter!("novascale_listings", "Listings begun in a region.", |app| {
        observers(app, |pulse| Some(pulse.listings as f64))
    }),
    counter!("novascale_listing_failures", "Listings that failed.", |app| {
        observers(app, |pulse| Some(pulse.failed as f64))
    }),
    gauge!("novascale_listing_timestamp_seconds", "When the last complete listing began.", |app| {
        observers(app, |pulse| pulse.seen.map(|at| seconds(at.wall)))
    }),
    counter!("novascale_cloud_calls", "Calls to the cloud, by outcome.", calls),
    gauge!(
        "novascale_cloud_breaker_open",
        "1 while a service is left alone because it kept failing.",
        breakers
    ),
    counter!(count::SIGNALS, "Samples accepted and not known before.", |app| counted(
        app,
        count::SIGNALS
    )),
    counter!(count::REQUESTS, "Answered HTTP requests.", |app| counted(app, count::REQUESTS)),
    counter!(count::SIGN_IN_FAILURES, "Requests without a valid token.", |app| {
        counted(app, count::SIGN_IN_FAILURES)
    }),
    counter!(count::TURNED_AWAY, "Connections closed because there were too many.", |app| {
        counted(app, count::TURNED_AWAY)
    }),
    counter!(count::SOURCES, "Requests to sources, by what became of them.", |app| {
        counted(app, count::SOURCES)
    }),
    counter!(count::PULL_FAILURES, "Pulls of a signal that failed, in part or whole.", |app| {
        counted(app, count::PULL_FAILURES)
    }),
    counter!(count::STORE_ERRORS, "What the store could not do for a request.", |app| {
        counted(app, count::STORE_ERRORS)
    }),
    counter!(count::OVERFLOW, "Increments of counters that found no room.", |app| {
        counted(app, count::OVERFLOW)
    }),
];

pub(super) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let text = exposition(&app)
        .map_err(|_| Problem::new(Kind::Broken, "the metrics could not be written"))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS))], text).into_response())
}

/// The whole page.
fn exposition(app: &App) -> Result<String, fmt::Error> {
    let read = FAMILIES.iter().map(|family| (family, (family.read)(app))).collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(read)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

struct Page(Vec<(&'static Family, Vec<Sample>)>);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({} families)", self.0.len())
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (family, samples) in &self.0 {
            let kind = match family.kind {
                FamilyKind::Counter => MetricType::Counter,
                FamilyKind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in samples {
                let mut one = metric.encode_family(labels)?;
                match family.kind {
                    FamilyKind::Counter => one.encode_counter::<NoLabelSet, _, u64>(value, None)?,
                    FamilyKind::Gauge => one.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

fn seconds(at: Wall) -> f64 {
    at.0 as f64 / 1000.0
}

fn groups(app: &App, number: impl Fn(&GroupHandle) -> Option<f64>) -> Vec<Sample> {
    let named = |g: &GroupHandle| Some((of_group(g), number(g)?));
    app.handle().groups().filter_map(named).collect()
}

fn decisions(app: &App, number: impl Fn(&Decision) -> Option<f64>) -> Vec<Sample> {
    groups(app, |group| number(&*group.latest()?))
}

fn of_group(group: &GroupHandle) -> Labels {
    vec![("group", group.group.name.to_string())]
}

fn with(mut labels: Labels, key: &'static str, value: &str) -> Labels {
    labels.push((key, value.to_owned()));
    labels
}

fn standings(app: &App) -> Vec<Sample> {
    let (mut all, observers) = (Vec::new(), app.handle().observers());
    for group in app.handle().groups() {
        let Some(decision) = group.latest() else { continue };
        let observer = observers.iter().find(|pulse| pulse.region == group.group.region);
        if !tally_known(&decision, observer) {
            continue;
        }
        let Tally { serving, building, unsure, idle, failed, leaving, coming, foreign: _ } =
            decision.tally;
        let counts = [
            ("serving", serving),
            ("building", building),
            ("unsure", unsure),
            ("idle", idle),
            ("failed", failed),
            ("leaving", leaving),
            ("coming", coming),
        ];
        let sample = |(word, n)| (with(of_group(group), "standing", word), f64::from(n));
        all.extend(counts.map(sample));
    }
    all
}

fn waiting(app: &App) -> Vec<Sample> {
    let mut all = Vec::new();
    for group in app.handle().groups() {
        let Some(decision) = group.latest() else { continue };
        let mut words: Vec<&str> = decision.waiting.iter().map(Waiting::word).collect();
        words.sort_unstable();
        words.dedup();
        all.extend(words.into_iter().map(|word| (with(of_group(group), "reason", word), 1.0)));
    }
    all
}

fn paused(app: &App) -> Vec<Sample> {
    let (mut all, now) = (Vec::new(), app.now());
    for group in app.handle().groups() {
        let Some(decision) = group.latest() else { continue };
        let standing = pause::in_force(&decision.pauses, now).into_keys();
        all.extend(standing.map(|p| (with(of_group(group), "process", p.word()), 1.0)));
    }
    all
}

fn observers(app: &App, number: impl Fn(&ObserverPulse) -> Option<f64>) -> Vec<Sample> {
    let named = |p: &ObserverPulse| Some((vec![("region", p.region.to_string())], number(p)?));
    app.handle().observers().iter().filter_map(named).collect()
}

fn counted(app: &App, name: &str) -> Vec<Sample> {
    app.counters().of(name).into_iter().map(|(series, n)| (series.labels, n as f64)).collect()
}

fn breakers(app: &App) -> Vec<Sample> {
    let labels = |b: &crate::telemetry::BreakerState| {
        vec![("service", b.service.clone()), ("class", b.class.to_owned())]
    };
    app.breakers().iter().map(|b| (labels(b), f64::from(u8::from(b.open)))).collect()
}

fn calls(app: &App) -> Vec<Sample> {
    let labels = |c: &crate::telemetry::CallCount| {
        let (service, method) = (c.service.clone(), c.method.clone());
        vec![("service", service), ("method", method), ("outcome", c.outcome.clone())]
    };
    app.calls().iter().map(|c| (labels(c), c.calls as f64)).collect()
}
