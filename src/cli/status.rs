//! `novascale status [GROUP]`: how the groups fare, one row and one sentence each;
//! of a single group, also what was ordered and when it was looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::client::{Client, Reply};
use super::exit::Error;
use super::output::{Answer, BOLD, Column, Line, paint, paragraph, table};
use super::view::{Configuration, GroupView, Groups, or_dash};
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One group in full; all of them if left out
    pub group: Option<GroupName>,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    match &args.group {
        Some(group) => {
            let reply = client.get_of(group, "").await?;
            let view: GroupView = reply.parse()?;
            Ok(answer(one(&view, reply.at), reply))
        }
        None => {
            let reply = client.get("/v1/groups").await?;
            let Groups { groups, configuration } = reply.parse()?;
            let text = if groups.is_empty() {
                "The daemon has no groups: add one to its configuration.".to_owned()
            } else {
                all(&groups, reply.at)
            };
            let warnings = configuration.map_or_else(Vec::new, |c| warnings(&c, reply.at));
            Ok(Answer { warnings, ..answer(text, reply) })
        }
    }
}

/// Where the configuration file says something else than what runs.
fn warnings(configuration: &Configuration, now: Option<Timestamp>) -> Vec<String> {
    let Configuration { loaded_at, read_at, refused, waits_for_restart } = configuration;
    let refused = refused.as_ref().map(|why| {
        let (read, loaded) = (read_at.seen_from(now), loaded_at.seen_from(now));
        format!("{why} (read {read}; what counts was read {loaded}). Run `novascale check`")
    });
    let waits = (!waits_for_restart.is_empty()).then(|| {
        let sections = waits_for_restart.join(", ");
        format!("what the file changes in {sections} waits for a restart")
    });
    refused.into_iter().chain(waits).collect()
}

fn answer(text: String, reply: Reply) -> Answer {
    Answer::new(text, reply.body)
}

fn all(groups: &[GroupView], now: Option<Timestamp>) -> String {
    let lines = groups.iter().map(headline).filter(|line| !line.is_empty());
    let lines = lines.chain(troubles(groups, now)).collect::<Vec<_>>().join("\n");
    format!("{}\n\n{lines}", rows(groups)).trim_end().to_owned()
}

/// What keeps regions from being looked at, each once.
fn troubles(groups: &[GroupView], now: Option<Timestamp>) -> impl Iterator<Item = String> {
    let troubled = groups.iter().filter_map(|group| {
        let trouble = group.observer.as_ref()?.trouble(now)?;
        Some((group.region.as_deref().unwrap_or("the cloud"), trouble))
    });
    let regions: BTreeMap<&str, String> = troubled.collect();
    let lines = regions.into_iter().map(|(name, said)| paragraph(&format!("{name}: {said}"), 0));
    lines.collect::<Vec<_>>().into_iter()
}

fn one(group: &GroupView, now: Option<Timestamp>) -> String {
    let top = all(std::slice::from_ref(group), now);
    if !group.configured {
        return top;
    }
    let facts = facts(group, now);
    let widest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let facts = facts.iter().map(|(name, fact)| {
        format!(
            "{} {fact}",
            paint(BOLD, &format!("{:<width$}", format!("{name}:"), width = widest + 1))
        )
    });
    format!("{top}\n\n{}", facts.collect::<Vec<_>>().join("\n"))
}

fn rows(groups: &[GroupView]) -> String {
    let columns = [
        Column::Text("GROUP"),
        Column::Number("DESIRED"),
        Column::Number("READY"),
        Column::Number("SERVERS"),
        Column::Number("MIN"),
        Column::Number("MAX"),
        Column::Text("SITUATION"),
    ];
    let lines: Vec<Line> = groups.iter().map(row).collect();
    table(&columns, &lines)
}

fn row(group: &GroupView) -> Line {
    let cells = vec![
        group.name.clone(),
        or_dash(group.desired),
        or_dash(group.tally.map(|tally| tally.serving)),
        or_dash(group.tally.map(|tally| tally.servers()).or(group.known_servers)),
        or_dash(group.min),
        or_dash(group.max),
        or_dash(group.situation.as_ref()),
    ];
    let style = group.situation.as_ref().map(|situation| situation.style()).unwrap_or_default();
    Line { style, cells }
}

/// The group in one sentence, and the trouble that its loop has. What its region's observer has
/// is told once for all groups.
fn headline(group: &GroupView) -> String {
    let mut lines = Vec::new();
    let failure = group.observer.as_ref().and_then(|observer| observer.failure.as_deref());
    let said = match failure {
        Some(failure) if group.headline.contains(failure) => "holding",
        Some(_) | None => &group.headline,
    };
    if !said.is_empty() {
        lines.push(paragraph(&format!("{}: {said}", group.name), 0));
    }
    if let Some(failure) = &group.failure {
        lines.push(paragraph(&format!("the last pass failed: {failure}"), 2));
    }
    lines.join("\n")
}

fn facts(group: &GroupView, now: Option<Timestamp>) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "Tag",
            format!("{} in region {}", or_dash(group.tag.as_ref()), or_dash(group.region.as_ref())),
        ),
        ("Servers", group.tally.map_or_else(|| "not known yet".to_owned(), |t| t.to_string())),
    ];
    if let Some(base) = group.base {
        facts.push(("Base", base.to_string()));
    }
    if let Some(pin) = &group.pin {
        let until = pin.until.map_or_else(
            || "until it is taken away".to_owned(),
            |until| format!("ends {}", until.seen_from(now)),
        );
        facts.push(("Pin", format!("{}, {until}{}", pin.capacity, because(pin.reason.as_ref()))));
    }
    if let Some(freeze) = &group.freeze {
        let since = or_dash(freeze.since.map(|since| since.seen_from(now)));
        let because = because(freeze.reason.as_ref());
        facts.push(("Frozen", format!("{since} by {}{because}", freeze.by)));
    }
    for pause in &group.pauses {
        let until = pause.until.map(|until| format!(", ends {}", until.seen_from(now)));
        let (until, because) = (until.unwrap_or_default(), because(pause.reason.as_ref()));
        facts.push(("Paused", format!("{} by {}{until}{because}", pause.process, pause.by)));
    }
    for alert in &group.alerts {
        let until = alert.until.map(|until| format!(", ends {}", until.seen_from(now)));
        let others = alert.others.map(|others| format!("{others} more of the name"));
        let one = Some(&alert.fingerprint).filter(|text| !text.is_empty());
        let which = others.as_ref().or(one);
        let since = alert.since.seen_from(now);
        let (until, which) = (until.unwrap_or_default(), because(which));
        let by = alert.source.as_ref().map(|source| format!(" of {source}")).unwrap_or_default();
        facts
            .push(("Alert", format!("{}{which}{by} fires, first told {since}{until}", alert.name)));
    }
    for held in &group.reservations {
        let until = held.until.map(|until| format!(", ends {}", until.seen_from(now)));
        let (until, because) = (until.unwrap_or_default(), because(held.reason.as_ref()));
        facts.push(("Reserved", format!("{} by {}{until}{because}", held.capacity, held.owner)));
    }
    if let Some(decided) = group.decided_at {
        let next = group.next_look_at.map(|next| format!(", next look {}", next.seen_from(now)));
        facts.push(("Decided", format!("{}{}", decided.seen_from(now), next.unwrap_or_default())));
    }
    if let Some(told) = group.told_since {
        facts.push(("Told", format!("{}: it counts at the next look", told.seen_from(now))));
    }
    facts
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}
