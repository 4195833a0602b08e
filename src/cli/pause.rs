//! `novascale pause [GROUP]` and `resume [GROUP]`: one thing that the daemon does rests, and all
//! else goes on.

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
use crate::domain::pause::Process;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]; every group if left out
    pub group: Option<GroupName>,

    /// What rests: launch, terminate, heal, schedule, alarm [default: all]
    #[arg(long = "process", value_name = "NAMES", value_delimiter = ',', num_args = 1)]
    pub processes: Vec<Process>,

    /// For how long: 2h, 90min, 1d [default: until `resume`]
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub span: Option<Duration>,

    /// Why; shown wherever the pause is
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// The group's name, as in [group.NAME]; every group if left out
    pub group: Option<GroupName>,

    /// What goes on: launch, terminate, heal, schedule, alarm [default: all]
    #[arg(long = "process", value_name = "NAMES", value_delimiter = ',', num_args = 1)]
    pub processes: Vec<Process>,
}

fn words(processes: &[Process]) -> Vec<&'static str> {
    processes.iter().map(|process| process.word()).collect()
}

pub(super) async fn pause(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut body = json!({});
    if !args.processes.is_empty() {
        body["processes"] = json!(words(&args.processes));
    }
    if let Some(span) = args.span {
        body["for"] = json!(seconds(span));
    }
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    let how = (Method::PUT, Scope::Operate);
    told(match &args.group {
        Some(group) => client.send(how, (group, "/pause"), Some(&body), None).await?,
        None => client.send_to_all(how, "/v1/pause", Some(&body)).await?,
    })
}

pub(super) async fn resume(args: &ResumeArgs, client: &Client) -> Result<Answer, Error> {
    let query = match args.processes.as_slice() {
        [] => String::new(),
        some => format!("?processes={}", words(some).join(",")),
    };
    let how = (Method::DELETE, Scope::Operate);
    told(match &args.group {
        Some(group) => client.send(how, (group, &format!("/pause{query}")), None, None).await?,
        None => client.send_to_all(how, &format!("/v1/pause{query}"), None).await?,
    })
}
