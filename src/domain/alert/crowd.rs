//! Alerts that fire and find no place of their own: known by a number each, so that they still end
//! one by one, and counted together as one alert of their name.
//!
//! What fires must not count as if it did not, whatever there is room for. So a crowd fires until
//! all of it has ended, or nobody renews it. Beyond [`CROWDED_MOST`] nobody is known any more, and
//! only the latter ends it.

use serde::{Deserialize, Serialize};

use super::super::time::{Now, Wall};
use super::{AlertTold, Alerted, Teller};

/// The most that are known by their number, in all crowds of a group: about 50 bytes each.
pub const CROWDED_MOST: usize = 1024;

/// Those of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Crowd {
    members: Vec<Member>,
    /// There are, or were, some beside them that nobody knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    strangers: bool,
}

/// One of them, by the number of its fingerprint and of who tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ahead: Option<Wall>,
}

impl Crowd {
    /// How many are known.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All of it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_empty() && !self.strangers
    }

    pub(super) fn holds(&self, told: &AlertTold) -> bool {
        let id = number(&told.fingerprint, Some(&told.by));
        self.members.iter().any(|member| member.id == id)
    }

    /// What it takes up of the room for all crowds.
    fn weight(&self) -> usize {
        self.members.len().max(1)
    }
}

/// What becomes of an alert that has no place of its own, as it was told last: as its crowd knows
/// it, or new.
pub(super) fn called_out(alerts: &mut [Alerted], told: &AlertTold, at: Now) -> Alerted {
    let id = number(&told.fingerprint, Some(&told.by));
    for alert in alerts.iter_mut().filter(|alert| alert.name == told.name) {
        let Some(crowd) = &mut alert.crowd else { continue };
        let Some(place) = crowd.members.iter().position(|member| member.id == id) else { continue };
        let Member { starts, ahead, .. } = crowd.members.swap_remove(place);
        let (since, renewed, until) = (alert.since, alert.renewed, alert.until);
        let mut known = Alerted { starts, ahead, since, renewed, until, ..Alerted::new(told, at) };
        known.resolved = false;
        known.hear(told, at);
        return known;
    }
    Alerted::new(told, at)
}

/// One that fires leaves its place for the crowd of its name.
pub(super) fn join(alerts: &mut Vec<Alerted>, alert: &Alerted) {
    let crowds = alerts.iter().filter_map(|alert| alert.crowd.as_ref());
    let room = crowds.map(Crowd::weight).sum::<usize>() < CROWDED_MOST;
    let id = number(&alert.fingerprint, alert.by.as_ref());
    let member = Member { id, starts: alert.starts, ahead: alert.ahead };
    let of_name = |one: &&mut Alerted| one.crowd.is_some() && one.name == alert.name;
    let Some(all) = alerts.iter_mut().find(of_name) else {
        // So many names that nobody could follow them.
        if room {
            let crowd = Some(Crowd { members: vec![member], strangers: false });
            let (fingerprint, by, starts, ahead) = (String::new(), None, None, None);
            alerts.push(Alerted { fingerprint, by, starts, ahead, crowd, ..alert.clone() });
        }
        return;
    };
    if all.since.steady > alert.since.steady {
        all.since = alert.since;
    }
    if all.renewed.steady < alert.renewed.steady {
        all.renewed = alert.renewed;
    }
    let later = |(one, other): (Now, Now)| if one.steady < other.steady { other } else { one };
    all.until = all.until.zip(alert.until).map(later);
    let Some(crowd) = &mut all.crowd else { return };
    if room {
        crowd.members.push(member);
    } else {
        crowd.strangers = true;
    }
}

/// FNV-1a: it is stored, so that it has to be the same in every version.
fn number(fingerprint: &str, by: Option<&Teller>) -> u64 {
    let source = match by {
        Some(Teller::Source(source)) => source.as_str(),
        Some(Teller::Direct) | None => "",
    };
    let bytes = source.bytes().chain([0]).chain(fingerprint.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
