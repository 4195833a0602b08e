//! What is missing is launched: how many fit, with which flavor, spread over which zones.

use super::super::backoff::{Journal, Verdict, Wait};
use super::{LAUNCHES_MOST, Planner, count};
use crate::domain::fleet::Standing;
use crate::domain::id::{IntentId, LaunchId, Zone};
use crate::domain::intent::{Launch, What};
use crate::domain::pause::Process;
use crate::domain::plan::{Action, Held, Waiting};
use crate::domain::time::left_secs;

/// Where a flavor may be launched now.
struct Place {
    zone: Option<Zone>,
    batch: u32,
    fits: Option<u32>,
    suspect: bool,
}

impl Planner<'_> {
    /// What is missing is launched, as far as ceiling, back-off and batch sizes allow.
    pub(super) fn grow(&mut self) {
        let tally = &self.fleet.tally;
        let short = self.desired.saturating_sub(tally.capacity().saturating_add(self.arriving));
        if self.rests(Process::Launch, Held::Launched(short)) || short == 0 {
            return;
        }
        let max = self.snapshot.bounds().max;
        let occupied = tally.occupied().saturating_add(self.arriving);
        let room = max.saturating_sub(occupied);
        if room < short {
            self.out.waiting.push(Waiting::Ceiling { max, occupied });
        }
        let n = short.min(room);
        if n > 0 {
            self.launch(n);
        }
    }

    fn launch(&mut self, n: u32) {
        let journal = Journal::of(&self.fleet.intents, &self.snapshot.group.template.hash);
        let mut waits: Vec<Wait> = Vec::new();
        let mut suspected: Option<(&String, Vec<Place>)> = None;
        for flavor in &self.snapshot.group.template.flavors {
            let (open, wait) = self.open_zones(&journal, flavor);
            let (suspect, open): (Vec<Place>, Vec<Place>) =
                open.into_iter().partition(|place| place.suspect);
            if !open.is_empty() {
                self.launch_in(n, flavor, &open);
                return;
            }
            suspected = suspected.or((!suspect.is_empty()).then_some((flavor, suspect)));
            waits.extend(wait);
        }
        if let Some((flavor, places)) = suspected {
            self.launch_in(n, flavor, &places);
            return;
        }
        let soonest = waits.into_iter().min_by_key(|wait| wait.until);
        if let Some(Wait { until, attempts, failure }) = soonest {
            let wait_secs = left_secs(until.since(self.snapshot.now.steady));
            self.out.waiting.push(Waiting::Backoff { until, wait_secs, attempts, failure });
            self.wake_at(until);
        }
    }

    /// The zones where this flavor may be launched now; the soonest wait of the others.
    fn open_zones(&self, journal: &Journal<'_>, flavor: &str) -> (Vec<Place>, Option<Wait>) {
        let group = self.snapshot.group;
        let zones: Vec<Option<Zone>> = if group.template.zones.is_empty() {
            vec![None]
        } else {
            group.template.zones.iter().cloned().map(Some).collect()
        };
        let (mut open, mut waits): (Vec<Place>, Vec<Wait>) = (Vec::new(), Vec::new());
        for zone in zones {
            let now = self.snapshot.now.steady;
            match journal.verdict(flavor, zone.as_ref(), now, &group.launch) {
                Verdict::Go { batch, fits, suspect } => {
                    open.push(Place { zone, batch, fits, suspect });
                }
                Verdict::Wait(wait) => waits.push(wait),
            }
        }
        (open, waits.into_iter().min_by_key(|wait| wait.until))
    }

    fn launch_in(&mut self, n: u32, flavor: &str, places: &[Place]) {
        let fits = places.iter().filter_map(|p| p.fits).min().unwrap_or(n);
        for (place, share) in places.iter().zip(self.shares(n.min(fits), places)) {
            let mut left = share;
            while left > 0 && self.launches() < LAUNCHES_MOST {
                let n = left.min(place.batch);
                left -= n;
                self.plan_launch(n, flavor, place.zone.clone());
            }
        }
    }

    fn launches(&self) -> usize {
        self.out.actions.iter().filter(|a| matches!(a, Action::Launch { .. })).count()
    }

    /// Splits `n` over zones so that the members end up spread as evenly as may be.
    fn shares(&self, n: u32, places: &[Place]) -> Vec<u32> {
        let mut here: Vec<u32> = places.iter().map(|p| self.members_in(p.zone.as_ref())).collect();
        let mut shares = vec![0u32; places.len()];
        for _ in 0..n {
            let Some(least) = (0..places.len()).min_by_key(|i| here[*i]) else { break };
            here[least] += 1;
            shares[least] += 1;
        }
        shares
    }

    fn members_in(&self, zone: Option<&Zone>) -> u32 {
        let there = self.fleet.members.iter().filter(|m| {
            let at = m.server.as_ref().and_then(|s| s.zone.as_ref());
            at == zone && m.standing != Standing::Leaving && m.standing != Standing::Failed
        });
        count(there.count())
    }

    fn plan_launch(&mut self, n: u32, flavor: &str, zone: Option<Zone>) {
        let intent = IntentId::from_bits(self.draws.bits());
        let launch = Launch {
            launch: LaunchId::from_bits(self.draws.bits()),
            n,
            region: self.snapshot.group.region.clone(),
            zone,
            flavor: flavor.to_owned(),
            template: self.snapshot.group.template.hash.clone(),
            proven: false,
        };
        self.open(intent.clone(), What::Launch(launch.clone()));
        self.out.actions.push(Action::Launch { intent, launch });
    }
}
