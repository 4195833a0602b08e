//! The model on its own: no HTTP, time and dice as arguments.

use super::super::faults::Faults;
use super::dice::Dice;
use super::identity::Account;
use super::launch::{Launch, Networks};
use super::rules::Rules;
use super::server::VmState;
use super::{Model, Turn};

fn launch(count: u32) -> Launch {
    let model = Model::new();
    Launch {
        name: "web".to_owned(),
        flavor: model.catalogue().flavors[0].id.clone(),
        image: Some(model.catalogue().images[0].id.clone()),
        networks: Networks::Auto,
        min: count,
        max: count,
        ..Launch::default()
    }
}

fn make(model: &mut Model, seed: u8, count: u32) -> Vec<String> {
    let rules = Rules::for_region("R");
    let mut dice = Dice::new([seed; 32], 0);
    let account = Account::Service;
    let faults = &mut Faults::none();
    let (now, dice, rules) = (0, &mut dice, &rules);
    let turn = &mut Turn { now, dice, rules, faults, account, request_id: "req" };
    model.launch(launch(count), turn).unwrap();
    model.servers().map(|server| server.id.clone()).collect()
}

#[test]
fn one_seed_gives_one_cloud() {
    let ids = |seed| make(&mut Model::new(), seed, 5);
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
}

#[test]
fn starts_never_share_their_draws() {
    let draw = |start| Dice::new([1; 32], start).secret();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn advancing_in_steps_or_at_once_is_the_same() {
    let mut steps = Model::new();
    make(&mut steps, 3, 10);
    let mut leap = steps.clone();
    (0..=6_000).step_by(7).chain([6_000]).for_each(|now| steps.advance(now));
    leap.advance(6_000);
    assert!(leap.servers().all(|server| server.vm == VmState::Active));
    assert_eq!(serde_json::to_value(&steps).unwrap(), serde_json::to_value(&leap).unwrap());
}

#[test]
fn ids_are_version_4_uuids() {
    let id = Dice::new([9; 32], 1).uuid();
    assert_eq!(id.len(), 36);
    assert_eq!((&id[14..15], id.matches('-').count()), ("4", 4));
    assert!("89ab".contains(&id[19..20]));
}

#[test]
fn an_empty_range_gives_its_start() {
    let mut dice = Dice::new([9; 32], 1);
    assert_eq!(dice.within(&(5..=5)), 5);
    #[expect(clippy::reversed_empty_ranges, reason = "somebody may configure it")]
    let reversed = 9..=1;
    assert_eq!(dice.within(&reversed), 9);
}
