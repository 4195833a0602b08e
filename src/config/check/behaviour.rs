//! Behaviour: windows, cooldowns and rates of either way, and the meltdown guard.

use std::time::Duration;

use super::super::fault::Sink;
use super::super::file::{GroupText, MeltdownText, Percent, RateText, ScaleInText, ScaleOutText};
use super::super::read::At;
use super::range::{self, DAY, HOUR, MINUTE, SECOND};
use crate::domain::behaviour::{
    Behaviour, Change, Meltdown, Rate, Rates, ScaleIn, ScaleOut, Select, Velocity,
};
use crate::domain::count::MOST;

/// From one server to the most that a group may have.
const OUT_MOST: f64 = 100.0 * MOST as f64;
/// More than all cannot go.
const IN_MOST: f64 = 100.0;

pub(super) fn check(text: &GroupText, sink: &mut Sink) -> Behaviour {
    let scale_out = scale_out(text.scale_out.as_deref(), sink);
    let scale_in = scale_in(text.scale_in.as_deref(), sink);
    let meltdown = meltdown(text.meltdown.as_deref(), sink);
    Behaviour { scale_out, scale_in, meltdown }
}

fn scale_out(text: Option<&ScaleOutText>, sink: &mut Sink) -> ScaleOut {
    let default = ScaleOut::default();
    let Some(text) = text else { return default };
    let stabilization = window(text.stabilization.as_ref(), default.stabilization, sink);
    let cooldown = window(text.cooldown.as_ref(), default.cooldown, sink);
    let select = select(text.select.as_ref(), sink);
    let rates = Rates { select, rates: rates(text.rates.as_ref(), OUT_MOST, sink) };
    let tolerance = tolerance(text.tolerance.as_ref(), sink);
    ScaleOut { stabilization, cooldown, rates, tolerance }
}

fn scale_in(text: Option<&ScaleInText>, sink: &mut Sink) -> ScaleIn {
    let default = ScaleIn::default();
    let Some(text) = text else { return default };
    let stabilization = window(text.stabilization.as_ref(), default.stabilization, sink);
    let cooldown = window(text.cooldown.as_ref(), default.cooldown, sink);
    let percent = share(text.velocity.as_ref(), default.velocity.percent, sink);
    let select = select(text.select.as_ref(), sink);
    let rates = Rates { select, rates: rates(text.rates.as_ref(), IN_MOST, sink) };
    let tolerance = tolerance(text.tolerance.as_ref(), sink);
    let velocity = Velocity { percent };
    ScaleIn { stabilization, cooldown, velocity, rates, tolerance }
}

fn window(at: Option<&At<Duration>>, default: Duration, sink: &mut Sink) -> Duration {
    range::span(at, default, Duration::ZERO..=DAY, sink)
}

fn select(at: Option<&At<String>>, sink: &mut Sink) -> Select {
    let Some(at) = at else { return Select::default() };
    match at.value.as_str() {
        "max" => Select::Max,
        "min" => Select::Min,
        "disabled" => Select::Disabled,
        _ => {
            let reason = format!("`{}` is \"{}\"", at.spot.key, at.value);
            let hint = "write \"max\", \"min\" or \"disabled\"";
            sink.fault(&at.spot, reason).hint(hint);
            Select::default()
        }
    }
}

fn rates(at: Option<&At<Vec<At<RateText>>>>, most: f64, sink: &mut Sink) -> Vec<Rate> {
    let Some(at) = at else { return Vec::new() };
    range::not_empty(at, "leave the key out for no limit", sink);
    if at.value.len() > Rates::MOST {
        let reason = format!("`{}` has more than {} rates", at.spot.key, Rates::MOST);
        sink.fault(&at.spot, reason).hint("one of them counts: keep those that may");
    }
    at.value.iter().filter_map(|text| rate(text, most, sink)).collect()
}

fn rate(text: &At<RateText>, most: f64, sink: &mut Sink) -> Option<Rate> {
    if text.per.is_none() {
        sink.missing(&text.spot, "per").hint("write the period that it holds for, as \"1m\"");
    }
    let per = range::span(text.per.as_ref(), MINUTE, SECOND..=Rate::PER_MOST, sink);
    let change = match (&text.count, &text.percent) {
        (Some(count), None) => Change::Count(range::number(Some(count), 1, 1..=MOST, sink)),
        (None, Some(percent)) => Change::Percent(within(percent, most, sink)),
        (Some(_), Some(percent)) => {
            let key = &text.spot.key;
            let reason = format!("`{key}.count` and `{key}.percent` exclude each other");
            sink.fault(&percent.spot, reason).hint("write two rates: `select` says which counts");
            return None;
        }
        (None, None) => {
            let reason = format!("`{}` says nothing of how much", text.spot.key);
            sink.fault(&text.spot, reason).hint("write count or percent").for_want();
            return None;
        }
    };
    Some(Rate { change, per })
}

fn tolerance(at: Option<&At<Percent>>, sink: &mut Sink) -> Option<f64> {
    let at = at?;
    if (0.0..=100.0).contains(&at.0) {
        return Some(at.0);
    }
    let reason = format!("`{}` is {} %, but must be 0 to 100 %", at.spot.key, at.0);
    sink.fault(&at.spot, reason);
    None
}

fn meltdown(text: Option<&MeltdownText>, sink: &mut Sink) -> Meltdown {
    let default = Meltdown::default();
    let Some(text) = text else { return default };
    let percent = share(text.share.as_ref(), default.percent, sink);
    let most = range::number(text.most.as_ref(), default.most, 1..=MOST, sink);
    let within = range::span(text.within.as_ref(), default.within, MINUTE..=HOUR, sink);
    Meltdown { percent, most, within }
}

/// A part of something; its default where it is absent or refused.
fn share(at: Option<&At<Percent>>, default: f64, sink: &mut Sink) -> f64 {
    at.map_or(default, |at| within(at, 100.0, sink))
}

/// A percentage above 0 and up to `most`; where it is refused, the file is too.
fn within(at: &At<Percent>, most: f64, sink: &mut Sink) -> f64 {
    if at.0 > 0.0 && at.0 <= most {
        return at.0;
    }
    let key = &at.spot.key;
    let reason = format!("`{key}` is {} %, but must be above 0 and at most {most} %", at.0);
    sink.fault(&at.spot, reason);
    most
}
