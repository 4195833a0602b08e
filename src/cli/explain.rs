//! `novascale explain GROUP`: the last decision in sentences; where nothing happens,
//! they say why nothing does.

use super::client::Client;
use super::exit::Error;
use super::output::{Answer, sentences};
use super::view::GroupView;
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let reply = client.get_of(&args.group, "").await?;
    let view: GroupView = reply.parse()?;
    let mut said = vec![match (view.decided_at, view.next_look_at) {
        (Some(at), Some(next)) => format!(
            "{} was looked at {}; next look {} at the latest.",
            view.name,
            at.seen_from(reply.at),
            next.seen_from(reply.at)
        ),
        (Some(at), None) => format!("{} was looked at {}.", view.name, at.seen_from(reply.at)),
        (None, _) => format!("{} was not looked at yet.", view.name),
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
