//! `POST /v1/groups/{group}/adopt`: an operator's order to take servers over.
//!
//! | field | meaning |
//! |---|---|
//! | `servers` | these ids, with the group's tag or without; absent, all members that are not ours |
//! | `from` | the former name of a group that was renamed: what was launched under it |
//! | `from_tag` | the tag of those, if it was not `novascale:FROM` |
//! | `dry_run` | true: only say what would be adopted and what would follow |
//! | `reason` | why |
//!
//! The order is stored and the loop nudged; the loop finds the servers and marks them. What
//! is said of them here is what the last decision knows, and of a former group what is
//! remembered of it.

use std::collections::BTreeSet;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::json::{Fields, Json as Value, Node, parse};
use super::{PREVIEW_WITHIN, admit, idempotency_key};
use crate::control::handle::GroupHandle;
use crate::domain::adoption::{ADOPTED_MOST, Adoptees, Former};
use crate::domain::explain::{self, servers};
use crate::domain::fleet::Member;
use crate::domain::id::{GroupName, ServerId, Tag, mark};
use crate::domain::plan::Decision;
use crate::domain::server::Ownership;
use crate::domain::signal::{Command, Ordered};
use crate::http::auth::Caller;
use crate::http::body::Taken;
use crate::http::error::{Kind, Problem};
use crate::http::{App, Named};
use crate::store::{Admitted, What};

use super::capacity::reason;

mod former;

/// What the body asks for.
struct Asked {
    which: Which,
    dry_run: bool,
    reason: Option<String>,
}

enum Which {
    Members,
    Servers(Vec<(Node, String)>),
    Renamed(Former),
}

/// What it comes to by what is known.
#[derive(Default)]
struct Chosen {
    what: Option<Adoptees>,
    shown: Vec<Shown>,
    /// Of those, how many are no members yet.
    newcomers: u32,
    /// What is known of the former group and stays as it is.
    left: Vec<Left>,
    /// Servers that were being launched for it and were not seen yet.
    coming: u32,
    /// Nobody can tell whose the former group's servers are before they are listed.
    unread: bool,
}

/// One server that is to be adopted. What only a listing tells is null where its id is all that
/// is known.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: Option<String>,
    ownership: Option<Ownership>,
    /// Whose mark it carries, if that is another installation's.
    install: Option<String>,
}

/// One server of a former group that is not adopted.
#[derive(Debug, Serialize)]
struct Left {
    #[serde(flatten)]
    server: Shown,
    why: String,
}

#[derive(Debug, Serialize)]
struct Answer {
    group: String,
    servers: Vec<Shown>,
    /// Servers of the former group that are not adopted.
    left: Vec<Left>,
    sentence: String,
    sentences: Vec<String>,
    dry_run: bool,
    /// The same key and body came before: nothing was changed.
    repeated: bool,
}

pub(in crate::http) async fn post(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let asked = Asked::read(&body)?;
    let chosen = chosen(&app, &group, &asked.which).await?;
    let sentences = sentences(&group, &chosen, asked.dry_run).await;
    let mut repeated = false;
    if let Some(what) = chosen.what.filter(|_| !asked.dry_run) {
        let (command, at) = (Command::Adopt(what), app.now());
        let told = explain::order(&command, asked.reason.as_deref(), at);
        let order = Ordered { command, at, by: caller.name(), reason: asked.reason };
        let what = What::Command(order, group.group.bounds);
        repeated = matches!(admit(&app, &group, what, key, at).await?, Admitted::Repeated { .. });
        if !repeated {
            tracing::info!(group = %group.group.name, by = caller.name(), "told: {told}");
        }
    }
    let answer = Answer {
        group: group.group.name.to_string(),
        servers: chosen.shown,
        left: chosen.left,
        sentence: sentences.join(" "),
        sentences,
        dry_run: asked.dry_run,
        repeated,
    };
    let status = if asked.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(answer)).into_response())
}

impl Asked {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let names = &["servers", "from", "from_tag", "dry_run", "reason"];
        let mut fields = Fields::of(parse(body)?, names)?;
        let reason = reason(&mut fields)?;
        let dry_run = fields.take("dry_run").map(|node| node.truth()).transpose()?;
        let (ids, from) = (fields.take("servers"), fields.take("from"));
        let from_tag = fields.take("from_tag");
        let which = match (ids, from, from_tag) {
            (Some(node), Some(_), _) => {
                Err(node.fault("`servers` names ids, `from` a former group: one of the two"))
            }
            (_, None, Some(node)) => Err(node.fault("`from_tag` goes with `from`")),
            (Some(node), None, None) => listed(node).map(Which::Servers),
            (None, Some(node), tag) => former(&node, tag).map(Which::Renamed),
            (None, None, None) => Ok(Which::Members),
        };
        Ok(Self { which: which?, dry_run: dry_run.unwrap_or(false), reason })
    }
}

