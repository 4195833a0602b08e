//! What is known of a group that has a new name: which of its servers would be taken over, which
//! would stay, and what was still being launched for it.
//!
//! No request reaches the cloud: this is what was remembered when the group was last looked
//! after. The loop lists what is there by the former tag.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{App, Chosen, Left, Shown, member_elsewhere};
use crate::control::handle::GroupHandle;
use crate::domain::adoption::{Adoptees, Former};
use crate::domain::explain::{self, servers};
use crate::domain::fleet::Member;
use crate::domain::id::{LaunchId, ServerId, mark};
use crate::domain::server::{Known, Ownership};
use crate::domain::time::spoken;
use crate::http::error::{Kind, Problem};
use crate::store::{Gathered, Window};

pub(super) async fn chosen(
    app: &App,
    group: &GroupHandle,
    former: &Former,
) -> Result<Chosen, Problem> {
    configured(app, group, former)?;
    let nothing = Duration::ZERO;
    let window = Window { now: app.now(), signals: nothing, past: nothing };
    let kept = app.store().gather(&former.group, window).await.ok();
    let unread = kept.is_none();
    let launches = kept.as_ref().map(coming).unwrap_or_default();
    let coming = kept.as_ref().map_or(0, |kept| not_come(&launches, &kept.known));
    let what = Some(Adoptees::Renamed { former: former.clone(), coming: launches });
    let mut chosen = Chosen { what, unread, coming, ..Chosen::default() };
    let latest = group.latest();
    let members = latest.as_ref().map(|d| d.changes.members.as_slice()).unwrap_or_default();
    let known = kept.map(|kept| kept.known).unwrap_or_default();
    let living: Vec<Known> = known.into_iter().filter(|k| k.state.lives()).collect();
    for record in &living {
        let member = members.iter().find(|m| m.id == record.id);
        if member.is_some_and(|m| m.ownership == Ownership::Ours) {
            continue;
        }
        let server = Shown::known(record, member);
        match stays(app, group, record) {
            Some(why) => chosen.left.push(Left { server, why }),
            None => {
                chosen.newcomers += u32::from(member.is_none());
                chosen.shown.push(server);
            }
        }
    }
    // Where the tag stayed the same they are members already, whatever is remembered.
    let told: BTreeSet<&ServerId> = living.iter().map(|k| &k.id).collect();
    let others = members.iter().filter(|m| !told.contains(&m.id) && marked_for(m, former));
    chosen.shown.extend(others.map(Shown::of));
    Ok(chosen)
}

/// Refused where the former group, or its tag, is in use.
fn configured(app: &App, group: &GroupHandle, former: &Former) -> Result<(), Problem> {
    let name = &group.group.name;
    let refused = |pointer: &str, said: String| Problem::new(Kind::Invalid, said).at(pointer);
    if let Some(same) = app.handle().group(former.group.as_str()) {
        let said =
            format!("the group {} is configured here: its servers are its own", same.group.name);
        let out = explain::let_go(Some(&same.group.tag), "ID");
        return Err(refused("/from", said).hint(format!(
            "only what was launched for a group that is called otherwise now is taken over as a \
             whole; to move one server, {out}, then `novascale adopt {name} ID`"
        )));
    }
    let holder = |other: &&GroupHandle| {
        other.group.name != *name && other.group.tag.same(former.tag.as_str())
    };
    if let Some(other) = app.handle().groups().find(holder) {
        let said = format!("{} is the tag of the group {}", former.tag, other.group.name);
        return Err(refused("/from_tag", said));
    }
    Ok(())
}

/// Each launch that was under way, and how many servers it asked for.
fn coming(kept: &Gathered) -> BTreeMap<LaunchId, u32> {
    let live = kept.intents.iter().filter(|intent| intent.state.live());
    live.filter_map(|intent| intent.launch()).map(|l| (l.launch.clone(), l.n)).collect()
}

fn not_come(launches: &BTreeMap<LaunchId, u32>, known: &[Known]) -> u32 {
    let missing = launches.iter().map(|(launch, n)| {
        let came = known.iter().filter(|k| k.launch.as_ref() == Some(launch)).count();
        n.saturating_sub(u32::try_from(came).unwrap_or(u32::MAX))
    });
    missing.fold(0, u32::saturating_add)
}

/// Why a server of the former group is not taken over, if so.
fn stays(app: &App, group: &GroupHandle, record: &Known) -> Option<String> {
    if let Some(other) = member_elsewhere(app, &group.group.name, &record.id) {
        return Some(format!("is a member of the group {}", other.group.name));
    }
    if record.region != group.group.region {
        return Some(format!("is in region {}", record.region));
    }
    match record.ownership {
        Ownership::Ours => None,
        Ownership::Foreign => Some("was tagged by hand; it can be adopted by its id".to_owned()),
        Ownership::OtherInstall => Some("carries the mark of another installation".to_owned()),
    }
}

fn marked_for(member: &Member, former: &Former) -> bool {
    let mark = member.server.as_ref().and_then(|s| s.metadata.get(mark::GROUP));
    member.ownership == Ownership::Foreign && mark.is_some_and(|g| g == former.group.as_str())
}

impl Shown {
    fn known(record: &Known, member: Option<&Member>) -> Self {
        let ownership = Some(record.ownership);
        Self { ownership, ..member.map_or_else(|| Self::unknown(&record.id), Self::of) }
    }
}

/// What is looked for, what is known of it, and how long it may take.
pub(super) fn sentences(group: &GroupHandle, chosen: &Chosen, former: &Former) -> Vec<String> {
    let (name, Former { group: old, tag }) = (&group.group.name, former);
    let mut said = vec![format!(
        "What this installation launched for {old} is looked for by its tag {tag} and taken over: \
         each server gets the mark and the tag of {name} and loses that of {old}."
    )];
    said.push(match chosen.shown.as_slice() {
        _ if chosen.unread => format!("What was remembered of {old} cannot be read."),
        [] if chosen.left.is_empty() => {
            format!("No server of {old} is remembered here: is that what the group was called?")
        }
        [] => format!("No server that was remembered of {old} is taken over."),
        shown => {
            let n = u32::try_from(shown.len()).unwrap_or(u32::MAX);
            let listed: Vec<String> = shown.iter().map(Shown::who).collect();
            format!("By what was last seen of {old}, {}: {}.", servers(n), listed.join("; "))
        }
    });
    if !chosen.left.is_empty() {
        let each = chosen.left.iter().map(|left| format!("{} {}", left.server.who(), left.why));
        said.push(format!("Left as they are: {}.", each.collect::<Vec<_>>().join("; ")));
    }
    if chosen.coming > 0 {
        said.push(format!(
            "{} that were being launched for {old} may still come: they are looked for until they \
             do, or for {}.",
            servers(chosen.coming),
            spoken(group.group.patience.settle)
        ));
    }
    said
}
