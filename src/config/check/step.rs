//! The ranges of a step policy, and how far a step goes.

use super::super::fault::{Sink, Spot};
use super::super::file::{AdjustmentText, Percent, StepText};
use super::super::read::At;
use super::range;
use crate::domain::count::MOST;
use crate::domain::policy::{Adjustment, Change};

/// A share above this is a mistake.
const PERCENT_MOST: f64 = 10_000.0;
/// More ranges than this on one side: AWS allows 20.
const RANGES_MOST: usize = 20;

/// Those out, and those in.
pub(super) fn ranges(text: &At<StepText>, sink: &mut Sink) -> (Vec<Adjustment>, Vec<Adjustment>) {
    let (out, into) = (text.out.as_ref(), text.into.as_ref());
    if out.is_none_or(|at| at.value.is_empty()) && into.is_none_or(|at| at.value.is_empty()) {
        let fault = sink.missing(&text.spot, "out");
        fault.hint("write out = [{ from = 60, change = 1 }] and in = [{ to = 30, change = 1 }]");
    }
    let out = side(out, sink);
    let into = side(into, sink);
    // A measure that steps out must not step in as well.
    let bottom = out.iter().map(|range| range.from.unwrap_or(f64::MIN)).reduce(f64::min);
    let top = into.iter().map(|range| range.to.unwrap_or(f64::MAX)).reduce(f64::max);
    if let (Some(bottom), Some(top), Some(at)) = (bottom, top, text.into.as_ref())
        && top >= bottom
    {
        let reason = format!("`{}` reaches up to where `out` begins", at.spot.key);
        sink.fault(&at.spot, reason).hint("leave a gap: between them nothing changes");
    }
    (out, into)
}

fn side(list: Option<&At<Vec<At<AdjustmentText>>>>, sink: &mut Sink) -> Vec<Adjustment> {
    let Some(list) = list else { return Vec::new() };
    if list.value.len() > RANGES_MOST {
        let reason = format!("`{}` has more than {RANGES_MOST} ranges", list.spot.key);
        sink.fault(&list.spot, reason);
    }
    let mut ranges: Vec<Adjustment> = Vec::new();
    for text in &list.value {
        let Some(range) = adjustment(text, sink) else { continue };
        if ranges.iter().any(|other| overlap(other, &range)) {
            let reason = format!("`{}` overlaps another range", text.spot.key);
            sink.fault(&text.spot, reason).hint("let each begin where the last one ends");
        }
        ranges.push(range);
    }
    ranges
}

fn adjustment(text: &At<AdjustmentText>, sink: &mut Sink) -> Option<Adjustment> {
    let (from, to) = (text.from.as_ref(), text.to.as_ref());
    let Some(spot) = from.or(to).map(|at| &at.spot) else {
        let fault = sink.missing(&text.spot, "from");
        fault.hint("write from = 60, to = 80, or both: where the measure has to lie");
        return None;
    };
    if let Some(at) = [from, to].into_iter().flatten().find(|at| !at.value.is_finite()) {
        let reason = format!("`{}` is {}, but must be a finite number", at.spot.key, at.value);
        sink.fault(&at.spot, reason).hint("leave it out: the range has no end there");
        return None;
    }
    if let (Some(from), Some(to)) = (from, to)
        && from.value >= to.value
    {
        let reason = format!("`{}` is empty: from is not below to", text.spot.key);
        sink.fault(spot, reason);
        return None;
    }
    let size = Size {
        servers: text.change.as_ref(),
        percent: text.percent.as_ref(),
        least: text.least.as_ref(),
        exact: text.exact.as_ref(),
    };
    let change = size.check(&text.spot, sink)?;
    Some(Adjustment { from: from.map(|at| at.value), to: to.map(|at| at.value), change })
}

fn overlap(one: &Adjustment, other: &Adjustment) -> bool {
    let from = |range: &Adjustment| range.from.unwrap_or(f64::MIN);
    let to = |range: &Adjustment| range.to.unwrap_or(f64::MAX);
    from(one) < to(other) && from(other) < to(one)
}

/// How far, as written: exactly one of three ways.
pub(super) struct Size<'a> {
    pub(super) servers: Option<&'a At<u64>>,
    pub(super) percent: Option<&'a At<Percent>>,
    pub(super) least: Option<&'a At<u64>>,
    pub(super) exact: Option<&'a At<u64>>,
}

impl Size<'_> {
    pub(super) fn check(&self, spot: &Spot, sink: &mut Sink) -> Option<Change> {
        if let (Some(at), None) = (self.least, self.percent) {
            let reason = format!("`{}` goes with `percent` only", at.spot.key);
            sink.fault(&at.spot, reason).hint("a change is what it is");
        }
        match (self.servers, self.percent, self.exact) {
            (Some(at), None, None) => {
                Some(Change::Servers(range::number(Some(at), 1, 1..=MOST, sink)))
            }
            (None, Some(at), None) => Some(self.percent(at, sink)),
            (None, None, Some(at)) => {
                Some(Change::Exact(range::number(Some(at), 0, 0..=MOST, sink)))
            }
            (None, None, None) => {
                let fault = sink.missing(spot, "change");
                fault.hint("write change = 2 for servers, or percent = \"20%\" of those there are");
                None
            }
            _ => {
                let reason = format!("`{}` says twice how far a step goes", spot.key);
                sink.fault(spot, reason).hint("keep one of change, percent and exact");
                None
            }
        }
    }

    fn percent(&self, at: &At<Percent>, sink: &mut Sink) -> Change {
        let by = at.0;
        if !(by > 0.0 && by <= PERCENT_MOST) {
            let reason = format!("`{}` is {by} %, but must be above 0", at.spot.key);
            sink.fault(&at.spot, reason)
                .hint("`in` takes what it says: write it without a minus, at most 10000 %");
        }
        let least = range::number(self.least, 0, 1..=MOST, sink);
        Change::Percent { by, least }
    }
}
