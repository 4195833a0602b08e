//! Numbers and names within what they may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::fault::Sink;
use super::super::read::At;
use crate::domain::id::InvalidId;
use crate::domain::time::spoken;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A number within its range; its default where it is absent or refused.
pub(super) fn number(
    at: Option<&At<u64>>,
    default: u32,
    within: RangeInclusive<u32>,
    sink: &mut Sink,
) -> u32 {
    let Some(at) = at else { return default };
    let fits = u32::try_from(at.value).ok().filter(|n| within.contains(n));
    fits.unwrap_or_else(|| {
        let (least, most) = (within.start(), within.end());
        let reason = format!("`{}` is {}, but must be {least} to {most}", at.spot.key, at.value);
        sink.fault(&at.spot, reason);
        default
    })
}

/// A span of time within its range; its default where it is absent or refused.
pub(super) fn span(
    at: Option<&At<Duration>>,
    default: Duration,
    within: RangeInclusive<Duration>,
    sink: &mut Sink,
) -> Duration {
    let Some(at) = at else { return default };
    if within.contains(&at.value) {
        return at.value;
    }
    let said = |span: Duration| match span.subsec_millis() {
        0 => spoken(span),
        _ => format!("{} ms", span.as_millis()),
    };
    let (least, most) = (said(*within.start()), said(*within.end()));
    let is = said(at.value);
    sink.fault(&at.spot, format!("`{}` is {is}, but must be {least} to {most}", at.spot.key));
    default
}

/// A number above 0, at most `most`; its default where it is absent or refused.
pub(super) fn above_zero(at: Option<&At<f64>>, default: f64, most: f64, sink: &mut Sink) -> f64 {
    let Some(at) = at else { return default };
    if at.value > 0.0 && at.value <= most {
        return at.value;
    }
    let key = &at.spot.key;
    let end = if most < f64::MAX { format!(" and at most {most}") } else { String::new() };
    let reason = format!("`{key}` is {}, but must be above 0{end}", at.value);
    sink.fault(&at.spot, reason);
    default
}

/// A name of a kind that has a rule.
pub(super) fn id<T: TryFrom<String, Error = InvalidId>>(
    at: &At<String>,
    sink: &mut Sink,
) -> Option<T> {
    match T::try_from(at.value.clone()) {
        Ok(id) => Some(id),
        Err(invalid) => {
            let reason = format!("`{}` is not a valid {}", at.spot.key, invalid.what);
            sink.fault(&at.spot, reason).hint(format!("it is {}", invalid.rule));
            None
        }
    }
}

/// A text that another system takes as a name: not empty, no control characters, at most 255.
pub(super) fn name(at: &At<String>, sink: &mut Sink) -> Option<String> {
    let key = &at.spot.key;
    let why = if at.value.trim().is_empty() {
        "is empty"
    } else if at.value.chars().count() > 255 {
        "is longer than 255 characters"
    } else if at.value.chars().any(char::is_control) {
        "holds a control character"
    } else if at.value.trim() != at.value {
        "begins or ends with a blank"
    } else {
        return Some(at.value.clone());
    };
    sink.fault(&at.spot, format!("`{key}` {why}"));
    None
}

/// A JSON pointer (RFC 6901); an empty one means the whole document.
pub(super) fn pointer(at: &At<String>, sink: &mut Sink) -> Option<String> {
    if at.value.is_empty() || at.value.starts_with('/') {
        return Some(at.value.clone());
    }
    let fault = sink.fault(&at.spot, format!("`{}` is no JSON pointer", at.spot.key));
    fault.hint("write it like \"/queue/length\" (RFC 6901)");
    None
}

/// Names, each once.
pub(super) fn names(list: &[At<String>], sink: &mut Sink) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for at in list {
        let Some(name) = name(at, sink) else { continue };
        if names.contains(&name) {
            sink.fault(&at.spot, format!("`{}` repeats \"{name}\"", at.spot.key));
        } else {
            names.push(name);
        }
    }
    names
}

/// A list that needs an element to mean anything.
pub(super) fn not_empty<T>(at: &At<Vec<T>>, hint: &str, sink: &mut Sink) {
    if at.value.is_empty() {
        sink.fault(&at.spot, format!("`{}` is empty", at.spot.key)).hint(hint);
    }
}
