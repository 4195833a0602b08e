//! Cron expressions in a time zone: at which instants they fire.
//!
//! A cron expression names local times. Where the zone's clocks change, a local time may be
//! missing or come twice. What an expression with fixed hours names happens once: a time that is
//! skipped at the first instant after the gap, a repeated one at its first pass. Where the hour
//! field is `*` the hours are counted as they pass: `0 * * * *` fires every 60 minutes, whatever
//! the clocks show. It is the rule of Vixie cron (`cron(8)`, "local time changes"), but that there
//! `*/2` passes for `*`.
//!
//! Which local times an expression names is croner's; which instants these are is decided here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::domain::time::Wall;

/// A cron expression and the zone whose clocks it names.
#[derive(Clone)]
pub struct Recurrence {
    text: String,
    cron: Arc<Cron>,
    zone: TimeZone,
    /// The hour field is `*`: hours are counted as they pass.
    hourly: bool,
    found: Arc<Found>,
}

/// Between which firings instants were found to lie. One look at a group asks for the same ones
/// many times, and each costs a search in the calendar.
#[derive(Default)]
struct Found(Mutex<Vec<Between>>);

/// What an open window, the next one and their ends ask for.
const FOUND_MOST: usize = 4;

/// Two firings with none between them; none at an end of the calendar.
#[derive(Clone, Copy)]
struct Between {
    last: Option<Wall>,
    next: Option<Wall>,
}

impl Between {
    fn holds(self, at: Wall) -> bool {
        self.last.is_none_or(|last| last <= at) && self.next.is_none_or(|next| at < next)
    }
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    #[error(
        "it has {0} fields; write five (minute, hour, day of month, month, day of week), or six \
         with the second first"
    )]
    Fields(usize),
    #[error("its {name}, \"{text}\", is none ({range})")]
    Field { name: &'static str, text: String, range: &'static str },
    /// Each field by itself can be read.
    #[error("{0}")]
    Whole(String),
    #[error("no such date ever comes")]
    Never,
}

/// The fields in their order, and what may stand in each.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31, L for the last, 15W for the weekday nearest to the 15th"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of week", "0 to 7 or SUN to SAT, 5#2 for the second Friday, 5L for the last"),
];

/// Clocks were never changed by more than a day at once (Samoa in 2011 left one out).
const SHIFT_MOST: SignedDuration = SignedDuration::from_hours(26);

impl Recurrence {
    /// Reads five fields, or six with the second first; names, ranges, steps, `L`, `W`, `#`,
    /// `@daily` and its like.
    ///
    /// # Errors
    /// Says which part cannot be understood, or that no date ever fits.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, InvalidCron> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let named = text.starts_with('@');
        if !named && !(5..=6).contains(&fields.len()) {
            return Err(InvalidCron::Fields(fields.len()));
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(&known(&fields)).map_err(|error| fault(&fields, &error))?;
        let hour = fields.len().checked_sub(4).and_then(|at| fields.get(at));
        let hourly = text.eq_ignore_ascii_case("@hourly") || matches!(hour, Some(&("*" | "*/1")));
        let parsed = Self { text, cron: Arc::new(cron), zone, hourly, found: Arc::default() };
        match parsed.named_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(parsed),
            None => Err(InvalidCron::Never),
        }
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first instant after `after` at which it fires; none if the calendar ends before.
    pub fn next(&self, after: Wall) -> Option<Wall> {
        self.between(after).next
    }

    /// The last instant at or before `at` at which it fired.
    pub fn last(&self, at: Wall) -> Option<Wall> {
        self.between(at).last
    }

