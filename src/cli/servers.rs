//! `novascale servers GROUP`: every member, what Nova says of it and what it counts
//! as; those that serve first, the oldest of them on top.

use jiff::Timestamp;

use super::client::Client;
use super::exit::Error;
use super::output::{Answer, Column, Line, paragraph, table};
use super::view::{ServerView, Servers, or_dash, standing_style};
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// Also show zones, flavors and addresses; wider than 80 columns
    #[arg(long)]
    pub wide: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let reply = client.get_of(&args.group, "/servers").await?;
    let Servers { mut servers, decided_at, observer } = reply.parse()?;
    servers.sort_by(|a, b| order(a).cmp(&order(b)));
    let trouble = observer.trouble(reply.at);
    let group = &args.group;
    let text = match (servers.is_empty(), decided_at, observer.seen_at) {
        (false, ..) => render(&servers, args.wide, reply.at),
        (true, None, _) => format!("{group} was not looked at yet: its servers are unknown."),
        (true, Some(_), None) => {
            let why = trouble.as_deref().unwrap_or("the cloud was not listed yet");
            paragraph(&format!("{group}: its servers are not known: {why}"), 0)
        }
        (true, Some(_), Some(_)) => format!("{group} has no servers."),
    };
    let mut answer = Answer::new(text, reply.body);
    // Where it is not the answer itself, it says how much the answer is worth.
    let told = servers.is_empty() && observer.seen_at.is_none();
    answer.warnings.extend(
        trouble
            .filter(|_| !told)
            .map(|trouble| format!("this is what was known before: {trouble}")),
    );
    Ok(answer)
}

fn order(server: &ServerView) -> impl Ord + '_ {
    let created = server.created;
    (server.standing, created.is_none(), created, server.name.as_deref(), server.id.as_str())
}

fn render(servers: &[ServerView], wide: bool, now: Option<Timestamp>) -> String {
    let mut columns = vec![
        Column::Text("NAME"),
        Column::Text("STANDING"),
        Column::Text("STATUS"),
        Column::Number("AGE"),
    ];
    if wide {
        columns.extend(["ZONE", "FLAVOR", "ADDRESSES"].map(Column::Text));
    }
    columns.push(Column::Text("ID"));
    let lines: Vec<Line> = servers.iter().map(|server| row(server, wide, now)).collect();
    let notes: Vec<String> = servers.iter().filter_map(note).collect();
    let text = table(&columns, &lines);
    if notes.is_empty() { text } else { format!("{text}\n\n{}", notes.join("\n")) }
}

fn row(server: &ServerView, wide: bool, now: Option<Timestamp>) -> Line {
    let mut cells = vec![
        or_dash(server.name.as_ref()),
        or_dash(server.standing.map(|standing| standing.word())),
        or_dash(server.status.as_ref()),
        or_dash(server.created.map(|created| created.age(now))),
    ];
    if wide {
        let addresses = (!server.addresses.is_empty()).then(|| server.addresses.join(" "));
        let (zone, flavor) = (server.zone.as_ref(), server.flavor.as_ref());
        cells.extend([or_dash(zone), or_dash(flavor), or_dash(addresses)]);
    }
    cells.push(server.id.clone());
    Line { style: standing_style(server.standing), cells }
}

/// What is special about a server, if anything is.
fn note(server: &ServerView) -> Option<String> {
    let mut said = Vec::new();
    match server.ownership.as_deref() {
        Some("foreign") => said.push("not launched by novascale, never touched".to_owned()),
        Some("other_install") => {
            said.push("carries another novascale's mark, never touched".to_owned());
        }
        _ => {}
    }
    if server.kept {
        said.push("kept: locked, or protected by its metadata".to_owned());
    }
    if server.outdated {
        said.push("made from an older template".to_owned());
    }
    if let Some(fault) = &server.fault {
        said.push(format!("{} ({})", fault.message, fault.code));
    }
    let name = server.name.as_deref().unwrap_or(&server.id);
    (!said.is_empty()).then(|| paragraph(&format!("{name}: {}", said.join("; ")), 0))
}
