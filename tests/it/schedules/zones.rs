//! Every change of clocks that the IANA database has for 2020 to 2040, minute by minute around it:
//! expressions fire, and windows are open, where a plain reading of the rule says so. Changes that
//! are alike but for their date are tried once, with `NOVASCALE_ZONES=all` each by itself.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use novascale::domain::schedule::recurrence::Recurrence;
use novascale::domain::schedule::{Ends, When};
use novascale::domain::time::Wall;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Around a change: beyond it local times run like any others.
const AROUND: SignedDuration = SignedDuration::from_hours(5);

/// Whether an expression names this hour and minute.
type Named = fn(i8, i8) -> bool;

/// Expressions with the local times that they name, as a plain test of hour and minute.
const FIXED: [(&str, Named); 6] = [
    ("30 2 * * *", |h, m| h == 2 && m == 30),
    ("0 0 * * *", |h, m| h == 0 && m == 0),
    ("15,45 0-3 * * *", |h, m| h <= 3 && (m == 15 || m == 45)),
    ("*/20 1,23 * * *", |h, m| (h == 1 || h == 23) && m % 20 == 0),
    ("10 */2 * * *", |h, m| h % 2 == 0 && m == 10),
    ("59 23 * * *", |h, m| h == 23 && m == 59),
];
const PASSING: [(&str, Named); 2] =
    [("0 * * * *", |_, m| m == 0), ("*/15 * * * *", |_, m| m % 15 == 0)];

