//! What became of servers without our doing: deleted, untagged, stopped or broken by
//! somebody else, or put into the group by hand.
//!
//! It only tells, for the log: each decision is held against the one before it. What we asked
//! for ourselves is no news. After a start there is nothing to compare with, so the first
//! decision tells only what it proves to be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::explain::servers;
use crate::domain::fleet::{Member, Standing};
use crate::domain::id::{ServerId, mark};
use crate::domain::plan::{Action, Decision};
use crate::domain::server::{KnownState, Ownership};

/// What the last decision showed of one group.
#[derive(Debug, Default)]
pub struct News {
    /// What members counted as, under the name that people know.
    last: Option<BTreeMap<ServerId, Last>>,
    /// Servers whose end we asked for, or whose end was told already.
    expected: BTreeSet<ServerId>,
}

#[derive(Debug)]
struct Last {
    name: String,
    standing: Standing,
    ownership: Ownership,
}

/// Something that happened to servers of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Nova is deleting it.
    Leaving,
    /// It is gone.
    Gone,
    /// It no longer carries the group's tag.
    Detached,
    /// It is in ERROR, with Nova's reason if there is one.
    Broken(Option<String>),
    /// It did not leave BUILD in time.
    Stuck,
    /// Stopped, paused, shelved or rescued: Nova's word for it.
    Idle(String),
    /// After that, it serves again.
    Back,
    /// It carries the tag, but was not launched here.
    Foreign,
    /// It is ours from now on.
    Adopted,
    /// It carries the tag and another installation's mark: whose, as far as is known.
    OtherInstall(Option<String>),
}

/// An event, and whom it struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub event: Event,
    /// Names with ids; never empty.
    pub whom: Vec<String>,
}

impl News {
    /// What happened since the last decision: one item for each kind of event.
    pub fn of(&mut self, decision: &Decision) -> Vec<Item> {
        let mut items: BTreeMap<Event, Vec<String>> = BTreeMap::new();
        for (event, id) in self.gone(decision).into_iter().chain(self.changed(decision)) {
            items.entry(event).or_default().push(self.named(decision, &id));
        }
        self.remember(decision);
        items.into_iter().map(|(event, whom)| Item { event, whom }).collect()
    }

    /// Servers that a GET by id proved to be gone or untagged, and that we did not ask to go.
    fn gone(&self, decision: &Decision) -> Vec<(Event, ServerId)> {
        let changes = &decision.changes;
        let asked: BTreeSet<&ServerId> =
            changes.intents.iter().filter_map(|i| Some(&i.terminate()?.server)).collect();
        let unexpected = |id: &ServerId| !asked.contains(id) && !self.expected.contains(id);
        let event = |state| match state {
            KnownState::Gone => Some(Event::Gone),
            KnownState::Detached => Some(Event::Detached),
            KnownState::Listed | KnownState::Missing => None,
        };
        let ended = changes.known.iter().filter(|k| unexpected(&k.id));
        ended.filter_map(|k| Some((event(k.state)?, k.id.clone()))).collect()
    }

    /// Members that count as something else than before, or that are new and not ours.
    fn changed(&self, decision: &Decision) -> Vec<(Event, ServerId)> {
        let Some(last) = &self.last else { return Vec::new() };
        let event = |member: &Member| {
            let before = last.get(&member.id);
            let stood = before.map(|last| last.standing);
            let ours = |whose: Ownership| whose == Ownership::Ours;
            if before.is_some_and(|last| ours(member.ownership) && !ours(last.ownership)) {
                return Some(Event::Adopted);
            }
            (stood != Some(member.standing)).then(|| self.event(member, stood)).flatten()
        };
        let members = decision.changes.members.iter();
        members.filter_map(|m| Some((event(m)?, m.id.clone()))).collect()
    }

