//! Pauses: a person stops one thing that novascale does for a group, and all else goes on.
//!
//! They are Auto Scaling's suspended processes. A pause changes no number by itself: what is
//! paused stands as it stood when the pause began, and goes on when it ends.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::{Now, Wall, left_secs};

/// What can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// Servers are launched.
    Launch,
    /// What is more than desired is terminated.
    Terminate,
    /// Servers that failed are swept, so that others take their place.
    Heal,
    /// Windows of the schedule open and close.
    Schedule,
    /// Signals move claims.
    Alarm,
}

impl Process {
    pub const ALL: [Self; 5] =
        [Self::Launch, Self::Terminate, Self::Heal, Self::Schedule, Self::Alarm];

    /// Its word on the command line, in the API and as a label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Terminate => "terminate",
            Self::Heal => "heal",
            Self::Schedule => "schedule",
            Self::Alarm => "alarm",
        }
    }
}

impl FromStr for Process {
    type Err = NoProcess;
    fn from_str(word: &str) -> Result<Self, NoProcess> {
        Self::ALL.into_iter().find(|process| process.word() == word).ok_or(NoProcess)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be launch, terminate, heal, schedule or alarm")]
pub struct NoProcess;

/// A person's word that one process is to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it began: a later word on a process that is paused moves its end only.
    pub since: Now,
    /// None: until it is taken back.
    pub until: Option<Now>,
    /// Who said it: a scope's name; shown, never secret.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Pause {
    /// Whether it counts; it ends by the steady clock.
    pub fn in_force(&self, now: Now) -> bool {
        self.until.is_none_or(|until| until.steady > now.steady)
    }

    /// What is left of it in whole seconds; none if it has no end.
    pub fn left_secs(&self, now: Now) -> Option<u64> {
        self.until.map(|until| left_secs(until.steady.since(now.steady)))
    }
}

/// The pauses of one group; those that are over may still be among them.
pub type Pauses = BTreeMap<Process, Pause>;

/// Those in force.
pub fn in_force(pauses: &Pauses, now: Now) -> Pauses {
    let counts = pauses.iter().filter(|(_, pause)| pause.in_force(now));
    counts.map(|(process, pause)| (*process, pause.clone())).collect()
}

/// The wall time that the schedule is evaluated at: it stands still while the schedule is paused.
pub fn schedule_clock(pauses: &Pauses, now: Now) -> Wall {
    let paused = pauses.get(&Process::Schedule).filter(|pause| pause.in_force(now));
    paused.map_or(now.wall, |pause| pause.since.wall)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_word_is_read_as_its_process() {
        for process in Process::ALL {
            assert_eq!(process.word().parse(), Ok(process));
            let json = serde_json::to_string(&process).unwrap();
            assert_eq!(json, format!("\"{}\"", process.word()));
        }
        for word in ["", "Launch", "all", "launch "] {
            assert_eq!(word.parse::<Process>(), Err(NoProcess), "{word:?}");
        }
    }

    #[test]
    fn a_pause_ends_by_the_steady_clock() {
        let since = Now::default();
        let until = Some(since.plus(Duration::from_secs(60)));
        let pause = Pause { since, until, by: "operate".into(), reason: None };
        let wall_only = Now { wall: Wall(1_000_000), ..since };
        assert_eq!((pause.in_force(wall_only), pause.left_secs(wall_only)), (true, Some(60)));
        assert!(!pause.in_force(since.plus(Duration::from_secs(60))));
        assert!(Pause { until: None, ..pause }.in_force(since.plus(Duration::MAX)));
    }
}
