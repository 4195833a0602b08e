//! Which windows count at an instant, worked out anew: minute by minute, by what the clocks of the
//! zone show. It reads just the cron expressions that worlds have.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use novascale::domain::count::Bounds;
use novascale::domain::schedule::recurrence::Recurrence;
use novascale::domain::schedule::{Ends, Lead, Schedule, When};
use novascale::domain::time::Wall;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
/// Back and ahead of the instant that was asked for, so much is worked out at once.
const BACK: i64 = 27 * HOUR;
const AHEAD: i64 = 63 * HOUR;
/// It is worked out anew where less than this lies behind or ahead.
const LEAST: i64 = 26 * HOUR;

/// A group's windows around an instant, one list for each entry of its schedule.
#[derive(Default)]
pub struct Hours {
    span: Option<(i64, i64)>,
    windows: Vec<Vec<Window>>,
}

/// In seconds of wall time.
#[derive(Clone, Copy)]
struct Window {
    from: i64,
    until: i64,
}

impl Hours {
    /// The schedule is another one.
    pub fn forget(&mut self) {
        self.span = None;
    }

    fn work_out(&mut self, schedules: &[Schedule], at: Wall) {
        let now = at.0.div_euclid(1000);
        let good = |(low, high): (i64, i64)| now - low >= LEAST && high - now >= LEAST;
        if self.span.is_some_and(good) {
            return;
        }
        let (low, high) = (now - BACK, now + AHEAD);
        self.windows =
            schedules.iter().map(|schedule| windows(&schedule.when, low, high)).collect();
        self.span = Some((low, high));
    }

    /// Whether each entry counts, if servers were learned to take so long.
    pub fn counting(&mut self, schedules: &[Schedule], at: Wall, learned: Duration) -> Vec<bool> {
        self.work_out(schedules, at);
        let each = schedules.iter().zip(&self.windows);
        each.map(|(schedule, windows)| counts(windows, at, lead(schedule, learned))).collect()
    }

    pub fn bounds(
        &mut self,
        (usual, schedules): (Bounds, &[Schedule]),
        at: Wall,
        learned: Duration,
    ) -> Bounds {
        let counting = self.counting(schedules, at, learned);
        let mut bounds = usual;
        for (schedule, _) in schedules.iter().zip(counting).filter(|(_, counts)| *counts) {
            bounds.min = schedule.gives.min.unwrap_or(bounds.min);
            bounds.max = schedule.gives.max.unwrap_or(bounds.max);
        }
        bounds
    }

    /// Whether any is open, if from then on none turns for so long, whatever its lead.
    pub fn rest(&mut self, schedules: &[Schedule], at: Wall, span: Duration) -> Option<bool> {
        self.work_out(schedules, at);
        let (from, to) = (at.0.div_euclid(1000), at.plus(span).0.div_euclid(1000));
        let mut any = false;
        for (schedule, windows) in schedules.iter().zip(&self.windows) {
            let open = open(windows, at.0);
            any |= open;
            let same = |then: i64| self::open(windows, then * 1000) == open;
            let turns = windows.iter().flat_map(|window| [window.from, window.until]);
            let turns = turns.filter(|then| *then > from && *then < to).any(|then| !same(then));
            let lead = lead(schedule, Duration::from_secs(HOUR as u64)).as_secs() as i64;
            let soon = |w: &&Window| w.from > from && w.from < to + lead && w.until > w.from;
            if turns || !open && windows.iter().any(|window| soon(&window)) {
                return None;
            }
        }
        Some(any)
    }
}

/// How much earlier than its hour a window counts: only one that asks for servers does.
fn lead(schedule: &Schedule, learned: Duration) -> Duration {
    let asks = schedule.gives.min.is_some() || schedule.gives.capacity.is_some();
    match schedule.lead {
        _ if !asks => Duration::ZERO,
        Lead::Fixed(lead) => lead,
        Lead::Learned => learned.min(Duration::from_secs(HOUR as u64)),
    }
}

fn open(windows: &[Window], millis: i64) -> bool {
    let last = windows.iter().rev().find(|window| window.from * 1000 <= millis);
    last.is_some_and(|window| millis < window.until.saturating_mul(1000))
}

