//! Schedules: when their windows are open, and what they give.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::fault::Sink;
use super::super::file::{GroupText, LeadText, MomentText, ScheduleText};
use super::super::read::{At, nearest};
use super::range::{self, DAY, SECOND};
use crate::domain::count::{Bounds, MOST};
use crate::domain::schedule::recurrence::{Recurrence, instant};
use crate::domain::schedule::{Ends, Gives, LEAD_MOST, Lead, Schedule, When};
use crate::domain::time::Wall;

/// More windows than this are a program's work, which has the API.
const SCHEDULES_MOST: usize = 256;
/// The longest that a window stays open by its duration.
const DURATION_MOST: u32 = 366;

pub(super) fn check(group: &At<GroupText>, bounds: Bounds, sink: &mut Sink) -> Vec<Schedule> {
    let Some(texts) = &group.schedule else { return Vec::new() };
    if texts.value.len() > SCHEDULES_MOST {
        let reason = format!("`{}` has more than {SCHEDULES_MOST} entries", texts.spot.key);
        sink.fault(&texts.spot, reason).hint("give several windows one cron expression");
    }
    let mut schedules: Vec<Schedule> = Vec::new();
    for text in &texts.value {
        let Some(schedule) = check_one(text, bounds, sink) else { continue };
        if schedules.iter().any(|other| other.name == schedule.name) {
            let spot = text.name.as_ref().map_or(&text.spot, |at| &at.spot);
            let reason = format!("two schedules are called \"{}\"", schedule.name);
            sink.fault(spot, reason).hint("give each its own `name`");
        }
        schedules.push(schedule);
    }
    schedules
}

fn check_one(text: &At<ScheduleText>, bounds: Bounds, sink: &mut Sink) -> Option<Schedule> {
    let zone = zone(text.timezone.as_ref(), sink);
    let name = text.name.as_ref().map(|at| range::name(at, sink));
    let gives = gives(text, bounds, sink);
    let lead = lead(text.lead.as_ref(), sink);
    let zone = zone?;
    let when = match (&text.cron, &text.from) {
        (Some(cron), None) => recurring(text, cron, &zone, sink),
        (None, Some(from)) => once(text, from, &zone, sink),
        (Some(_), Some(from)) => {
            let reason = format!("`{}` has both `cron` and `from`", text.spot.key);
            sink.fault(&from.spot, reason)
                .hint("`cron` opens the window again and again, `from` once: keep one of them");
            None
        }
        (None, None) => {
            let fault = sink.missing(&text.spot, "cron");
            fault.hint("write cron = \"0 8 * * MON-FRI\"; or, for once, from = a date and time");
            None
        }
    }?;
    let name = match name {
        Some(name) => name?,
        None => text.cron.as_ref().map_or_else(|| told(&when), |cron| cron.value.clone()),
    };
    Some(Schedule { name, when, gives: gives?, lead })
}

/// What people call a window that has no name and comes once.
fn told(when: &When) -> String {
    match when {
        When::Once { from, .. } => from.to_string(),
        When::Recurring(opens, _) => opens.to_string(),
    }
}

