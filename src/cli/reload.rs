//! `novascale reload`: the daemon reads its configuration file again. A file with faults changes
//! nothing; they are shown as `novascale check` shows them.

use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::{Error, Exit};
use super::output::{Answer, paragraph};
use super::view::{Cut, Reloaded};
use crate::telemetry::escape::escape;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Large cuts of max that `reload` or `status` has shown are meant: they may take servers away
    #[arg(long)]
    pub confirm: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let body = json!({ "confirm": args.confirm });
    match client.post("/v1/reload", Scope::Operate, &body).await {
        Ok(reply) => {
            let view: Reloaded = reply.parse()?;
            let mut answer = Answer::new(said(&view), reply.body);
            answer.warnings = warnings(&view, args.confirm);
            Ok(answer)
        }
        Err(refused) => match refused.report {
            Some(report) => Ok(Answer {
                report: Some(lines(&report)),
                exit: Exit::Config,
                ..Answer::new("", refused.body)
            }),
            None => Err(refused.error),
        },
    }
}

/// Several lines of the daemon's, each made harmless.
fn lines(report: &str) -> String {
    report.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn said(view: &Reloaded) -> String {
    let lists = [
        ("Added", &view.added),
        ("Changed", &view.changed),
        ("No longer configured, and frozen", &view.removed),
    ];
    let some = lists.iter().filter(|(_, names)| !names.is_empty());
    let mut said: Vec<String> =
        some.map(|(what, names)| format!("{what}: {}.", names.join(", "))).collect();
    if said.is_empty() {
        said.push("The file was read again; no group differs.".to_owned());
    }
    said.extend(view.confirmed.iter().map(|cut| {
        let Cut { group, from, to, .. } = cut;
        format!("Confirmed: {group} has at most {to} rather than {from}.")
    }));
    said.iter().map(|said| paragraph(said, 0)).collect::<Vec<_>>().join("\n")
}

fn warnings(view: &Reloaded, confirming: bool) -> Vec<String> {
    let mut said = Vec::new();
    let again = if confirming { " comes once more, for this cut was not shown before" } else { "" };
    if !view.waits_for_restart.is_empty() {
        let sections = view.waits_for_restart.join(", ");
        said.push(format!("what the file changes in {sections} counts from the next start on"));
    }
    said.extend(view.unconfirmed.iter().map(|Cut { group, from, to, servers }| {
        format!(
            "{group} has {servers} servers, and its max was cut from {from} to {to}: none goes for \
             that before `novascale reload --confirm`{again}"
        )
    }));
    said.extend(view.warnings.iter().map(|warning| warning.reason.clone()));
    said.extend(view.troubles.iter().cloned());
    said
}