    fn between(&self, at: Wall) -> Between {
        // No search leaves the list half changed, so a panic elsewhere spoils nothing.
        let mut found = self.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(between) = found.iter().find(|between| between.holds(at)) {
            return *between;
        }
        let second = floor(at);
        let (last, next) = match self.hourly {
            true => (self.last_passing(second), self.next_passing(second)),
            false => (self.last_fixed(second), self.next_fixed(second)),
        };
        let between = Between { last: last.map(wall), next: next.map(wall) };
        if found.len() >= FOUND_MOST {
            found.remove(0);
        }
        found.push(between);
        between
    }

    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.local(self.settled(after, -SHIFT_MOST)?);
        loop {
            civil = self.named_after(civil)?;
            let fires = instant(&self.zone, civil)?;
            if fires > after {
                return Some(fires);
            }
        }
    }

    fn last_fixed(&self, at: Timestamp) -> Option<Timestamp> {
        let from = self.local(self.settled(at, SHIFT_MOST)?);
        let mut civil = from.checked_add(SignedDuration::from_secs(1)).ok()?;
        loop {
            civil = self.named_before(civil)?;
            let fires = instant(&self.zone, civil)?;
            if fires <= at {
                return Some(fires);
            }
        }
    }

    /// The instant itself, or where clocks change near it, one so far away that no local time
    /// between the two can be meant on the other side.
    fn settled(&self, at: Timestamp, margin: SignedDuration) -> Option<Timestamp> {
        let (low, high) = (at.checked_sub(SHIFT_MOST).ok()?, at.checked_add(SHIFT_MOST).ok()?);
        let changes = self.zone.following(low).next().is_some_and(|t| t.timestamp() <= high);
        if changes { at.checked_add(margin).ok() } else { Some(at) }
    }

    /// Between two changes of the clocks local time runs like any other.
    fn next_passing(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.local(after);
        let mut from = after;
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let fires = offset.to_timestamp(self.named_after(civil)?).ok()?;
            match change {
                Some(change) if fires >= change => {
                    from = change;
                    civil = self.local(change).checked_sub(SignedDuration::from_secs(1)).ok()?;
                }
                _ => return Some(fires),
            }
        }
    }

    fn last_passing(&self, at: Timestamp) -> Option<Timestamp> {
        let second = SignedDuration::from_secs(1);
        let mut at = at;
        loop {
            let offset = self.zone.to_offset(at);
            let began = self.zone.preceding(at.checked_add(second).ok()?).next();
            let civil = self.named_before(self.local(at).checked_add(second).ok()?)?;
            let fires = offset.to_timestamp(civil).ok()?;
            match began.map(|change| change.timestamp()) {
                Some(began) if fires < began => at = began.checked_sub(second).ok()?,
                _ => return Some(fires),
            }
        }
    }

    fn local(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    fn named_after(&self, civil: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&Civil(civil), false).ok().map(|found| found.0)
    }

    fn named_before(&self, civil: DateTime) -> Option<DateTime> {
        self.cron.find_previous_occurrence(&Civil(civil), false).ok().map(|found| found.0)
    }
}

impl PartialEq for Recurrence {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone.iana_name() {
            Some(zone) => write!(f, "{} {zone}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Debug for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recurrence({self})")
    }
}

/// When a local time happens in a zone: a skipped one right after the gap, a repeated one at its
/// first pass; none beyond the calendar's ends.
pub fn instant(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        // Read with the offset from before the gap it lies beyond it, by less than the gap is long.
        AmbiguousOffset::Gap { before, .. } => {
            let beyond = before.to_timestamp(civil).ok()?;
            let next = beyond.checked_add(SignedDuration::from_secs(1)).ok()?;
            zone.preceding(next).next().map(|change| change.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok()
        }
    }
}

/// Expressions name whole seconds.
fn floor(wall: Wall) -> Timestamp {
    Timestamp::from_second(wall.0.div_euclid(1000)).unwrap_or_else(|_| wall.timestamp())
}

fn wall(at: Timestamp) -> Wall {
    Wall(at.as_millisecond())
}

/// As croner means it: it has no `@midnight`, and to it a range that begins with SUN begins at 0
/// and one that ends with SUN ends at 7, so that `SUN-SUN` would be every day.
fn known(fields: &[&str]) -> String {
    match fields {
        [name] if name.eq_ignore_ascii_case("@midnight") => "@daily".to_owned(),
        [before @ .., weekday] => {
            let weekday = weekday.to_ascii_uppercase().replace("SUN-SUN", "7-7");
            [before, &[weekday.as_str()]].concat().join(" ")
        }
        [] => String::new(),
    }
}

/// The first field that cannot be read by itself.
fn fault(fields: &[&str], error: &CronError) -> InvalidCron {
    let names = FIELDS.get(FIELDS.len() - fields.len().min(FIELDS.len())..).unwrap_or(&FIELDS);
    for (at, (text, (name, range))) in fields.iter().zip(names).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = text;
        if CronParser::new().parse(&alone.join(" ")).is_err() {
            return InvalidCron::Field { name, text: (*text).to_owned(), range };
        }
    }
    InvalidCron::Whole(error.to_string())
}

