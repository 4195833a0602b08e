//! `novascale schedule`: when windows of capacity open and close next, or when a cron expression
//! fires. It reads the configuration and asks nobody.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::check;
use super::exit::{Error, Exit};
use super::output::{Answer, Column, Line, Output, PLAIN, table};
use crate::config::Env;
use crate::domain::group::Group;
use crate::domain::id::GroupName;
use crate::domain::schedule::recurrence::Recurrence;
use crate::domain::schedule::{Gives, Schedule, When, Window};
use crate::domain::time::Wall;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this group's windows
    #[arg(conflicts_with = "cron")]
    pub group: Option<GroupName>,

    /// Show so many of the next windows of each group
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "cron")]
    pub next: u16,

    /// Show when this expression fires, without a configuration
    #[arg(long, value_name = "EXPR")]
    pub cron: Option<String>,

    /// The zone whose clocks the expression names
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone, requires = "cron")]
    pub timezone: TimeZone,

    /// Begin after this instant (RFC 3339) in place of now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Wall>,

    /// Show so many instants
    #[arg(long, value_name = "N", default_value_t = 5, requires = "cron")]
    pub count: u16,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("{name:?} is no zone of the IANA database; write \"Europe/Paris\" or \"UTC\"")
    })
}

fn moment(text: &str) -> Result<Wall, String> {
    Wall::parse(text).map_err(|_| format!("{text:?} is not RFC 3339, as in 2026-12-24T18:00:00Z"))
}

pub(super) fn run(args: &Args, file: &Path, now: Wall, output: Output) -> Result<Exit, Error> {
    let from = args.from.unwrap_or(now);
    if let Some(cron) = &args.cron {
        return fires(cron, args, from).map(|answer| output.answer(&answer));
    }
    let Some(loaded) = check::load(file, &Env::from_process(), output) else {
        return Ok(Exit::Config);
    };
    let groups = loaded.config.groups;
    if let Some(name) = &args.group
        && !groups.iter().any(|group| group.name == *name)
    {
        let known = groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>().join(", ");
        let error = Error::new(Exit::Failed, format!("{} has no group {name}", file.display()));
        return Err(error.hint(format!("its groups are {known}")));
    }
    let chosen = groups.iter().filter(|g| args.group.as_ref().is_none_or(|name| g.name == *name));
    let rows: Vec<Row<'_>> =
        chosen.flat_map(|group| upcoming(group, from, usize::from(args.next))).collect();
    Ok(output.answer(&shown(&rows, from)))
}

/// The instants as an array of RFC 3339 texts, each with the zone's offset.
fn fires(cron: &str, args: &Args, from: Wall) -> Result<Answer, Error> {
    let recurrence = Recurrence::parse(cron, args.timezone.clone()).map_err(|why| {
        Error::new(Exit::Usage, format!("{cron:?} is no cron expression: {why}"))
            .hint("as in \"30 7 * * MON-FRI\": at 07:30 on weekdays")
    })?;
    let instants = std::iter::successors(recurrence.next(from), |at| recurrence.next(*at));
    let instants = instants.take(usize::from(args.count));
    let texts: Vec<String> = instants.map(|at| local(at, recurrence.zone())).collect();
    Ok(Answer::new(texts.join("\n"), json!(texts)))
}

/// As clocks show it there, with the offset.
fn local(at: Wall, zone: &TimeZone) -> String {
    let at: Timestamp = at.timestamp();
    at.display_with_offset(zone.to_offset(at)).to_string()
}

struct Row<'a> {
    group: &'a Group,
    schedule: &'a Schedule,
    window: Window,
    open: bool,
}

/// The group's windows that are open, and the next ones, in their order.
fn upcoming(group: &Group, from: Wall, next: usize) -> Vec<Row<'_>> {
    let mut open = Vec::new();
    let mut coming = Vec::new();
    for schedule in &group.schedules {
        let row = |window, open| Row { group, schedule, window, open };
        open.extend(schedule.when.open(from).map(|window| row(window, true)));
        let first = schedule.when.next(from);
        let windows = std::iter::successors(first, |last| schedule.when.next(last.from));
        coming.extend(windows.take(next).map(|window| row(window, false)));
    }
    coming.sort_by_key(|row| row.window.from);
    coming.truncate(next);
    open.extend(coming);
    open
}

fn shown(rows: &[Row<'_>], from: Wall) -> Answer {
    let json = json!(rows.iter().map(Row::json).collect::<Vec<_>>());
    if rows.is_empty() {
        return Answer::new(format!("No window opens after {from}."), json);
    }
    let columns = ["GROUP", "SCHEDULE", "OPENS", "CLOSES", "GIVES"].map(Column::Text);
    let lines: Vec<Line> = rows.iter().map(Row::line).collect();
    Answer::new(table(&columns, &lines), json)
}

impl Row<'_> {
    fn zone(&self) -> TimeZone {
        match &self.schedule.when {
            When::Recurring(opens, _) => opens.zone().clone(),
            When::Once { .. } => TimeZone::UTC,
        }
    }

    fn local(&self, at: Wall) -> String {
        local(at, &self.zone())
    }

    fn json(&self) -> Value {
        let Gives { min, max, capacity } = self.schedule.gives;
        json!({
            "group": self.group.name, "schedule": self.schedule.name, "open": self.open,
            "from": self.local(self.window.from),
            "until": self.window.until.map(|until| self.local(until)),
            "min": min, "max": max, "capacity": capacity,
        })
    }

    fn line(&self) -> Line {
        let opens = self.local(self.window.from);
        let opens = if self.open { format!("{opens} (open)") } else { opens };
        let closes = self.window.until.map_or_else(|| "never".to_owned(), |at| self.local(at));
        let gives = given(self.schedule.gives);
        let names = [self.group.name.to_string(), self.schedule.name.clone()];
        Line { style: PLAIN, cells: names.into_iter().chain([opens, closes, gives]).collect() }
    }
}

fn given(gives: Gives) -> String {
    let said = [("min", gives.min), ("max", gives.max), ("capacity", gives.capacity)];
    let said = said.into_iter().filter_map(|(key, n)| n.map(|n| format!("{key} {n}")));
    said.collect::<Vec<_>>().join(", ")
}
