//! `novascale plan [GROUP]`: what the next pass would do. The daemon decides on its
//! last look at the cloud and throws the decision away; nothing is called, nothing stored.

use serde_json::{Value, json};

use super::client::Client;
use super::exit::{Error, Exit};
use super::output::{Answer, BOLD, paint, paragraph, sentences};
use super::view::{Groups, PlanView};
use crate::domain::id::GroupName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One group; all of them if left out
    pub group: Option<GroupName>,

    /// End with 0 if nothing would change, 2 if something would, 1 on any error
    #[arg(long)]
    pub detailed_exitcode: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut texts = Vec::new();
    let mut plans = Vec::new();
    let mut changes = false;
    for group in &groups(args, client).await? {
        let reply = client.get_of(group, "/plan").await?;
        let plan: PlanView = reply.parse()?;
        changes |= plan.changes;
        texts.push(render(group, &plan));
        plans.push(named(group, reply.body));
    }
    texts.push(if changes {
        "This is a preview: nothing was done.".to_owned()
    } else {
        "No changes.".to_owned()
    });
    let mut answer = Answer::new(texts.join("\n\n"), json!({ "changes": changes, "plans": plans }));
    if args.detailed_exitcode && changes {
        answer.exit = Exit::Changes;
    }
    Ok(answer)
}

async fn groups(args: &Args, client: &Client) -> Result<Vec<GroupName>, Error> {
    if let Some(group) = &args.group {
        return Ok(vec![group.clone()]);
    }
    let Groups { groups } = client.get("/v1/groups").await?.parse()?;
    let names = groups.into_iter().map(|group| GroupName::new(group.name));
    names.collect::<Result<_, _>>().map_err(|error| Error::new(Exit::Failed, error.to_string()))
}

fn named(group: &GroupName, mut plan: Value) -> Value {
    if let Some(object) = plan.as_object_mut() {
        object.insert("group".to_owned(), json!(group));
    }
    plan
}

fn render(group: &GroupName, plan: &PlanView) -> String {
    let would = if plan.changes { "would change" } else { "would not change" };
    let head = paint(BOLD, &paragraph(&format!("{group} {would}"), 0));
    format!("{head}\n{}", sentences(&plan.sentences, 2)).trim_end().to_owned()
}
