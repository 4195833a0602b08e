//! `novascale pin` and `unpin`: an operator's number in place of all claims.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::Error;
use super::output::Answer;
use super::reserve::{seconds, span};
use super::scale::told;
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// How many servers, whatever signals say; min and max still hold
    pub capacity: u32,

    /// For how long: 2h, 90min, 1d [default: until `unpin`]
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub span: Option<Duration>,

    /// Why; shown wherever the decision is explained
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct UnpinArgs {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,
}

pub(super) async fn pin(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut body = json!({ "capacity": args.capacity });
    if let Some(span) = args.span {
        body["for"] = json!(seconds(span));
    }
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    told(
        client
            .send((Method::PUT, Scope::Operate), (&args.group, "/pin"), Some(&body), None)
            .await?,
    )
}

pub(super) async fn unpin(args: &UnpinArgs, client: &Client) -> Result<Answer, Error> {
    told(client.send((Method::DELETE, Scope::Operate), (&args.group, "/pin"), None, None).await?)
}