fn counts(windows: &[Window], at: Wall, lead: Duration) -> bool {
    let next =
        windows.iter().find(|window| window.from * 1000 > at.0 && window.from < window.until);
    open(windows, at.0) || next.is_some_and(|next| next.from * 1000 <= at.plus(lead).0)
}

fn windows(when: &When, low: i64, high: i64) -> Vec<Window> {
    match when {
        // Whole seconds would do for what is drawn; a window may begin between two.
        When::Once { from, until } => {
            let until = until.map_or(i64::MAX, |until| until.0.div_euclid(1000));
            vec![Window { from: from.0.div_euclid(1000), until }]
        }
        When::Recurring(opens, ends) => {
            let closes = match ends {
                Ends::After(_) => Vec::new(),
                Ends::At(closes) => fires(closes, low, high + 30 * HOUR),
            };
            let until = |from: i64| match ends {
                Ends::After(span) => from + span.as_secs() as i64,
                Ends::At(_) => {
                    closes.iter().copied().find(|then| *then >= from).unwrap_or(i64::MAX)
                }
            };
            let opens = fires(opens, low, high);
            opens.into_iter().map(|from| Window { from, until: until(from) }).collect()
        }
    }
}

/// When an expression fires. With fixed hours each local minute that it names happens once: when
/// the clocks first show it, or first show more. With every hour, whenever they show it.
fn fires(recurrence: &Recurrence, low: i64, high: i64) -> Vec<i64> {
    let named = Named::of(recurrence);
    let low = low - low.rem_euclid(MINUTE);
    let offsets = offsets(recurrence.zone(), low, high);
    // What the clocks show, in minutes since 1970 began there.
    let shown = |at: i64| {
        let ahead = offsets.iter().rev().find(|(from, _)| *from <= at);
        (at + ahead.unwrap().1).div_euclid(MINUTE)
    };
    let mut latest = shown(low) - 1;
    let (mut fired, mut at) = (Vec::new(), low);
    while at <= high {
        let now = shown(at);
        let fires = match named.hours {
            None => named.is(now),
            Some(_) => (latest + 1..=now).any(|minute| named.is(minute)),
        };
        fired.extend(Some(at).filter(|_| fires));
        latest = latest.max(now);
        at += MINUTE;
    }
    fired
}

/// What the clocks of a zone are ahead by, in seconds, from each instant on.
fn offsets(zone: &TimeZone, low: i64, high: i64) -> Vec<(i64, i64)> {
    let start = Timestamp::from_second(low).unwrap();
    let first = (low, i64::from(zone.to_offset(start).seconds()));
    let changes = zone.following(start);
    let changes = changes.map(|it| (it.timestamp().as_second(), i64::from(it.offset().seconds())));
    [first].into_iter().chain(changes.take_while(|(at, _)| *at <= high)).collect()
}

/// The local minutes that an expression names.
struct Named {
    minutes: Vec<i64>,
    /// None where it is every hour.
    hours: Option<Vec<i64>>,
    /// Day and month.
    date: Option<(i8, i8)>,
}

impl Named {
    fn of(recurrence: &Recurrence) -> Self {
        let text = recurrence.to_string();
        let fields: Vec<&str> = text.split(' ').take(5).collect();
        let list = |text: &str| text.split(',').map(|n| n.parse().unwrap()).collect::<Vec<i64>>();
        let minutes = match fields[0].strip_prefix("*/") {
            Some(step) => (0..60).step_by(step.parse().unwrap()).collect(),
            None => list(fields[0]),
        };
        let hours = (fields[1] != "*").then(|| list(fields[1]));
        let date =
            (fields[2] != "*").then(|| (fields[2].parse().unwrap(), fields[3].parse().unwrap()));
        assert_eq!(fields[4], "*", "no world's expression has a day of week");
        Self { minutes, hours, date }
    }

    fn is(&self, minute: i64) -> bool {
        let date = |(day, month)| {
            let local = Timestamp::from_second(minute * MINUTE).unwrap();
            let local = TimeZone::UTC.to_datetime(local);
            (local.day(), local.month()) == (day, month)
        };
        self.minutes.contains(&minute.rem_euclid(60))
            && self
                .hours
                .as_ref()
                .is_none_or(|of| of.contains(&minute.div_euclid(60).rem_euclid(24)))
            && self.date.is_none_or(date)
    }
}
