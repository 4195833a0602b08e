//! Whether a group may still be changed: asked before each of its calls, and by the call itself
//! when its turn in the throttle has come.

use std::fmt;

use async_trait::async_trait;

use crate::cloud::Leave;
use crate::control::Parts;
use crate::domain::freeze::Holds;
use crate::domain::group::Group;
use crate::domain::id::GroupName;

pub(super) const STOPPING: &str = "novascale stops, or has another configuration for the group";

/// Asks the store and the brake.
pub(super) struct Asked {
    parts: Parts,
    group: GroupName,
}

impl Asked {
    pub(super) fn of(parts: &Parts, group: &Group) -> Self {
        Self { parts: parts.clone(), group: group.name.clone() }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({})", self.group)
    }
}

#[async_trait]
impl Leave for Asked {
    /// A group that was frozen since the plan was made keeps what is left of it from being done;
    /// and so does one of which that cannot be told.
    async fn refused(&self) -> Option<String> {
        let Self { parts, group } = self;
        if parts.stopping.is_cancelled() {
            return Some(STOPPING.to_owned());
        }
        let freezes = match parts.store.freezes(group).await {
            Ok(freezes) => freezes,
            Err(error) => return Some(format!("whether it is frozen cannot be told: {error}")),
        };
        let brake = parts.brake.on(group);
        let (own, all) = (freezes.own.as_ref(), freezes.all.as_ref());
        let holds = Holds { own, all, brake: brake.as_ref() };
        holds.waiting(group, parts.clock.now()).first().map(ToString::to_string)
    }
}
