//! `novascale explain GROUP`: the last decision in sentences, or the one that was in force at a
//! time; where nothing happens, they say why nothing does.

use serde::Deserialize;

use super::client::Client;
use super::exit::{Error, Exit};
use super::output::{Answer, sentences};
use super::view::GroupView;
use super::when::{When, to_the_second};
use crate::domain::id::GroupName;
use crate::domain::time::{Now, Wall};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// The decision in force then: RFC 3339, a time of day (UTC), or a span ago
    #[arg(long, value_name = "TIME")]
    pub at: Option<When>,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    if let Some(when) = args.at {
        return earlier(&args.group, when.instant(crate::app::now()), client).await;
    }
    let reply = client.get_of(&args.group, "").await?;
    let view: GroupView = reply.parse()?;
    let mut said = vec![match view.decided_at {
        Some(at) => format!("{} was looked at {}.", view.name, at.seen_from(reply.at)),
        None => format!("{} was not looked at yet.", view.name),
    }];
    if let Some(told) = view.told_since {
        let told = told.seen_from(reply.at);
        said.push(format!("What was told {told} is not in it yet: it counts at the next look."));
    }
    if view.sentences.is_empty() && !view.headline.is_empty() {
        said.push(view.headline);
    }
    said.extend(view.sentences);
    Ok(Answer::new(sentences(&said, 0), reply.body))
}

/// A decision that was made earlier.
#[derive(Debug, Deserialize)]
struct Earlier {
    at: Now,
    sentences: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    decisions: Vec<Earlier>,
}

async fn earlier(group: &GroupName, at: Wall, client: &Client) -> Result<Answer, Error> {
    let reply = client.get_of(group, &format!("/decisions?at={at}")).await?;
    let page: Page = reply.parse()?;
    let Some(decision) = page.decisions.into_iter().next() else {
        let message =
            format!("no decision for {group} is kept from {} or before", to_the_second(at));
        let kept = "decisions are kept for 7 days, the last 2,000 of each group; those that are: \
                    `novascale history GROUP`";
        return Err(Error::new(Exit::Failed, message).hint(kept));
    };
    let (then, made) = (to_the_second(at), to_the_second(decision.at.wall));
    let mut said = vec![format!("At {then} this was in force for {group}, decided at {made}.")];
    said.extend(decision.sentences);
    Ok(Answer::new(sentences(&said, 0), reply.body))
}
