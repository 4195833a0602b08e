//! Scheduled capacity in worlds: windows of minutes and hours around the world's first hours, which
//! lie where a zone's clocks change if they can.

use std::time::Duration;

use jiff::tz::TimeZone;
use novascale::domain::schedule::recurrence::Recurrence;
use novascale::domain::schedule::{Ends, Gives, Lead, Schedule, When};
use novascale::domain::time::{Clock, Wall};

use super::dice::Dice;
use super::oracle::hours::Hours;
use super::world::World;

/// Where clocks change: by an hour and by half an hour, forward and back, north and south.
const CHANGES: [(&str, &str); 6] = [
    ("Europe/Paris", "2026-03-29T01:00:00Z"),
    ("Europe/Paris", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
];
/// Where they do not.
const OTHERS: [&str; 2] = ["UTC", "Asia/Kathmandu"];

/// Of a hundred groups so many have a schedule.
const SCHEDULED: u32 = 35;

/// Where and when a world's schedules are read.
pub struct Calendar {
    pub dice: Dice,
    zone: &'static str,
    /// When the world begins, by its wall clock.
    pub begins: Wall,
}

impl Calendar {
    /// A world's wall clock may begin at any time, but for the embedded cloud's.
    pub fn of(seed: u64, usual: Wall, fixed: bool) -> Self {
        let mut dice = Dice::of(seed, "schedules");
        let (zone, change) = *dice.pick(&CHANGES).unwrap();
        let before = dice.millis(0, 50 * 60_000);
        let begins = if fixed { usual } else { Wall::parse(change).unwrap().minus(before) };
        Self { dice, zone, begins }
    }

    /// A group's schedule; most have none.
    pub fn schedules(&mut self, near: Wall, least: u32) -> Vec<Schedule> {
        if !self.dice.percent(SCHEDULED) {
            return Vec::new();
        }
        let n = self.dice.between(1, 3);
        (0..n).map(|at| self.schedule(at, near, least)).collect()
    }

    fn schedule(&mut self, at: u32, near: Wall, least: u32) -> Schedule {
        let when = if self.dice.percent(30) { self.once(near) } else { self.recurring(near) };
        let lead = match self.dice.below(3) {
            0 => Lead::Learned,
            1 => Lead::Fixed(Duration::ZERO),
            _ => Lead::Fixed(self.dice.millis(10_000, 900_000)),
        };
        Schedule { name: format!("w{at}"), when, gives: self.gives(least), lead }
    }

    fn gives(&mut self, least: u32) -> Gives {
        let what = self.dice.between(1, 7);
        let min = self.dice.between(least, 6);
        let max = self.dice.between(1, 12);
        let capacity = self.dice.below(11);
        let given = |bit: u32, n: u32| Some(n).filter(|_| what & bit != 0);
        Gives { min: given(1, min), max: given(2, max), capacity: given(4, capacity) }
    }

    fn once(&mut self, near: Wall) -> When {
        let near = Wall(near.0 - near.0.rem_euclid(1000));
        let from = near.minus(self.span(0, 1_800)).plus(self.span(0, 5_400));
        let until = from.plus(self.span(120, 3_600));
        When::Once { from, until: Some(until).filter(|_| !self.dice.percent(25)) }
    }

    fn recurring(&mut self, near: Wall) -> When {
        let other = *self.dice.pick(&OTHERS).unwrap();
        let name = if self.dice.percent(80) { self.zone } else { other };
        let zone = TimeZone::get(name).unwrap();
        let local = zone.to_datetime(near.timestamp());
        let hour = u32::from(local.hour().unsigned_abs());
        let hours: Vec<String> = (0..4).map(|more| ((hour + more) % 24).to_string()).collect();
        let fixed = format!("{} * * *", hours.join(","));
        let cron = |text: &str| Recurrence::parse(text, zone.clone()).unwrap();
        match self.dice.below(6) {
            // Hours are counted as they pass, on one day.
            0 => {
                let every = *self.dice.pick(&[10, 15, 20, 30]).unwrap();
                let text = format!("*/{every} * {} {} *", local.day(), local.month());
                When::Recurring(cron(&text), Ends::After(self.span(120, 1_500)))
            }
            // Always open, and opened anew in every hour.
            1 => {
                let text = format!("{} * * * *", self.dice.below(60));
                When::Recurring(cron(&text), Ends::After(self.span(3_660, 7_200)))
            }
            2 | 3 => {
                let text = format!("{} {fixed}", self.minutes());
                let ends = format!("{} {fixed}", self.minutes());
                let when = When::Recurring(cron(&text), Ends::At(cron(&ends)));
                // One that closes whenever it opens is refused with the configuration.
                match when.next(near) {
                    Some(_) => when,
                    None => When::Recurring(cron(&text), Ends::After(Duration::from_secs(600))),
                }
            }
            _ => {
                let text = format!("{} {fixed}", self.minutes());
                let long = self.dice.percent(20);
                let span = if long { self.span(28_800, 36_000) } else { self.span(60, 3_000) };
                When::Recurring(cron(&text), Ends::After(span))
            }
        }
    }

    fn span(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.dice.millis(least, most).as_millis() as u64)
    }

    /// One to three minutes of an hour.
    fn minutes(&mut self) -> String {
        let n = self.dice.between(1, 3);
        let minutes: Vec<String> = (0..n).map(|_| self.dice.below(60).to_string()).collect();
        minutes.join(",")
    }
}

/// The end of a world is at a time at which no window turns for so long, nor opens soon after.
const QUIET_FOR: Duration = Duration::from_secs(4 * 3600);
const STEP: Duration = Duration::from_secs(600);
/// Every draw leaves a quiet stretch within a day.
const SEARCHED: u32 = 60 * 6;

impl World {
    /// The wall clock comes to a time at which the schedules rest; in some worlds with a window
    /// open.
    pub fn come_to_a_quiet_hour(&mut self) {
        if self.groups.iter().all(|group| group.schedules.is_empty()) {
            return;
        }
        let now = self.clock.now().wall;
        let opened = self.calendar.dice.percent(60);
        let mut hours: Vec<Hours> = self.groups.iter().map(|_| Hours::default()).collect();
        let mut quiet = |at: Wall| {
            let groups = self.groups.iter().zip(&mut hours);
            let mut open = false;
            for (group, hours) in groups {
                let some = hours.rest(&group.schedules, at, QUIET_FOR)?;
                open |= some;
            }
            Some(open)
        };
        let mut first = None;
        for n in 0..SEARCHED {
            let Some(open) = quiet(now.plus(STEP * n)) else { continue };
            first.get_or_insert(n);
            if open == opened {
                first = Some(n);
                break;
            }
        }
        let n = first.unwrap();
        let by = (STEP * n).as_millis() as i64;
        if by > 0 {
            self.clock.jump(by);
            self.nova.event(63, by.unsigned_abs(), || format!("it is {by} ms later"));
        }
    }
}
