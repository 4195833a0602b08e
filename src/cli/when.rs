//! A time in the past, as people write it: an instant, a time of day, or how long ago.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::reserve::span;
use crate::domain::time::Wall;

/// What was written; which instant that is depends on the present.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    At(Wall),
    /// The last time that clocks in UTC, as every answer has them, showed this.
    OfDay(Time),
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = Wall::parse(text) {
            return Ok(Self::At(at));
        }
        if let Some(time) = of_day(text) {
            return Ok(Self::OfDay(time));
        }
        // A span may be written with colons as well; here it would be taken for a time of day.
        let span = Some(text).filter(|text| !text.contains(':')).and_then(|text| span(text).ok());
        span.map(Self::Ago).ok_or_else(|| {
            format!(
                "{text:?} is no time; write it like 2026-12-24T18:00:00Z, 14:03 or 14:03:20 (UTC), \
                 or as a span ago: 10m, 2h"
            )
        })
    }
}

/// `14:03` or `14:03:20`.
fn of_day(text: &str) -> Option<Time> {
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| two(part)) {
        return None;
    }
    let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse::<i8>().ok());
    Time::new(number(0)?, number(1)?, number(2)?, 0).ok()
}

impl When {
    /// The instant, seen from `now`.
    pub fn instant(self, now: Wall) -> Wall {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.minus(span),
            Self::OfDay(time) => {
                let date = TimeZone::UTC.to_datetime(now.timestamp()).date();
                let at = TimeZone::UTC.to_timestamp(date.to_datetime(time));
                let at = at.map_or(now, |at| Wall(at.as_millisecond()));
                // One that is still to come was meant as yesterday's.
                if at > now { at.minus(Duration::from_secs(86_400)) } else { at }
            }
        }
    }
}

/// An instant to the second, as answers show it.
pub(super) fn to_the_second(at: Wall) -> String {
    Wall(at.0 - at.0.rem_euclid(1000)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let now = Wall::parse("2026-11-23T14:10:00Z").unwrap();
        for (text, at) in [
            ("2026-11-20T01:02:03Z", "2026-11-20T01:02:03Z"),
            ("2026-11-20T02:02:03+01:00", "2026-11-20T01:02:03Z"),
            ("14:03", "2026-11-23T14:03:00Z"),
            ("14:03:20", "2026-11-23T14:03:20Z"),
            ("14:10:00", "2026-11-23T14:10:00Z"),
            ("23:59", "2026-11-22T23:59:00Z"),
            ("10m", "2026-11-23T14:00:00Z"),
            ("1d 2h", "2026-11-22T12:10:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.instant(now), Wall::parse(at).unwrap(), "{text}");
        }
        for wrong in ["", "14", "24:00", "14:60", "4:3", "14:03:20.5", "-10m", "yesterday"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn instants_are_shown_to_the_second() {
        let at = Wall::parse("2026-11-23T14:10:00.987Z").unwrap();
        assert_eq!(to_the_second(at), "2026-11-23T14:10:00Z");
    }
}
