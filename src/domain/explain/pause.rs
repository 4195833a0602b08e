//! How pauses read: in a decision, and as a command.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{because, servers};
use crate::domain::id::GroupName;
use crate::domain::pause::{Pause, Process};
use crate::domain::plan::{Decision, Held, Waiting};
use crate::domain::signal::Command;
use crate::domain::time::{Now, spoken};

impl Decision {
    /// What keeps servers from being launched or terminated now, if that is a pause.
    pub(super) fn at_rest(&self) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| {
            matches!(waiting, Waiting::Paused { process: Process::Launch | Process::Terminate, .. })
        })
    }

    /// Pauses that hold nothing back now; of the others the waiting tells.
    pub(super) fn idle_pauses(&self) -> impl Iterator<Item = String> {
        let told = |process: Process| {
            let says =
                |w: &Waiting| matches!(w, Waiting::Paused { process: p, .. } if *p == process);
            self.waiting.iter().any(says)
        };
        let idle = self.pauses.iter().filter(move |(process, _)| !told(**process));
        idle.map(|(process, pause)| self.rests(*process, pause))
    }

    fn rests(&self, process: Process, pause: &Pause) -> String {
        let left = left(pause.left_secs(self.at));
        let (word, by) = (process.word(), &pause.by);
        format!("{word} is paused{left} by {by}{}", because(pause.reason.as_deref()))
    }
}

/// For how much longer, behind a word; nothing for good.
pub(super) fn left(secs: Option<u64>) -> String {
    secs.map_or_else(String::new, |s| format!(" for {} more", spoken(Duration::from_secs(s))))
}

/// What a pause holds back.
pub(super) fn held(group: &GroupName, process: Process, held: Held, told: &str) -> String {
    let (word, is) = (process.word(), |n: u32| if n == 1 { "is" } else { "are" });
    let what = match held {
        Held::Launched(n) => format!("{} {} not launched", servers(n), is(n)),
        Held::Terminated(n) => {
            format!("{n} more than desired {}", if n == 1 { "stays" } else { "stay" })
        }
        Held::Swept(n) => format!("{} that failed {} left as {}", servers(n), is(n), they(n)),
        Held::Windows => "windows that would count by now do not, or others still do".to_owned(),
        Held::Wanted(Some(n)) => format!("signals want {n} by now and are not heard"),
        Held::Wanted(None) => "what signals want by now is not known and not missed".to_owned(),
    };
    format!("{what}: {word} is {told}; `novascale resume {group}` ends it")
}

fn they(n: u32) -> &'static str {
    if n == 1 { "it is" } else { "they are" }
}

/// `launch and heal`.
pub(super) fn names(processes: &BTreeSet<Process>) -> String {
    let words: Vec<&str> = processes.iter().map(|process| process.word()).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What a pause, or its end, comes to: `launch is paused for 2 h`, `launch goes on`. Empty for any
/// other command.
pub fn rests(command: &Command, now: Now) -> String {
    match command {
        Command::Pause { processes, until } => {
            let left = until.map(|end| format!(" for {}", spoken(end.steady.since(now.steady))));
            let are = if processes.len() == 1 { "is" } else { "are" };
            format!("{} {are} paused{}", names(processes), left.unwrap_or_default())
        }
        Command::Resume { processes } => {
            let go = if processes.len() == 1 { "goes" } else { "go" };
            format!("{} {go} on", names(processes))
        }
        Command::Set { .. }
        | Command::Adjust { .. }
        | Command::Percent { .. }
        | Command::Reserve { .. }
        | Command::Release { .. }
        | Command::Pin { .. }
        | Command::Unpin
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Adopt(_)
        | Command::Alerts { .. } => String::new(),
    }
}
