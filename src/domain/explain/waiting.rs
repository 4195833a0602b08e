//! Why less is done than desired asks for, and until when.

use std::fmt;
use std::time::Duration;

use super::{because, pause, servers};
use crate::domain::freeze::Frozen;
use crate::domain::id::{GroupName, InstallId, Region};
use crate::domain::plan::Waiting;
use crate::domain::time::spoken;

impl Waiting {
    /// Its word, as decisions have it in JSON and metrics as a label.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unseen { .. } => "unseen",
            Self::Stale { .. } => "stale",
            Self::Implausible { .. } => "implausible",
            Self::Building { .. } => "building",
            Self::Coming { .. } => "coming",
            Self::Leaving { .. } => "leaving",
            Self::Backoff { .. } => "backoff",
            Self::Ceiling { .. } => "ceiling",
            Self::Velocity { .. } => "velocity",
            Self::Kept { .. } => "kept",
            Self::DeleteBackoff { .. } => "delete_backoff",
            Self::OtherInstall { .. } => "other_install",
            Self::Rival { .. } => "rival",
            Self::Adopting { .. } => "adopting",
            Self::AdoptBackoff { .. } => "adopt_backoff",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Frozen { .. } => "frozen",
            Self::Meltdown { .. } => "meltdown",
            Self::OtherProject { .. } => "other_project",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Paused { .. } => "paused",
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |secs: &u64| spoken(Duration::from_secs(*secs));
        f.write_str(&match self {
            Self::Unseen { why, for_secs: 0 } => {
                format!("servers could not be listed, nothing is changed: {why}")
            }
            Self::Unseen { why, for_secs } => {
                format!("servers not listed for {}, nothing is changed: {why}", span(for_secs))
            }
            Self::Stale { age_secs } => {
                format!("the last listing is {} old, nothing is changed", span(age_secs))
            }
            Self::Implausible { missing, known } => implausible(*missing, *known),
            Self::OtherInstall { n, install } => other_install(*n, install.as_ref()),
            Self::Rival { n, install } => rival(*n, install.as_ref()),
            Self::Adopting { n, former, coming } => being_adopted(*n, former, *coming),
            Self::AdoptBackoff { server, wait_secs, failure } => {
                let why = failure.in_words();
                format!("adopting {server} failed, next try in {}: {why}", span(wait_secs))
            }
            Self::Elsewhere { n, region } => elsewhere(*n, region),
            Self::Frozen { group, for_secs, frozen } => {
                format!("frozen for {} {}", span(for_secs), frozen_by(group, frozen))
            }
            Self::Meltdown { group, lost, of, for_secs } => format!(
                "stopped for {}: {lost} of {} that served were lost at once, gone, stopped, in \
                 ERROR or without their tag, and not by our doing; nothing is changed until they \
                 serve again or `novascale unfreeze {group}`",
                span(for_secs),
                servers(*of)
            ),
            Self::OtherProject { ours, theirs } => other_project(ours, theirs),
            Self::Unconfirmed { from, to } => unconfirmed(*from, *to),
            Self::Paused { group, process, left_secs, by, reason, held } => {
                let left = pause::left(*left_secs);
                let told = format!("paused{left} by {by}{}", because(reason.as_deref()));
                pause::held(group, *process, *held, &told)
            }
            Self::Building { n } => format!("waiting for {} to be built", servers(*n)),
            Self::Coming { n, unclear } => coming(*n, *unclear),
            Self::Leaving { n } => format!("waiting for {} to be deleted", servers(*n)),
            Self::Backoff { wait_secs, attempts, failure, .. } => {
                let (times, why) = (times(*attempts), failure.in_words());
                format!("launching failed {times}, next try in {}: {why}", span(wait_secs))
            }
            Self::DeleteBackoff { server, wait_secs, failure } => {
                let why = failure.in_words();
                format!("deleting {server} failed, next try in {}: {why}", span(wait_secs))
            }
            Self::Ceiling { max, occupied } => {
                let all = servers(*occupied);
                format!(
                    "no room for more: max is {max}, and {all} in any state exist or are coming"
                )
            }
            Self::Velocity { allowed, per_secs, left_secs } => {
                let per = if *per_secs == 60 { "minute".to_owned() } else { span(per_secs) };
                format!("at most {allowed} may go per {per}, the next in {}", span(left_secs))
            }
            Self::Kept { n } => kept(*n),
        })
    }
}

