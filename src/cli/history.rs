//! `novascale history GROUP`: what changed desired or did something, and what was ordered; the
//! oldest first, the newest lines of it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::exit::Error;
use super::output::{Answer, paragraph};
use super::when::{When, to_the_second};
use crate::domain::id::GroupName;
use crate::domain::plan::{Action, Cause};
use crate::domain::time::{Now, Wall};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// From then on: RFC 3339, a time of day (UTC), or a span ago [default: all that is kept]
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,

    /// Show at most so many lines, the newest
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u16,
}

/// A decision, as far as its line needs it.
#[derive(Debug, Deserialize)]
struct Decided {
    at: Now,
    desired: u32,
    #[serde(default)]
    plan: Vec<Action>,
    headline: String,
}

#[derive(Debug, Deserialize)]
struct Told {
    at: Wall,
    by: String,
    sentence: String,
}

/// Decisions of one page; a group keeps a few thousand at most.
const PAGE: u32 = 500;
/// The API gives so many commands at once.
const COMMANDS: u32 = 2_000;

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let since = args.since.map(|when| when.instant(crate::app::now()));
    let from = since.map_or_else(String::new, |at| format!("&since={at}"));
    let decisions = decisions(args, client, &from).await?;
    let before = before(args, client, since).await?;
    let path = format!("/commands?limit={COMMANDS}{from}");
    let mut commands = client.get_of(&args.group, &path).await?.body;
    let json = json!({ "decisions": decisions, "commands": commands["commands"].take() });
    let mut lines = decided(&json["decisions"], before);
    lines.extend(told(&json["commands"]));
    lines.sort_by_key(|(at, _)| *at);
    let surplus = lines.len().saturating_sub(usize::from(args.limit));
    let shown = lines.drain(surplus..);
    let lines: Vec<String> =
        shown.map(|(at, line)| paragraph(&format!("{} {line}", to_the_second(at)), 0)).collect();
    let text = match (lines.is_empty(), since) {
        (false, _) => lines.join("\n"),
        (true, Some(at)) => {
            format!("Nothing changed for {} since {}.", args.group, to_the_second(at))
        }
        (true, None) => format!("Nothing is kept of {} yet.", args.group),
    };
    Ok(Answer::new(text, json))
}

/// All pages, the newest decision first.
async fn decisions(args: &Args, client: &Client, from: &str) -> Result<Vec<Value>, Error> {
    let (mut all, mut marker) = (Vec::new(), String::new());
    loop {
        let path = format!("/decisions?limit={PAGE}{from}{marker}");
        let mut page = client.get_of(&args.group, &path).await?.body;
        if let Value::Array(decisions) = page["decisions"].take() {
            all.extend(decisions);
        }
        match page["next_marker"].as_str() {
            Some(next) => marker = format!("&marker={next}"),
            None => return Ok(all),
        }
    }
}

/// What was desired before the first decision that is shown.
async fn before(args: &Args, client: &Client, since: Option<Wall>) -> Result<Option<u32>, Error> {
    let Some(at) = since else { return Ok(None) };
    let reply = client.get_of(&args.group, &format!("/decisions?at={at}")).await?;
    Ok(reply.body["decisions"][0]["desired"].as_u64().and_then(|n| u32::try_from(n).ok()))
}

type Line = (Wall, String);

fn decided(decisions: &Value, before: Option<u32>) -> Vec<Line> {
    let read = |value| Decided::deserialize(value).ok();
    let newest_first = decisions.as_array().into_iter().flatten().filter_map(read);
    let mut oldest_first: Vec<Decided> = newest_first.collect();
    oldest_first.reverse();
    let (mut last, mut lines) = (before, Vec::new());
    for decision in oldest_first {
        let done = done(&decision.plan);
        let desired = match last {
            Some(last) if last != decision.desired => {
                Some(format!("desired {last} -> {}", decision.desired))
            }
            Some(_) => None,
            None => Some(format!("desired {}", decision.desired)),
        };
        last = Some(decision.desired);
        if desired.is_none() && done.is_none() {
            continue;
        }
        let what: Vec<String> = desired.into_iter().chain(done).collect();
        lines.push((decision.at.wall, format!("{}: {}", what.join("; "), decision.headline)));
    }
    lines
}

/// What was begun, terminations counted.
fn done(plan: &[Action]) -> Option<String> {
    let going = |of: Cause| {
        let same =
            |action: &&Action| matches!(action, Action::Terminate { cause, .. } if *cause == of);
        match plan.iter().filter(same).collect::<Vec<_>>().as_slice() {
            [] => None,
            [one] => Some(one.to_string()),
            more => Some(format!("terminate {} servers: {of}", more.len())),
        }
    };
    let others = plan.iter().filter(|action| !matches!(action, Action::Terminate { .. }));
    let said = others.map(ToString::to_string);
    let ends = [Cause::Error, Cause::Stuck, Cause::Surplus].into_iter().filter_map(going);
    let said: Vec<String> = said.chain(ends).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn told(commands: &Value) -> Vec<Line> {
    let read = |value| Told::deserialize(value).ok();
    let commands = commands.as_array().into_iter().flatten().filter_map(read);
    commands.map(|Told { at, by, sentence }| (at, format!("{by} ordered: {sentence}"))).collect()
}