fn zone(at: Option<&At<String>>, sink: &mut Sink) -> Option<TimeZone> {
    let Some(at) = at else { return Some(TimeZone::UTC) };
    if let Ok(zone) = TimeZone::get(&at.value) {
        return Some(zone);
    }
    let fault =
        sink.fault(&at.spot, format!("`{}` is no time zone: \"{}\"", at.spot.key, at.value));
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let words: Vec<String> = known.iter().map(|name| name.to_ascii_lowercase()).collect();
    let near = nearest(
        &at.value.to_ascii_lowercase(),
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .and_then(|word| known.iter().find(|name| name.eq_ignore_ascii_case(word)));
    match near {
        Some(name) => fault.hint(format!("did you mean \"{name}\"?")),
        None => fault.hint("write a name of the IANA database, as \"Europe/Paris\" or \"UTC\""),
    };
    None
}

fn recurring(
    text: &ScheduleText,
    cron: &At<String>,
    zone: &TimeZone,
    sink: &mut Sink,
) -> Option<When> {
    let opens = recurrence(cron, zone, sink);
    if let Some(at) = &text.until {
        let reason = format!("`{}` does not go with `cron`", at.spot.key);
        sink.fault(&at.spot, reason).hint("write `duration`, or the closing cron as `end`");
        return None;
    }
    let ends = match (&text.duration, &text.end) {
        (Some(at), None) => {
            let most = SECOND..=DAY * DURATION_MOST;
            Some(Ends::After(range::span(Some(at), DAY, most, sink)))
        }
        (None, Some(end)) => recurrence(end, zone, sink).map(Ends::At),
        (Some(_), Some(end)) => {
            let reason = format!("`{}` and `duration` both close the window", end.spot.key);
            sink.fault(&end.spot, reason).hint("keep one of them");
            None
        }
        (None, None) => {
            let reason = format!("`{}` opens a window that nothing closes", cron.spot.key);
            sink.fault(&cron.spot, reason)
                .hint("add duration = \"10h\", or end = a cron expression");
            None
        }
    };
    let when = When::Recurring(opens?, ends?);
    if when.next(Wall(0)).is_none() {
        let reason = format!("`{}` never stays open: it closes whenever it opens", cron.spot.key);
        sink.fault(&cron.spot, reason).hint("let `end` fire at another time than `cron`");
        return None;
    }
    Some(when)
}

fn recurrence(at: &At<String>, zone: &TimeZone, sink: &mut Sink) -> Option<Recurrence> {
    match Recurrence::parse(&at.value, zone.clone()) {
        Ok(recurrence) => Some(recurrence),
        Err(why) => {
            let reason = format!("`{}` is no cron expression: {why}", at.spot.key);
            sink.fault(&at.spot, reason).hint("as in \"30 7 * * MON-FRI\": at 07:30 on weekdays");
            None
        }
    }
}

fn once(
    text: &ScheduleText,
    from: &At<MomentText>,
    zone: &TimeZone,
    sink: &mut Sink,
) -> Option<When> {
    if let Some(at) = &text.end {
        let reason = format!("`{}` is a cron expression, which goes with `cron`", at.spot.key);
        sink.fault(&at.spot, reason).hint("write `until`, or `duration`");
    }
    let opens = moment(from, zone, sink);
    let until = match (&text.until, &text.duration) {
        (None, None) => None,
        (Some(at), None) => Some(moment(at, zone, sink)?),
        (None, Some(at)) => {
            let span = range::span(Some(at), DAY, SECOND..=DAY * DURATION_MOST, sink);
            Some(opens?.plus(span))
        }
        (Some(at), Some(_)) => {
            let reason = format!("`{}` and `duration` both close the window", at.spot.key);
            sink.fault(&at.spot, reason).hint("keep one of them");
            return None;
        }
    };
    let from_wall = opens?;
    if let (Some(until), Some(at)) = (until, &text.until)
        && until <= from_wall
    {
        let reason = format!("`{}` is not after `{}`", at.spot.key, from.spot.key);
        sink.fault(&at.spot, reason);
        return None;
    }
    Some(When::Once { from: from_wall, until })
}

/// RFC 3339, or without an offset a local time of the schedule's zone.
fn moment(at: &At<MomentText>, zone: &TimeZone, sink: &mut Sink) -> Option<Wall> {
    let text = &at.value.0;
    let local = |text: &str| {
        let civil: DateTime = text.parse().ok()?;
        instant(zone, civil).map(|instant| Wall(instant.as_millisecond()))
    };
    let read = Wall::parse(text).ok().or_else(|| local(text));
    if read.is_none() {
        sink.fault(&at.spot, format!("`{}` is no date and time", at.spot.key)).hint(
            "write 2026-12-24T18:00:00+01:00, or without the offset in the schedule's timezone",
        );
    }
    read
}

fn gives(text: &At<ScheduleText>, bounds: Bounds, sink: &mut Sink) -> Option<Gives> {
    let mut number =
        |at: &Option<At<u64>>| at.as_ref().map(|at| range::number(Some(at), 0, 0..=MOST, sink));
    let (min, max) = (number(&text.min), number(&text.max));
    let gives = Gives { min, max, capacity: number(&text.capacity) };
    if gives == Gives::default() {
        let reason = format!("`{}` changes nothing while it is open", text.spot.key);
        sink.fault(&text.spot, reason).hint("give it `min`, `max` or `capacity`");
        return None;
    }
    let most = max.unwrap_or(bounds.max);
    for (key, at) in [("min", &text.min), ("capacity", &text.capacity)] {
        if let Some(at) = at
            && at.value > u64::from(most)
        {
            let whose = if max.is_some() { "the schedule's" } else { "the group's" };
            let reason =
                format!("`{}` is {}, above {whose} max, which is {most}", at.spot.key, at.value);
            sink.warn(&at.spot, reason)
                .hint(format!("max wins: add max = {} or lower {key}", at.value));
        }
    }
    Some(gives)
}

fn lead(at: Option<&At<LeadText>>, sink: &mut Sink) -> Lead {
    match at.map(|at| (&at.value, &at.spot)) {
        None | Some((LeadText::Auto, _)) => Lead::Learned,
        Some((LeadText::Span(span), spot)) => {
            let at = At { value: *span, spot: spot.clone() };
            Lead::Fixed(range::span(Some(&at), *span, std::time::Duration::ZERO..=LEAD_MOST, sink))
        }
    }
}