    fn event(&self, member: &Member, before: Option<Standing>) -> Option<Event> {
        let server = member.server.as_deref()?;
        match member.standing {
            Standing::Leaving if before.is_some() && !self.expected.contains(&member.id) => {
                Some(Event::Leaving)
            }
            Standing::Failed if server.status.word() == "ERROR" => {
                Some(Event::Broken(server.fault.as_ref().map(|fault| fault.message.clone())))
            }
            Standing::Failed => Some(Event::Stuck),
            Standing::Idle => Some(Event::Idle(server.status.word().to_owned())),
            Standing::Serving if before == Some(Standing::Idle) => Some(Event::Back),
            _ if before.is_none() && member.ownership == Ownership::Foreign => Some(Event::Foreign),
            _ if before.is_none() && member.ownership == Ownership::OtherInstall => {
                Some(Event::OtherInstall(server.metadata.get(mark::INSTALL).cloned()))
            }
            Standing::Leaving | Standing::Serving | Standing::Building | Standing::Unsure => None,
        }
    }

    fn named(&self, decision: &Decision, id: &ServerId) -> String {
        let now = decision.named(id);
        match self.last.as_ref().and_then(|last| last.get(id)) {
            Some(before) if now == id.as_str() => before.name.clone(),
            _ => now,
        }
    }

    fn remember(&mut self, decision: &Decision) {
        let members = &decision.changes.members;
        self.expected.retain(|id| members.iter().any(|m| m.id == *id));
        self.expected.extend(decision.plan.iter().filter_map(|action| match action {
            Action::Terminate { server, .. } => Some(server.clone()),
            Action::Launch { .. } | Action::Adopt { .. } => None,
        }));
        let leaving = members.iter().filter(|m| m.standing == Standing::Leaving);
        self.expected.extend(leaving.map(|m| m.id.clone()));
        let known = members.iter().map(|m| {
            let name = self.named(decision, &m.id);
            (m.id.clone(), Last { name, standing: m.standing, ownership: m.ownership })
        });
        self.last = Some(known.collect());
    }
}

impl Item {
    /// Whether somebody should look: capacity was lost, or another one works on the group.
    pub fn bad(&self) -> bool {
        match self.event {
            Event::Leaving
            | Event::Gone
            | Event::Detached
            | Event::Broken(_)
            | Event::Stuck
            | Event::OtherInstall(_) => true,
            Event::Idle(_) | Event::Back | Event::Foreign | Event::Adopted => false,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = self.whom.len() == 1;
        match self.whom.as_slice() {
            [only] => f.write_str(only)?,
            several => {
                let n = u32::try_from(several.len()).unwrap_or(u32::MAX);
                let first = several.first().map_or("", String::as_str);
                write!(f, "{}, {first} among them,", servers(n))?;
            }
        }
        let is = if one { "is" } else { "are" };
        match &self.event {
            Event::Leaving => write!(f, " {is} being deleted, but not by novascale"),
            Event::Gone if one => write!(f, " was deleted, but not by novascale"),
            Event::Gone => write!(f, " were deleted, but not by novascale"),
            Event::Detached => write!(f, " lost the group's tag and {is} left alone from now on"),
            Event::Broken(Some(why)) => write!(f, " {is} in ERROR: {why}"),
            Event::Broken(None) => write!(f, " {is} in ERROR"),
            Event::Stuck => write!(f, " {is} in BUILD for longer than `patience.build`"),
            Event::Idle(status) => write!(f, " {is} {status}: no capacity any more, left alone"),
            Event::Back => write!(f, " {is} back and counted as capacity again"),
            Event::Foreign => {
                write!(f, " {is} tagged but not launched by novascale: counted, never deleted")
            }
            Event::Adopted if one => write!(f, " was adopted and may be deleted from now on"),
            Event::Adopted => write!(f, " were adopted and may be deleted from now on"),
            Event::OtherInstall(install) => {
                let (carry, which) = (if one { "carries" } else { "carry" }, install.as_deref());
                let which = which.map_or_else(String::new, |which| format!(" {which}"));
                write!(f, " {carry} the mark of another novascale installation{which}")
            }
        }
    }
}
