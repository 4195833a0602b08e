//! `novascale freeze [GROUP]` and `unfreeze [GROUP]`: nothing is changed until it is taken back.

use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::daemon::Scope;
use super::exit::Error;
use super::output::Answer;
use super::scale::told;
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]; every group if left out
    pub group: Option<GroupName>,

    /// Why; shown wherever the freeze is
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct UnfreezeArgs {
    /// The group's name, as in [group.NAME]; the freeze of every group if left out
    pub group: Option<GroupName>,
}

/// What helps where no daemon answers.
pub(super) const BY_HAND: &str = "a file named `freeze` in the state directory freezes without \
    the daemon's help: empty, every group; else those whose names are its lines";

pub(super) async fn freeze(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut body = json!({});
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    let how = (Method::PUT, Scope::Operate);
    told(match &args.group {
        Some(group) => client.send(how, (group, "/freeze"), Some(&body), None).await?,
        None => client.send_to_all(how, "/v1/freeze", Some(&body)).await?,
    })
}

pub(super) async fn unfreeze(args: &UnfreezeArgs, client: &Client) -> Result<Answer, Error> {
    let how = (Method::DELETE, Scope::Operate);
    told(match &args.group {
        Some(group) => client.send(how, (group, "/freeze"), None, None).await?,
        None => client.send_to_all(how, "/v1/freeze", None).await?,
    })
}