fn listed(node: Node) -> Result<Vec<(Node, String)>, Problem> {
    let most = format!("it must be a list of 1 to {ADOPTED_MOST} server ids");
    let fault = node.fault(most);
    let Value::List(nodes) = node.value else { return Err(fault) };
    if !(1..=ADOPTED_MOST).contains(&nodes.len()) {
        return Err(fault);
    }
    let text = |node: Node| Ok((node.clone(), node.text()?.to_owned()));
    nodes.into_iter().map(text).collect()
}

fn former(node: &Node, tag: Option<Node>) -> Result<Former, Problem> {
    let group: GroupName = node.valid()?;
    let tag = tag.map(|node| node.valid::<Tag>()).transpose()?;
    let tag = tag.map_or_else(|| Tag::of_group(&group), Ok);
    let tag = tag.map_err(|e| node.fault(format_args!("no tag follows from it: {}", e.rule)))?;
    Ok(Former { group, tag })
}

async fn chosen(app: &App, group: &GroupHandle, which: &Which) -> Result<Chosen, Problem> {
    let latest = group.latest();
    match which {
        Which::Members => members(group, latest.as_deref()),
        Which::Servers(ids) => named(app, group, latest.as_deref(), ids),
        Which::Renamed(old) => former::chosen(app, group, old).await,
    }
}

/// All members that are not ours, as the last sound look showed them.
fn members(group: &GroupHandle, latest: Option<&Decision>) -> Result<Chosen, Problem> {
    let name = &group.group.name;
    let Some(decision) = latest.filter(|decision| decision.blind().is_none()) else {
        let said = format!("which members {name} has is not known now: nothing was ordered");
        return Err(Problem::new(Kind::NotReady, said)
            .hint(format!("`novascale explain {name}` tells why; servers may be named by id")));
    };
    let strangers = decision.changes.members.iter().filter(|m| m.ownership != Ownership::Ours);
    let strangers: Vec<&Member> = strangers.collect();
    let servers: BTreeSet<ServerId> = strangers.iter().map(|m| m.id.clone()).collect();
    let shown = strangers.into_iter().map(Shown::of).collect();
    let what = Adoptees::Servers { servers: servers.clone(), untagged: false };
    Ok(Chosen { what: (!servers.is_empty()).then_some(what), shown, ..Chosen::default() })
}

fn named(
    app: &App,
    group: &GroupHandle,
    latest: Option<&Decision>,
    ids: &[(Node, String)],
) -> Result<Chosen, Problem> {
    let members = latest.map(|d| d.changes.members.as_slice()).unwrap_or_default();
    let (mut servers, mut shown, mut newcomers) = (BTreeSet::new(), Vec::new(), 0);
    for (node, text) in ids {
        let id = id_of(node, text, members)?;
        if let Some(other) = member_elsewhere(app, &group.group.name, &id) {
            let name = &other.group.name;
            let fault = node.fault(format_args!("it is a member of the group {name}"));
            return Err(fault.hint(format!(
                "{} takes it out of {name}, which launches another in its place unless less is \
                 asked of it; once `novascale servers {name}` does not show it any more, this \
                 adopts it",
                explain::let_go(Some(&other.group.tag), id.as_str())
            )));
        }
        let member = members.iter().find(|m| m.id == id);
        if member.is_some_and(|m| m.ownership == Ownership::Ours) || servers.contains(&id) {
            continue;
        }
        newcomers += u32::from(member.is_none());
        shown.push(member.map_or_else(|| Shown::unknown(&id), Shown::of));
        servers.insert(id);
    }
    let what = Adoptees::Servers { servers: servers.clone(), untagged: true };
    let what = (!servers.is_empty()).then_some(what);
    Ok(Chosen { what, shown, newcomers, ..Chosen::default() })
}

