//! Scheduled capacity: windows of time in which a group has other bounds or wants servers.
//!
//! A window opens when its cron expression fires and lasts for a span, or until another expression
//! fires; or it is there once, from one instant to another or for good. While it is open it gives a
//! min, a max, a capacity to ask for, or several of them. Of the windows that are open at a time the
//! last in the file decides, for min and for max each. A window that gives room or asks for
//! servers opens earlier by its lead, so that they serve at its hour.

pub mod recurrence;

use std::time::Duration;

use self::recurrence::Recurrence;
use serde::{Deserialize, Serialize};

use super::count::Bounds;
use super::time::Wall;

/// One entry of a group's schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Unique within the group, for people.
    pub name: String,
    pub when: When,
    pub gives: Gives,
    pub lead: Lead,
}

/// When the window is open.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// It opens whenever the first fires.
    Recurring(Recurrence, Ends),
    /// From then on, and until then, if it ends.
    Once { from: Wall, until: Option<Wall> },
}

/// What closes a window that opens again and again.
#[derive(Debug, Clone, PartialEq)]
pub enum Ends {
    /// So long after it opened; a later opening begins the span anew.
    After(Duration),
    /// When this fires.
    At(Recurrence),
}

/// What holds while the window is open; at least one of them is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gives {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// A claim like any other: the largest claim is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// A window that counts, as a decision tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    pub name: String,
    pub gives: Gives,
    /// For so long more; none if it does not end.
    pub left_secs: Option<u64>,
    /// It counts ahead of its hour, which comes after so long.
    #[serde(default)]
    pub early_secs: u64,
}

/// How much earlier than its hour a window opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// As long as the group's servers were seen to take from their launch until they served.
    Learned,
    Fixed(Duration),
}

/// The longest lead: what takes longer to boot is prepared by hand.
pub const LEAD_MOST: Duration = Duration::from_secs(3600);

/// A window's hours around an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it opened or opens, without its lead.
    pub from: Wall,
    /// When it closes, if it does.
    pub until: Option<Wall>,
}

impl Window {
    fn open(&self, at: Wall) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

impl When {
    /// The window that is open at `at`.
    pub fn open(&self, at: Wall) -> Option<Window> {
        let window = match self {
            Self::Once { from, until } => Window { from: *from, until: *until },
            Self::Recurring(opens, ends) => {
                let from = opens.last(at)?;
                Window { from, until: ends.after(from) }
            }
        };
        window.open(at).then_some(window)
    }

    /// The first window that opens after `after` and lasts at all: where clocks are set forward, an
    /// hour that is left out opens and closes at one instant.
    pub fn next(&self, after: Wall) -> Option<Window> {
        match self {
            Self::Once { from, until } => {
                Some(Window { from: *from, until: *until }).filter(|w| w.from > after)
            }
            Self::Recurring(opens, ends) => {
                let mut from = opens.next(after)?;
                // Two in a row that do not last are as many as clocks can make.
                for _ in 0..EMPTY_MOST {
                    let window = Window { from, until: ends.after(from) };
                    if window.open(from) {
                        return Some(window);
                    }
                    from = opens.next(from)?;
                }
                None
            }
        }
    }
}

/// Windows that close as they open are looked past so often; more come of expressions that fire
/// together for ever.
const EMPTY_MOST: usize = 400;

impl Ends {
    fn after(&self, from: Wall) -> Option<Wall> {
        match self {
            Self::After(span) => Some(from.plus(*span)),
            // One that fires together with the opening closes at once.
            Self::At(closes) => closes.next(Wall(from.0.saturating_sub(1))),
        }
    }
}

impl Schedule {
    /// The window that counts at `now`: the open one, else the next if its lead has begun.
    pub fn in_force(&self, now: Wall, learned: Duration) -> Option<Window> {
        self.when.open(now).or_else(|| {
            let next = self.when.next(now)?;
            (next.from <= now.plus(self.lead(learned))).then_some(next)
        })
    }

    /// How much earlier it opens, given what was learned. A window that only lowers max takes
    /// nothing away before its hour.
    pub fn lead(&self, learned: Duration) -> Duration {
        let lead = match self.lead {
            Lead::Learned => learned,
            Lead::Fixed(lead) => lead,
        };
        let asks = self.gives.min.is_some() || self.gives.capacity.is_some();
        if asks { lead.min(LEAD_MOST) } else { Duration::ZERO }
    }

    /// The next instant at which what it gives begins or ends.
    pub fn turns(&self, now: Wall, learned: Duration) -> Option<Wall> {
        let lead = self.lead(learned);
        let ends = self.when.open(now).and_then(|window| window.until);
        let next = self.when.next(now).map(|window| window.from.minus(lead));
        // One whose lead has begun is next heard of when it opens.
        let next = next.map(|opens| if opens <= now { opens.plus(lead) } else { opens });
        [ends, next].into_iter().flatten().min()
    }
}

/// What the open windows make of a group's bounds.
pub fn bounds(usual: Bounds, open: impl IntoIterator<Item = Gives>) -> Bounds {
    let (min, max) = open.into_iter().fold((usual.min, usual.max), |(min, max), gives| {
        (gives.min.unwrap_or(min), gives.max.unwrap_or(max))
    });
    Bounds::new(min, max)
}
