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
    /// (64 still is a wrong command line)
    #[arg(long)]
    pub detailed_exitcode: bool,
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    let mut texts = Vec::new();
    let mut plans = Vec::new();
    let mut changes = false;
    let mut held = Vec::new();
    for group in &groups(args, client).await? {
        let reply = client.get_of(group, "/plan").await?;
        let plan: PlanView = reply.parse()?;
        changes |= plan.changes;
        held.extend(plan.held.is_some().then(|| group.to_string()));
        texts.push(render(group, &plan));
        plans.push(named(group, reply.body));
    }
    texts.push(match (held.is_empty(), changes) {
        (false, _) => paragraph(
            &format!(
                "Held: the cloud could not be looked at. What would change of {} is not known.",
                held.join(", ")
            ),
            0,
        ),
        (true, true) => "This is a preview: nothing was done.".to_owned(),
        (true, false) => "No changes.".to_owned(),
    });
    let json = json!({ "changes": changes, "held": held, "plans": plans });
    let mut answer = Answer::new(texts.join("\n\n"), json);
    answer.exit = match (args.detailed_exitcode, held.is_empty(), changes) {
        (true, false, _) => Exit::Failed,
        (true, true, true) => Exit::Changes,
        (true, true, false) | (false, ..) => Exit::Done,
    };
    Ok(answer)
}

async fn groups(args: &Args, client: &Client) -> Result<Vec<GroupName>, Error> {
    if let Some(group) = &args.group {
        return Ok(vec![group.clone()]);
    }
    let Groups { groups, .. } = client.get("/v1/groups").await?.parse()?;
    let names = groups.into_iter().filter(|group| group.configured);
    let names = names.map(|group| GroupName::new(group.name));
    names.collect::<Result<_, _>>().map_err(|error| Error::new(Exit::Failed, error.to_string()))
}

fn named(group: &GroupName, mut plan: Value) -> Value {
    if let Some(object) = plan.as_object_mut() {
        object.insert("group".to_owned(), json!(group));
    }
    plan
}

fn render(group: &GroupName, plan: &PlanView) -> String {
    let would = match (&plan.held, plan.changes) {
        (Some(_), _) => "is held",
        (None, true) => "would change",
        (None, false) => "would not change",
    };
    let head = paint(BOLD, &paragraph(&format!("{group} {would}"), 0));
    format!("{head}\n{}", sentences(&plan.sentences, 2)).trim_end().to_owned()
}