/// Nova's ids are UUIDs. A name is refused: several servers may have it.
fn id_of(node: &Node, text: &str, members: &[Member]) -> Result<ServerId, Problem> {
    if uuid(text)
        && let Ok(id) = ServerId::new(text.to_ascii_lowercase())
    {
        return Ok(id);
    }
    let of_name = |m: &&Member| m.server.as_ref().is_some_and(|s| s.name == text);
    let ids: Vec<&str> = members.iter().filter(of_name).map(|m| m.id.as_str()).collect();
    let hint = match ids.as_slice() {
        [] => "`openstack server list` shows the ids of all servers".to_owned(),
        ids => format!("a server of that name has the id {}", ids.join(", ")),
    };
    Err(node.fault("servers are adopted by id, not by name: an id is a UUID").hint(hint))
}

fn uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Tags are unique over groups, and so are members.
fn member_elsewhere(app: &App, here: &GroupName, id: &ServerId) -> Option<GroupHandle> {
    let all = app.handle();
    let mut others = all.groups().filter(|other| other.group.name != *here);
    let holds = |other: &&GroupHandle| {
        other.latest().is_some_and(|d| d.changes.members.iter().any(|m| m.id == *id))
    };
    others.find(holds).cloned()
}

impl Shown {
    fn of(member: &Member) -> Self {
        let server = member.server.as_deref();
        let stranger = member.ownership == Ownership::OtherInstall;
        let mark = server.and_then(|s| s.metadata.get(mark::INSTALL)).filter(|_| stranger);
        Self {
            id: member.id.to_string(),
            name: server.map(|s| s.name.clone()),
            ownership: Some(member.ownership),
            install: mark.cloned(),
        }
    }

    fn unknown(id: &ServerId) -> Self {
        Self { id: id.to_string(), name: None, ownership: None, install: None }
    }

    /// Its name as well, where that is known.
    fn who(&self) -> String {
        let named = self.name.as_ref().filter(|name| !name.is_empty());
        named.map_or_else(|| self.id.clone(), |name| format!("{name} ({})", self.id))
    }

    fn in_words(&self) -> String {
        let who = self.who();
        match (self.ownership, &self.install) {
            (Some(Ownership::OtherInstall), Some(install)) => {
                format!("{who} carries the mark of the installation {install}")
            }
            (Some(Ownership::OtherInstall), None) => {
                format!("{who} carries the mark of another installation")
            }
            (Some(Ownership::Foreign), _) => format!("{who} was tagged by hand"),
            (Some(Ownership::Ours), _) => who,
            (None, _) => format!("{who} is no member yet, and gets the group's tag"),
        }
    }
}

/// What is adopted, what that means, and what would follow.
async fn sentences(group: &GroupHandle, chosen: &Chosen, dry_run: bool) -> Vec<String> {
    let name = &group.group.name;
    let Some(what) = &chosen.what else {
        return vec![format!(
            "Every server that was named is a member of {name} and our own: \
                             nothing is to be adopted."
        )];
    };
    let mut said = Vec::new();
    let means = "it gets novascale's mark in its metadata, and may then be deleted like any other, \
                 unless it is locked or protected";
    match what {
        Adoptees::Renamed { former, .. } => {
            said.extend(former::sentences(group, chosen, former));
        }
        Adoptees::Servers { servers: ids, .. } => {
            let n = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            let listed: Vec<String> = chosen.shown.iter().map(Shown::in_words).collect();
            said.push(format!("{} to be adopted: {}.", servers(n), listed.join("; ")));
            said.push(format!("Of each that is adopted: {means}."));
        }
    }
    if chosen.shown.iter().any(|s| s.ownership == Some(Ownership::OtherInstall)) {
        said.push(
            "Be sure that the other installation runs no more: its servers are taken from it."
                .to_owned(),
        );
    }
    said.extend(follows(group, chosen).await);
    said.push(match dry_run {
        true => "Nothing was ordered.".to_owned(),
        false => format!("It is ordered; `novascale explain {name}` tells how far it is."),
    });
    said
}

/// What becomes of the group's size, as far as that can be said.
async fn follows(group: &GroupHandle, chosen: &Chosen) -> Option<String> {
    if matches!(chosen.what, Some(Adoptees::Renamed { .. })) {
        return Some(
            "What is found is held until every signal has data or an operator sets or \
                     pins; what is above max goes, within the speed limit for scaling in."
                .to_owned(),
        );
    }
    let decision = timeout(PREVIEW_WITHIN, group.preview()).await.ok()?.ok()?;
    let adopted = u32::try_from(chosen.shown.len()).unwrap_or(u32::MAX);
    let velocity = group.group.behaviour.scale_in.velocity;
    Some(format!("Then {}.", decision.once_adopted(adopted, chosen.newcomers, velocity)))
}