/// Zones, each with the instants at which its clocks change.
fn zones() -> Vec<(TimeZone, Vec<Timestamp>)> {
    let (from, to) = (at("2020-01-01T00:00:00Z"), at("2041-01-01T00:00:00Z"));
    let all = std::env::var_os("NOVASCALE_ZONES").is_some();
    let (mut known, mut count) = (BTreeSet::new(), 0);
    let mut zones = Vec::new();
    for name in jiff::tz::db().available() {
        let Ok(zone) = TimeZone::get(name.as_str()) else { continue };
        let changes = zone.following(from).map(|c| c.timestamp()).take_while(|c| *c < to);
        let instants: Vec<_> = changes
            .filter(|change| {
                let before = zone.to_offset(*change - SignedDuration::from_secs(1)).seconds();
                let shift = zone.to_offset(*change).seconds() - before;
                let local = zone.to_datetime(*change).time();
                shift != 0 && (known.insert((local, before, shift)) || all)
            })
            .collect();
        count += instants.len();
        zones.push((zone, instants));
    }
    assert!(zones.len() > 300 && count > 40, "{count} changes in {} zones", zones.len());
    zones
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The local time of every minute around a change, with the change's gap or repetition in it.
struct Minutes {
    minutes: Vec<(Timestamp, DateTime)>,
    /// The first instant after the gap, and the local times that it leaves out.
    skipped: Vec<(Timestamp, DateTime)>,
}

impl Minutes {
    fn around(zone: &TimeZone, change: Timestamp) -> Self {
        let first = change - AROUND;
        let count = 2 * AROUND.as_mins();
        let minutes: Vec<_> = (0..count)
            .map(|n| first + SignedDuration::from_mins(n))
            .map(|instant| (instant, zone.to_datetime(instant)))
            .collect();
        let mut skipped = Vec::new();
        for pair in minutes.windows(2) {
            let mut left_out = pair[0].1 + MINUTE;
            while left_out < pair[1].1 {
                skipped.push((pair[1].0, left_out));
                left_out += MINUTE;
            }
        }
        Self { minutes, skipped }
    }

    /// A skipped time fires after the gap, a repeated one at its first pass.
    fn fixed(&self, named: Named) -> BTreeSet<Timestamp> {
        let mut passed = BTreeSet::new();
        let mut fires = BTreeSet::new();
        for (instant, local) in &self.minutes {
            if passed.insert(*local) && named(local.hour(), local.minute()) {
                fires.insert(*instant);
            }
        }
        let after = self.skipped.iter().filter(|(_, local)| named(local.hour(), local.minute()));
        fires.extend(after.map(|(instant, _)| *instant));
        fires
    }

    fn passing(&self, named: Named) -> BTreeSet<Timestamp> {
        let hits = self.minutes.iter().filter(|(_, local)| named(local.hour(), local.minute()));
        hits.map(|(instant, _)| *instant).collect()
    }

    fn bounds(&self) -> (Timestamp, Timestamp) {
        (self.minutes[0].0, self.minutes[self.minutes.len() - 1].0)
    }
}

fn wall(at: Timestamp) -> Wall {
    Wall(at.as_millisecond())
}

fn fired(recurrence: &Recurrence, (first, last): (Timestamp, Timestamp)) -> BTreeSet<Timestamp> {
    let mut fires = BTreeSet::new();
    let mut after = Wall(wall(first).0 - 1);
    while let Some(next) = recurrence.next(after).filter(|next| *next <= wall(last)) {
        fires.insert(next.timestamp());
        after = next;
    }
    fires
}

#[test]
fn every_change_of_clocks_fires_each_named_time_once() {
    for (zone, instants) in zones() {
        let name = zone.iana_name().unwrap_or_default().to_owned();
        let fixed = FIXED.map(|(cron, named)| (cron, named, true));
        let passing = PASSING.map(|(cron, named)| (cron, named, false));
        let all: Vec<_> = fixed.into_iter().chain(passing).collect();
        let parsed: Vec<_> =
            all.iter().map(|(cron, ..)| Recurrence::parse(cron, zone.clone()).unwrap()).collect();
        for change in instants {
            let minutes = Minutes::around(&zone, change);
            for ((cron, named, once), recurrence) in all.iter().zip(&parsed) {
                let wanted = if *once { minutes.fixed(*named) } else { minutes.passing(*named) };
                let got = fired(recurrence, minutes.bounds());
                assert_eq!(got, wanted, "{cron} in {name} around {change}");
                let (first, last) = minutes.bounds();
                if let Some(latest) = wanted.last() {
                    assert_eq!(recurrence.last(wall(last)), Some(wall(*latest)), "{cron} {name}");
                }
                if let Some(earliest) = wanted.first() {
                    let before = recurrence.last(Wall(wall(*earliest).0 - 1)).unwrap();
                    assert!(before < wall(first), "{cron} in {name}: {before} before {earliest}");
                }
            }
        }
    }
}

/// Minute by minute: a window is open where its last opening is not yet closed.
#[test]
fn windows_are_open_from_each_opening_to_the_next_closing() {
    for (zone, instants) in zones() {
        let name = zone.iana_name().unwrap_or_default().to_owned();
        let cron = |text: &str| Recurrence::parse(text, zone.clone()).unwrap();
        let closing = When::Recurring(cron("30 1 * * *"), Ends::At(cron("30 3 * * *")));
        let lasting = When::Recurring(
            cron("30 1 * * *"),
            Ends::After(std::time::Duration::from_secs(2 * 3600)),
        );
        for change in instants {
            let minutes = Minutes::around(&zone, change);
            let opens = minutes.fixed(|h, m| h == 1 && m == 30);
            let closes = minutes.fixed(|h, m| h == 3 && m == 30);
            for (instant, _) in &minutes.minutes {
                let Some(opened) = opens.range(..=*instant).next_back() else { continue };
                let closed = closes.range(*opened..=*instant).next().is_some();
                let open = closing.open(wall(*instant)).is_some();
                assert_eq!(open, !closed, "{name} at {instant}, opened {opened}");
                let lasts = *instant < *opened + SignedDuration::from_hours(2);
                assert_eq!(lasting.open(wall(*instant)).is_some(), lasts, "{name} at {instant}");
            }
        }
    }
}