fn implausible(missing: u32, known: u32) -> String {
    format!(
        "{missing} of {known} known servers are missing from the listing at once; nothing is \
         changed until Nova answers for each by id"
    )
}

fn other_install(n: u32, install: Option<&InstallId>) -> String {
    format!(
        "{}: nothing is changed. If the other one still runs, the group is its own: stop one of \
         the two. If this one took its place, `novascale adopt` makes the servers its own",
        of_another(n, install)
    )
}

fn rival(n: u32, install: Option<&InstallId>) -> String {
    format!(
        "{}, which came later and should refuse: nothing that serves is taken away. Stop the \
         other one; `novascale adopt` then makes its servers our own",
        of_another(n, install)
    )
}

fn of_another(n: u32, install: Option<&InstallId>) -> String {
    let which = install.map_or_else(String::new, |install| format!(" {install}"));
    let carry = if n == 1 { "carries" } else { "carry" };
    format!("{} {carry} the mark of another novascale installation{which}", servers(n))
}

fn being_adopted(n: u32, former: &[GroupName], coming: u32) -> String {
    let names = former.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
    let late = match coming {
        0 => String::new(),
        n => format!(", until it is settled whether {} that were being launched come", servers(n)),
    };
    match (n, former.is_empty()) {
        (n, true) => format!("waiting for {} to be adopted", servers(n)),
        (0, false) => format!("looking for the servers of {names} to adopt{late}"),
        (n, false) => {
            let n = servers(n);
            format!("waiting for {n} to be adopted, and looking for more of {names}{late}")
        }
    }
}

fn elsewhere(n: u32, region: &Region) -> String {
    format!(
        "{} in region {region}, which is not the group's any more: nothing is changed. Set its \
         `region` back to {region}; to move, make a group for the new region and shrink this one \
         to 0",
        servers(n)
    )
}

/// Who froze the group, and how it is let go on.
fn frozen_by(group: &GroupName, frozen: &Frozen) -> String {
    match frozen {
        Frozen::Command { who, reason } => {
            let why = because(reason.as_deref());
            format!("by {who}{why}: nothing is changed until `novascale unfreeze {group}`")
        }
        Frozen::All { who, reason } => {
            let why = because(reason.as_deref());
            format!(
                "with every other group by {who}{why}: nothing is changed until `novascale \
                 unfreeze`"
            )
        }
        Frozen::File { path, fault: Some(fault), .. } => format!(
            "with every other group, for the file {path} cannot be understood ({fault}): nothing \
             is changed until it names groups, one a line, or is removed"
        ),
        Frozen::File { path, every: true, fault: None } => {
            format!(
                "with every other group by the file {path}: nothing is changed until it is removed"
            )
        }
        Frozen::File { path, every: false, fault: None } => format!(
            "by the file {path}: nothing is changed until its line `{group}` is removed (and the \
             file, if it was the last: an empty one freezes every group)"
        ),
    }
}

fn other_project(ours: &str, theirs: &str) -> String {
    format!(
        "the token is for the project {theirs}, but this state is of the project {ours}: the cloud \
         is not asked and nothing is changed. Sign in to {ours} again; or, to work in {theirs}, \
         give it a `controller.state_dir` of its own"
    )
}

fn unconfirmed(from: u32, to: u32) -> String {
    format!(
        "max was cut from {from} to {to}, by more than half: none goes for it and none is launched \
         until a person says `novascale reload --confirm`, or max is raised again"
    )
}

fn coming(n: u32, unclear: u32) -> String {
    match unclear {
        0 => format!("waiting for {} that Nova accepted to be listed", servers(n)),
        _ => format!(
            "waiting for {} to be listed; what became of {unclear} of {n} is not known yet, and \
             none is asked for again until that is settled",
            servers(n)
        ),
    }
}

fn kept(n: u32) -> String {
    match n {
        1 => "1 more than desired is protected, locked or not ours, and stays".to_owned(),
        n => format!("{n} more than desired are protected, locked or not ours, and stay"),
    }
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}
