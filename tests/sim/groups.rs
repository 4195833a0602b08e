//! The groups of worlds, but for policies beside the first one, and schedules.

use std::time::Duration;

use novascale::domain::behaviour::Behaviour;
use novascale::domain::count::Bounds;
use novascale::domain::group::{
    Group, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use novascale::domain::id::{GroupName, Region, SignalName, Tag, TemplateHash, Zone};
use novascale::domain::policy::{Policy, Reading, Total};

use super::dice::Dice;
use super::world::{FLAVORS, PER_SERVER, SIGNAL, ZONES};

pub fn groups(dice: &mut Dice) -> Vec<Group> {
    let n = if dice.percent(30) { 2 } else { 1 };
    (0..n).map(|at| group(at, dice)).collect()
}

/// A min above max may come of overlays; then max counts.
fn bounds(dice: &mut Dice) -> Bounds {
    let min = dice.below(4);
    let above = dice.between(1, 10);
    Bounds::new(min, if dice.percent(3) { min.saturating_sub(1).max(1) } else { min + above })
}

fn hash(dice: &mut Dice) -> TemplateHash {
    TemplateHash::new(format!("{:016x}", dice.below(u32::MAX))).unwrap()
}

pub fn group(at: u32, dice: &mut Dice) -> Group {
    let secs = Duration::from_secs;
    let mut behaviour = Behaviour::default();
    behaviour.scale_in.stabilization = secs(*dice.pick(&[0, 0, 30, 300]).unwrap());
    behaviour.scale_in.cooldown = secs(*dice.pick(&[0, 10, 60]).unwrap());
    behaviour.scale_in.velocity.percent = *dice.pick(&[25.0, 50.0, 100.0]).unwrap();
    let patience = Patience {
        build: secs(u64::from(dice.between(180, 900))),
        delete: secs(u64::from(dice.between(60, 300))),
        settle: secs(u64::from(dice.between(120, 600))),
    };
    let mut launch = LaunchLimits { batch: dice.between(1, 8), ..LaunchLimits::default() };
    launch.backoff.first = secs(u64::from(dice.between(2, 30)));
    launch.backoff.most = secs(u64::from(dice.between(30, 300)));
    let signal = SignalName::new(SIGNAL).unwrap();
    let stale_after = secs(u64::from(dice.between(120, 400)));
    let target = Total::of(Reading::newest(signal, stale_after), PER_SERVER);
    let policies = if dice.percent(70) { vec![Policy::Total(target)] } else { Vec::new() };
    Group {
        name: GroupName::new(format!("g{at}")).unwrap(),
        tag: Tag::new(format!("novascale:g{at}")).unwrap(),
        region: Region::new("R1").unwrap(),
        bounds: bounds(dice),
        template: template(at, dice),
        policies,
        schedules: Vec::new(),
        behaviour,
        patience,
        launch,
        config_hash: hash(dice),
    }
}

fn template(at: u32, dice: &mut Dice) -> Template {
    let flavors = if dice.percent(40) { 2 } else { 1 };
    let zones: &[&str] = if dice.percent(40) { &ZONES } else { &[] };
    Template {
        flavors: FLAVORS.iter().take(flavors).map(|name| (*name).to_owned()).collect(),
        image: ImageRef::Name("Debian 12".into()),
        networks: Networks::Auto,
        security_groups: Vec::new(),
        key_name: None,
        zones: zones.iter().map(|name| Zone::new(*name).unwrap()).collect(),
        user_data: None,
        metadata: Default::default(),
        name_prefix: format!("g{at}"),
        config_drive: false,
        boot_volume: None,
        placement: Placement::Anywhere,
        hash: hash(dice),
    }
}
