//! While alarms rest, so do the levels and the alerts that they moved.

use std::collections::BTreeSet;

use super::*;
use novascale::domain::alert::AlertTold;
use novascale::domain::id::AlertName;
use novascale::domain::pause::Process;
use novascale::domain::policy::{Adjustment, Alert, Asks, Change, Step};
use novascale::domain::signal::Command;

fn rest(world: &mut World, rests: bool) {
    let processes = BTreeSet::from([Process::Alarm]);
    world.order(match rests {
        true => Command::Pause { processes, until: None },
        false => Command::Resume { processes },
    });
}

#[test]
fn a_level_moves_by_nothing_that_was_measured_meanwhile() {
    let out = vec![Adjustment { from: Some(60.0), to: None, change: Change::Servers(2) }];
    let step = Step {
        reading: reading("cpu"),
        out,
        into: Vec::new(),
        warm_up: MINUTE,
        flapping_guard: true,
        fallback: None,
    };
    let mut world = fleet(3, Policy::Step(step));
    world.order(Command::Set { capacity: 0 });
    world.measure("cpu", 80.0);
    assert_eq!(world.pass().desired, 5);
    rest(&mut world, true);
    for _ in 0..5 {
        world.pass_time(2 * MINUTE);
        world.measure("cpu", 90.0);
        assert_eq!(world.pass().desired, 5, "signals stand at 5");
    }
    rest(&mut world, false);
    assert_eq!(world.pass().desired, 7, "and go on from there");
}

#[test]
fn an_alert_that_began_meanwhile_is_heard_afterwards() {
    let alert = AlertName::new("A").unwrap();
    let asks = Asks::More { change: Change::Servers(2), every: 5 * MINUTE, most: 4 };
    let policy = Alert { alert: alert.clone(), asks, expires_after: 60 * MINUTE };
    let mut world = fleet(3, Policy::Alert(policy));
    world.pass();
    rest(&mut world, true);
    let told = AlertTold::new(alert, true);
    world.order(Command::Alerts { alerts: vec![told] });
    assert_eq!(world.pass().desired, 3);
    rest(&mut world, false);
    assert_eq!(world.pass().desired, 5);
}