/// A local time, which croner searches over: it never resolves a zone.
#[derive(Debug, Clone, Copy)]
struct Civil(DateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        let parts = |n: i8| u32::from(n.unsigned_abs());
        let (date, time) = (self.0.date(), self.0.time());
        // jiff keeps every part within its range.
        let date = CivilDate::from_parts_unchecked(
            i32::from(date.year()),
            parts(date.month()),
            parts(date.day()),
        );
        let (hour, minute, second) =
            (parts(time.hour()), parts(time.minute()), parts(time.second()));
        CivilDateTime::new(date, CivilTime::from_parts_unchecked(hour, minute, second))
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(
            self.0.weekday().to_sunday_zero_offset().unsigned_abs(),
        ))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |n: u32| i8::try_from(n).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day) = (part(civil.month())?, part(civil.day())?);
        let (hour, minute, second) =
            (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let found = DateTime::new(year, month, day, hour, minute, second, 0);
        found.map(|found| Resolution::Single(Self(found))).map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paris(cron: &str) -> Recurrence {
        Recurrence::parse(cron, TimeZone::get("Europe/Paris").unwrap()).unwrap()
    }

    fn fires(recurrence: &Recurrence, from: &str, n: usize) -> Vec<String> {
        let mut at = Wall::parse(from).unwrap();
        let mut found = Vec::new();
        for _ in 0..n {
            let next = recurrence.next(at).unwrap();
            assert_eq!(recurrence.last(next), Some(next), "what fires has fired");
            let before = recurrence.last(Wall(next.0 - 1));
            assert_eq!(before, recurrence.last(at), "nothing fires in between");
            found.push(next.to_string());
            at = next;
        }
        found
    }

    #[test]
    fn a_skipped_time_fires_after_the_gap_and_a_repeated_one_once() {
        let spring = fires(&paris("30 2 * * *"), "2026-03-28T00:00:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        let autumn = fires(&paris("30 2 * * *"), "2026-10-24T00:00:00Z", 3);
        assert_eq!(
            autumn,
            ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn several_fixed_times_each_keep_the_rule() {
        let spring = fires(&paris("0,30 2,14 * * *"), "2026-03-28T22:00:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-29T01:00:00Z", "2026-03-29T12:00:00Z", "2026-03-29T12:30:00Z"]
        );
        let autumn = fires(&paris("0 1-3 * * *"), "2026-10-24T22:00:00Z", 3);
        assert_eq!(
            autumn,
            ["2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"]
        );
    }

    #[test]
    fn hours_that_are_counted_as_they_pass_have_no_gap_and_no_pause() {
        let spring = fires(&paris("0 * * * *"), "2026-03-29T00:00:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T03:00:00Z"]
        );
        let autumn = fires(&paris("*/30 * * * *"), "2026-10-25T00:00:00Z", 4);
        assert_eq!(
            autumn,
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    #[test]
    fn spellings_of_one_schedule_fire_alike() {
        for (one, other) in [
            ("@Midnight", "@daily"),
            ("0 0 * * SUN-SUN", "0 0 * * SUN"),
            ("0 0 * * sun-sun/2,WED", "0 0 * * 0,3"),
            ("0 0 * * SUN-SUN#2", "0 0 * * 0#2"),
            ("0 0 * * FRI-SUN", "0 0 * * 5-7"),
            ("0 0 * * SUN-TUE", "0 0 * * 0-2"),
            ("0 0 * * SAT-SAT", "0 0 * * 6"),
        ] {
            let from = "2026-03-28T12:00:00Z";
            let fire = |cron| fires(&paris(cron), from, 10);
            assert_eq!(fire(one), fire(other), "{one}");
            assert_eq!(paris(one).to_string(), format!("{one} Europe/Paris"));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_the_reason() {
        let zone = || TimeZone::UTC;
        for (text, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("* * * * * * *", "7 fields"),
            ("61 * * * *", "its minute, \"61\""),
            ("61 * * * * *", "its second, \"61\""),
            ("* * * * FOO", "its day of week, \"FOO\""),
            ("0 0 31 2 *", "ever"),
            ("5/15 * * * *", "its minute"),
            ("@often", "@"),
        ] {
            let error = Recurrence::parse(text, zone()).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
