//! What keeps a group from being changed, whatever is decided for it.
//!
//! A frozen group is observed, decided for and explained as ever; no call that changes
//! anything is begun for it. A person freezes by a command, which is stored ([`Freeze`]), or
//! by a file, which needs neither database nor daemon; the file and the project that the
//! token is for are asked of the [`Brake`] at each pass, and again before each call: as it
//! begins, and right before it is sent.

use serde::{Deserialize, Serialize};

use super::id::GroupName;
use super::plan::Waiting;
use super::time::{Now, Wall};

/// An operator's word that nothing is to be changed until it is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub since: Now,
    /// Who said it: a scope's name; shown, never secret.
    pub by: String,
    #[serde(default)]
    pub reason: Option<String>,
}

/// The freezes in force for one group, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freezes {
    /// Of the group alone.
    pub own: Option<Freeze>,
    /// Of every group.
    pub all: Option<Freeze>,
}

/// Who froze a group, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Frozen {
    /// A command for this group.
    Command { who: String, reason: Option<String> },
    /// A command for every group.
    All { who: String, reason: Option<String> },
    /// The file in the state directory, which names the group, or every one; with what is
    /// wrong with the file, if that is why it holds every group.
    File { path: String, every: bool, fault: Option<String> },
}

/// What was found on the brake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Braked {
    /// The freeze file holds the group.
    File { path: String, since: Wall, every: bool, fault: Option<String> },
    /// The token is for another project than the state.
    OtherProject { ours: String, theirs: String },
}

/// What stops everything without the store's help. It must not wait for long: each call asks.
pub trait Brake: Send + Sync {
    /// What holds this group now, if anything does.
    fn on(&self, group: &GroupName) -> Option<Braked>;
}

/// No file and no fence, where there is neither.
#[derive(Debug, Clone, Copy)]
pub struct NoBrake;

impl Brake for NoBrake {
    fn on(&self, _: &GroupName) -> Option<Braked> {
        None
    }
}

/// All that may hold a group, as found at one time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holds<'a> {
    pub own: Option<&'a Freeze>,
    pub all: Option<&'a Freeze>,
    pub brake: Option<&'a Braked>,
}

impl Holds<'_> {
    /// What each of them is waited for, the one furthest from the group first.
    pub fn waiting(&self, group: &GroupName, now: Now) -> Vec<Waiting> {
        let frozen = |for_secs, frozen| Waiting::Frozen { group: group.clone(), for_secs, frozen };
        let told = |freeze: &Freeze| (freeze.by.clone(), freeze.reason.clone());
        let since = |freeze: &Freeze| now.steady.since(freeze.since.steady).as_secs();
        let brake = self.brake.map(|brake| match brake {
            Braked::OtherProject { ours, theirs } => {
                Waiting::OtherProject { ours: ours.clone(), theirs: theirs.clone() }
            }
            Braked::File { path, since, every, fault } => {
                let (path, fault) = (path.clone(), fault.clone());
                let file = Frozen::File { path, every: *every, fault };
                frozen(now.wall.since(*since).as_secs(), file)
            }
        });
        let all = self.all.map(|freeze| {
            let (who, reason) = told(freeze);
            frozen(since(freeze), Frozen::All { who, reason })
        });
        let own = self.own.map(|freeze| {
            let (who, reason) = told(freeze);
            frozen(since(freeze), Frozen::Command { who, reason })
        });
        [brake, all, own].into_iter().flatten().collect()
    }
}
