//! `novascale signal GROUP NAME VALUE`: one sample by hand, as a sender would post it.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::Error;
use super::output::Answer;
use crate::domain::id::{GroupName, ServerId, SignalName};
use crate::domain::signal::Value;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// Which signal: the name that a policy of the group reads
    pub name: SignalName,

    /// The load, measured now
    #[arg(allow_negative_numbers = true, value_parser = value)]
    pub value: Value,

    /// The server it was measured on, if it is not the whole group's load
    #[arg(long, value_name = "ID")]
    pub server: Option<ServerId>,

    /// Count it at most once under this id, however often it is sent
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

#[derive(Deserialize)]
struct Accepted {
    /// How many of the samples were new.
    fresh: u64,
    /// What the sender should know, as that nothing reads a signal of this name.
    note: Option<String>,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let Args { group, name, value, server, id } = args;
    let mut body = json!({ "name": name, "value": value });
    if let Some(server) = server {
        body["server"] = json!(server);
    }
    if let Some(id) = id {
        body["id"] = json!(id);
    }
    let how = (Method::POST, Scope::Signal);
    let reply = client.send(how, (group, "/signals"), Some(&body), None).await?;
    let Accepted { fresh, note } = reply.parse()?;
    let text = match fresh {
        0 => format!("{group} had heard this of {name} before."),
        _ => format!("{group} has heard: {name} is {}.", value.get()),
    };
    let mut answer = Answer::new(text, reply.body);
    match note {
        Some(note) => answer.warnings.push(note),
        None => answer.notes.push(format!("What follows from it: `novascale explain {group}`")),
    }
    Ok(answer)
}

fn value(text: &str) -> Result<Value, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    Value::new(number).map_err(|error| error.to_string())
}
