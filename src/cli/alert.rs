//! `novascale alert GROUP NAME`: an alert by hand, as a sender would tell it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::Error;
use super::output::Answer;
use super::reserve::{seconds, span};
use super::scale::told;
use crate::domain::id::{AlertName, GroupName, SourceName};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// The alert's name, as in the group's policy
    pub name: AlertName,

    /// It has ended; without this it fires
    #[arg(long, conflicts_with = "span")]
    pub resolved: bool,

    /// It ends by itself after this, unless it is told again: 10m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub span: Option<Duration>,

    /// Tells alerts of one name apart
    #[arg(long, value_name = "TEXT")]
    pub fingerprint: Option<String>,

    /// The source that tells of it, as in [source.NAME]; without this it is another alert
    #[arg(long, value_name = "NAME")]
    pub source: Option<SourceName>,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let status = if args.resolved { "resolved" } else { "firing" };
    let mut body = json!({ "name": args.name, "status": status });
    if let Some(span) = args.span {
        body["for"] = json!(seconds(span));
    }
    if let Some(fingerprint) = &args.fingerprint {
        body["fingerprint"] = json!(fingerprint);
    }
    if let Some(source) = &args.source {
        body["source"] = json!(source);
    }
    let how = (Method::POST, Scope::Signal);
    told(client.send(how, (&args.group, "/alerts"), Some(&body), None).await?)
}
