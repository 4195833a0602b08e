//! `novascale adopt GROUP [SERVER…]`: takes servers over that are not the group's own yet.
//! The daemon says what that means; without `--dry-run` it is ordered.

use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::Error;
use super::output::{Answer, paragraph};
use super::scale::Because;
use super::view::Adopted;
use crate::domain::id::{GroupName, Tag};
use crate::telemetry::escape::escape;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// Ids of servers, tagged or not [default: all members that are not our own]
    #[arg(value_name = "SERVER", conflicts_with = "from")]
    pub servers: Vec<String>,

    /// The group's former name: take over what was launched under it
    #[arg(long, value_name = "OLD")]
    pub from: Option<GroupName>,

    /// The tag of those servers [default: novascale:OLD]
    #[arg(long, value_name = "TAG", requires = "from")]
    pub from_tag: Option<Tag>,

    /// Only show what would be adopted, and what would follow
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub because: Because,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut body = json!({ "dry_run": args.dry_run });
    if !args.servers.is_empty() {
        body["servers"] = json!(args.servers);
    }
    if let Some(from) = &args.from {
        body["from"] = json!(from);
    }
    if let Some(tag) = &args.from_tag {
        body["from_tag"] = json!(tag);
    }
    if let Some(reason) = &args.because.reason {
        body["reason"] = json!(reason);
    }
    let how = (Method::POST, Scope::Operate);
    let id = args.because.id.as_deref();
    let reply = client.send(how, (&args.group, "/adopt"), Some(&body), id).await?;
    let Adopted { sentences, repeated } = reply.parse()?;
    let said: Vec<String> = sentences.iter().map(|s| paragraph(&escape(s), 0)).collect();
    let mut answer = Answer::new(said.join("\n"), reply.body);
    if repeated {
        answer.notes.push("This id was used before: nothing was done again.".to_owned());
    }
    Ok(answer)
}
