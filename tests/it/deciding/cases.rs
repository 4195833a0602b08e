//! Single situations, one rule each.

use std::time::Duration;

use novascale::domain::fleet::Observation;
use novascale::domain::id::{InstallId, Owner, Region, ServerId, TemplateHash, Zone, mark};
use novascale::domain::intent::{Intent, State};
use novascale::domain::outcome::FailureKind;
use novascale::domain::plan::{Cause, Tempering, Waiting};
use novascale::domain::server::Status;
use novascale::domain::signal::{Command, Sample, Value};

use super::world::{Faults, World, group, launches, settled, target, terminations};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_fresh_group_launches_its_min_in_one_call() {
    let mut world = World::new(group(3, 8), 1);
    let first = world.pass();
    assert_eq!(launches(&first), [3]);
    assert_eq!(launches(&world.pass()), [0u32; 0], "what is coming counts");
    world.settle(10);
    assert_eq!(world.members(), 3);
}

#[test]
fn a_large_need_is_split_into_batches_of_one_pass() {
    let mut world = World::new(group(0, 200), 1);
    world.order(Command::Set { capacity: 120 });
    assert_eq!(launches(&world.pass()), [50, 50, 20]);
}

#[test]
fn zones_are_filled_evenly() {
    let mut world = World::new(group(0, 20), 1);
    world.group.template.zones = ["a", "b", "c"].map(|z| Zone::new(z).unwrap()).into();
    world.order(Command::Set { capacity: 7 });
    world.settle(10);
    world.order(Command::Set { capacity: 12 });
    world.settle(10);
    let mut counts = std::collections::BTreeMap::new();
    for server in world.cloud.values() {
        *counts.entry(server.zone.clone()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [4, 4, 4]);
}

#[test]
fn the_newest_leaves_first_and_the_last_goes_alone() {
    let mut world = settled(0, 8, 3);
    world.pass_time(MINUTE);
    world.order(Command::Set { capacity: 4 });
    world.settle(10);
    let newest = world.cloud.values().max_by_key(|s| s.created.0).unwrap().id.clone();
    world.order(Command::Set { capacity: 3 });
    assert_eq!(terminations(&world.pass()), [(&newest, Cause::Surplus)]);
    world.settle(10);
    world.pass_time(MINUTE);
    world.order(Command::Set { capacity: 0 });
    assert_eq!(terminations(&world.pass()).len(), 2, "the last one stays for now");
    world.pass_time(2 * MINUTE);
    world.pass();
    world.pass_time(2 * MINUTE);
    world.settle(10);
    assert_eq!(world.members(), 0);
}

#[test]
fn terminations_keep_the_velocity() {
    let mut world = settled(0, 40, 20);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.order(Command::Set { capacity: 0 });
    let decision = world.pass();
    assert_eq!(terminations(&decision).len(), 5);
    assert!(decision.waiting.iter().any(|w| matches!(w, Waiting::Velocity { allowed: 5, .. })));
    world.pass_time(30 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 0);
    world.pass_time(31 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 3);
}

#[test]
fn protected_locked_and_foreign_servers_stay() {
    let mut world = settled(0, 8, 3);
    for (index, server) in world.cloud.values_mut().enumerate() {
        match index {
            0 => server.locked = true,
            1 => _ = server.metadata.insert(mark::PROTECT.into(), "true".into()),
            _ => server.metadata.clear(),
        }
    }
    world.order(Command::Set { capacity: 0 });
    let decision = world.pass();
    assert!(decision.plan.is_empty(), "{:?}", decision.plan);
    assert!(decision.waiting.contains(&Waiting::Kept { n: 3 }), "{:?}", decision.waiting);
    assert_eq!(decision.tally.foreign, 1);
}

#[test]
fn a_server_deleted_by_hand_is_replaced() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.remove(&id);
    assert_eq!(launches(&world.pass()), [1]);
    world.settle(10);
    assert_eq!(world.members(), 3);
}

#[test]
fn a_server_without_the_tag_leaves_the_group_alive() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().tags.clear();
    world.settle(10);
    assert_eq!(world.members(), 3);
    assert!(world.cloud.contains_key(&id));
}

#[test]
fn too_many_missing_at_once_are_not_believed() {
    let mut world = settled(0, 20, 10);
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.truncate(6);
    let decision = world.pass_on_last_listing();
    assert!(decision.plan.is_empty());
    assert!(decision.waiting.contains(&Waiting::Implausible { missing: 4, known: 10 }));
    world.pass_time(2 * SECOND);
    assert!(world.pass().plan.is_empty(), "they are listed again");
}

#[test]
fn nothing_is_done_without_a_fresh_listing() {
    let mut world = settled(0, 8, 3);
    world.order(Command::Set { capacity: 6 });
    world.observe();
    let Observation::Seen(seen) = &world.observation else { panic!("seen") };
    world.now.steady = seen.began.steady.plus(seen.fresh_for);
    assert_eq!(launches(&world.decide()), [3], "it is fresh until then");
    world.now = world.now.plus(Duration::from_millis(1));
    let decision = world.pass_on_last_listing();
    assert!(decision.plan.is_empty());
    assert_eq!(decision.situation().word(), "holding");
    world.faults.unseen = 100;
    assert!(world.pass().plan.is_empty());
}

#[test]
fn a_quota_is_filled_then_waited_for_then_filled_again() {
    let mut world = World::new(group(0, 20), 3);
    world.quota = 5;
    world.order(Command::Set { capacity: 9 });
    assert_eq!(launches(&world.pass()), [9]);
    world.pass_time(2 * SECOND);
    assert_eq!(launches(&world.pass()), [5], "what still fits");
    world.pass_time(10 * SECOND);
    world.pass();
    let decision = world.pass();
    let waits = |w: &Waiting| match w {
        Waiting::Backoff { failure, .. } => matches!(failure.kind, FailureKind::Quota { .. }),
        _ => false,
    };
    assert!(decision.waiting.iter().any(waits), "{:?}", decision.waiting);
    let before = world.intents.len();
    for _ in 0..60 {
        world.pass_time(15 * SECOND);
        world.pass();
    }
    let tries = world.intents.len() - before;
    assert!(tries <= 20, "{tries} tries in 15 minutes");
    world.quota = 20;
    world.pass_time(300 * SECOND);
    assert_eq!(launches(&world.pass()), [4], "within a back-off period of the rise");
}

#[test]
fn a_refused_template_is_waited_for_and_a_mended_one_is_not() {
    let mut world = World::new(group(2, 4), 1);
    world.faults.refused = 100;
    world.pass();
    world.faults.refused = 0;
    for intent in world.intents.values_mut() {
        intent.trouble.as_mut().unwrap().failure.kind = FailureKind::Refused;
    }
    let decision = world.pass();
    assert!(decision.waiting.iter().any(|w| matches!(w, Waiting::Backoff { .. })));
    world.group.template.hash = TemplateHash::from_bits(99);
    assert_eq!(launches(&world.pass()), [2]);
}

#[test]
fn a_capacity_fault_halves_the_batch_and_its_debris_is_swept() {
    let mut world = World::new(group(0, 20), 5);
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 8 });
    assert_eq!(launches(&world.pass()), [8]);
    world.pass_time(6 * SECOND);
    let decision = world.pass();
    assert_eq!(decision.tally.failed, 8);
    assert_eq!(decision.tally.capacity(), 0, "ERROR is no capacity");
    assert!(terminations(&decision).iter().all(|(_, cause)| *cause == Cause::Error));
    assert_eq!(terminations(&decision).len(), 8);
    let mut next = world.pass();
    for _ in 0..40 {
        if !launches(&next).is_empty() {
            break;
        }
        world.pass_time(10 * SECOND);
        next = world.pass();
    }
    assert_eq!(launches(&next)[0], 4);
    world.faults.build_fails = 0;
    world.settle(60);
    assert_eq!(world.members(), 8);
}

#[test]
fn another_flavor_is_taken_where_the_first_finds_no_host() {
    let mut world = World::new(group(0, 20), 5);
    world.group.template.flavors = vec!["small".into(), "large".into()];
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 4 });
    world.pass();
    world.pass_time(6 * SECOND);
    world.faults.build_fails = 0;
    world.settle(40);
    assert!(world.cloud.values().all(|s| s.flavor == "large"));
}

#[test]
fn the_ceiling_counts_servers_in_any_state() {
    let mut world = settled(0, 3, 3);
    for server in world.cloud.values_mut() {
        server.status = Status::Shutoff;
    }
    let decision = world.pass();
    assert!(decision.plan.is_empty());
    assert!(decision.waiting.contains(&Waiting::Ceiling { max: 3, occupied: 3 }));
}

#[test]
fn a_launch_with_a_lost_reply_is_never_sent_again() {
    let mut world = World::new(group(0, 8), 1);
    world.faults = Faults { reply_lost: 100, ..Faults::default() };
    world.order(Command::Set { capacity: 4 });
    world.pass();
    world.faults = Faults::default();
    world.settle(10);
    assert_eq!((world.members(), world.created), (4, 4));
    world.order(Command::Set { capacity: 5 });
    assert_eq!(launches(&world.pass()), [1], "what came in full is no failure to wait for");
}

#[test]
fn a_launch_that_never_reached_nova_is_given_up_after_the_settling_time() {
    let mut world = World::new(group(0, 8), 1);
    world.faults = Faults { request_lost: 100, ..Faults::default() };
    world.order(Command::Set { capacity: 4 });
    world.pass();
    world.faults = Faults::default();
    let mut waited = Duration::ZERO;
    while world.created == 0 {
        assert!(waited < 20 * MINUTE, "it is given up in the end");
        world.pass_time(15 * SECOND);
        waited += 15 * SECOND;
        world.pass();
    }
    assert!(waited >= 10 * MINUTE, "given up after {waited:?}");
    let abandoned = |i: &&Intent| matches!(i.state, State::Abandoned { .. });
    assert_eq!(world.intents.values().filter(abandoned).count(), 1);
}

#[test]
fn missing_data_never_lowers_capacity() {
    let mut world = World::new(group(1, 10), 1);
    world.group.policies = vec![target("load", 10.0)];
    world.measure("load", 60.0);
    world.settle(10);
    world.pass_time(20 * MINUTE);
    let decision = world.pass();
    assert_eq!(decision.desired, 6);
    assert!(matches!(decision.tempering[..], [Tempering::Blind { from: 1, to: 6, .. }]));
    world.measure("load", 15.0);
    assert_eq!(world.pass().desired, 2);
}

#[test]
fn a_measured_fall_waits_for_its_window_and_an_ordered_one_does_not() {
    let mut world = World::new(group(1, 10), 1);
    world.group.policies = vec![target("load", 10.0)];
    world.group.behaviour.scale_in.stabilization = 5 * MINUTE;
    world.measure("load", 60.0);
    world.settle(10);
    world.measure("load", 10.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 6);
    assert!(matches!(decision.tempering[..], [Tempering::Stabilized { from: 1, to: 6, .. }]));
    world.pass_time(4 * MINUTE);
    world.measure("load", 10.0);
    assert_eq!(world.pass().desired, 6);
    world.pass_time(2 * MINUTE);
    world.measure("load", 10.0);
    assert_eq!(world.pass().desired, 1);
    world.order(Command::Set { capacity: 8 });
    world.settle(10);
    world.order(Command::Set { capacity: 2 });
    assert_eq!(world.pass().desired, 2, "an operator's word does not wait");
}

#[test]
fn desired_is_not_lowered_within_the_cooldown() {
    let mut world = World::new(group(1, 10), 1);
    world.group.policies = vec![target("load", 10.0)];
    world.group.behaviour.scale_in.cooldown = 2 * MINUTE;
    world.measure("load", 20.0);
    world.settle(10);
    world.measure("load", 60.0);
    world.pass();
    world.measure("load", 30.0);
    world.pass_time(MINUTE);
    assert_eq!(world.pass().desired, 6);
    world.pass_time(MINUTE);
    assert_eq!(world.pass().desired, 3);
}

#[test]
fn the_cooldown_counts_from_the_first_launch_too() {
    let mut world = World::new(group(1, 10), 1);
    world.group.policies = vec![target("load", 10.0)];
    world.group.behaviour.scale_in.cooldown = 2 * MINUTE;
    world.measure("load", 60.0);
    assert_eq!(launches(&world.pass()), [6], "nothing was decided before");
    world.settle(10);
    world.measure("load", 10.0);
    world.pass_time(MINUTE);
    let decision = world.pass();
    assert_eq!((decision.desired, terminations(&decision)), (6, vec![]));
    world.pass_time(MINUTE);
    assert_eq!(world.pass().desired, 1);
}

#[test]
fn a_reservation_counts_until_its_end() {
    let mut world = settled(1, 10, 2);
    let until = world.now.plus(10 * MINUTE);
    let owner = Owner::new("batch").unwrap();
    world.order(Command::Reserve { owner, capacity: 5, until });
    assert_eq!(world.pass().desired, 5);
    world.pass_time(9 * MINUTE);
    assert_eq!(world.pass().desired, 5);
    world.pass_time(2 * MINUTE);
    assert_eq!(world.pass().desired, 2);
}

#[test]
fn a_pin_stands_in_place_of_all_claims_within_the_bounds() {
    let mut world = settled(2, 10, 6);
    world.order(Command::Pin { capacity: 0, until: None });
    let decision = world.pass();
    assert_eq!(decision.desired, 2);
    assert_eq!(decision.claims.len(), 1);
    world.order(Command::Unpin);
    assert_eq!(world.pass().desired, 6);
}

#[test]
fn capacity_found_without_state_is_held_until_somebody_speaks() {
    let mut world = settled(1, 10, 6);
    world.memory = None;
    world.known.clear();
    world.intents.clear();
    world.state = Default::default();
    let decision = world.pass();
    assert_eq!((decision.desired, decision.plan.len()), (6, 0));
    assert_eq!(decision.tempering, [Tempering::Held { from: 1, to: 6 }]);
    world.pass_time(MINUTE);
    world.order(Command::Set { capacity: 2 });
    assert_eq!(world.pass().desired, 2);
}

#[test]
fn servers_of_another_installation_freeze_the_group() {
    let mut world = settled(0, 10, 3);
    let id = world.first_id();
    let stranger = InstallId::from_bits(99).to_string();
    let server = world.cloud.get_mut(&id).unwrap();
    server.metadata.insert(mark::INSTALL.into(), stranger);
    world.order(Command::Set { capacity: 6 });
    let decision = world.pass();
    assert!(decision.plan.is_empty());
    let install = Some(InstallId::from_bits(99));
    assert!(decision.waiting.contains(&Waiting::OtherInstall { n: 1, install }));
}

#[test]
fn a_server_that_never_leaves_build_is_replaced() {
    let mut world = settled(0, 10, 2);
    let id = world.first_id();
    let server = world.cloud.get_mut(&id).unwrap();
    server.status = Status::Build;
    server.created.0 = i64::MAX;
    assert!(world.pass().plan.is_empty(), "its patience has not ended");
    world.pass_time(16 * MINUTE);
    let decision = world.pass();
    assert_eq!(terminations(&decision), [(&id, Cause::Stuck)]);
    world.settle(20);
    assert_eq!(world.members(), 2);
}

/// As after a pause of the machine: what an old listing shows may have changed long ago.
#[test]
fn an_old_listing_does_not_tell_that_patience_has_ended() {
    let mut world = settled(0, 10, 2);
    world.order(Command::Set { capacity: 3 });
    world.pass();
    world.pass();
    world.pass_time(16 * MINUTE);
    let decision = world.pass_on_last_listing();
    assert_eq!((decision.tally.building, decision.tally.failed), (1, 0));
    world.pass();
    assert!(world.known.values().all(|known| known.failure.is_none()));

    world.order(Command::Set { capacity: 2 });
    world.pass();
    world.pass();
    world.pass_time(16 * MINUTE);
    world.pass_on_last_listing();
    assert!(world.intents.values().all(|intent| intent.trouble.is_none()));
    assert!(world.pass().waiting.is_empty());
}

#[test]
fn servers_that_nova_never_finishes_deleting_are_asked_for_again() {
    let mut world = settled(0, 8, 4);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.faults.delete_hangs = 100;
    world.order(Command::Set { capacity: 0 });
    for _ in 0..5 {
        world.pass();
        world.pass_time(61 * SECOND);
    }
    // Nobody looks for a while; then all of them are overdue at once.
    world.faults.unseen = 100;
    world.pass_time(20 * MINUTE);
    world.faults.unseen = 0;
    world.pass();
    world.pass_time(6 * MINUTE);
    let again = world.pass();
    assert_eq!(terminations(&again).len(), 4, "{:#?}", again.sentences());
    world.faults.delete_hangs = 0;
    world.settle(20);
    assert_eq!(world.members(), 0);
}

#[test]
fn a_promised_server_that_somebody_untagged_before_it_was_listed_is_replaced() {
    let mut world = World::new(group(1, 4), 1);
    world.pass();
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().tags.clear();
    for _ in 0..100 {
        world.pass_time(15 * SECOND);
        world.pass();
    }
    assert_eq!(world.members(), 1);
    assert_eq!(world.cloud.len(), 2, "the untagged one is left alone");
}

#[test]
fn a_group_whose_region_was_changed_is_left_alone() {
    let mut world = settled(2, 8, 3);
    let home = world.group.region.clone();
    world.group.region = Region::new("R2").unwrap();
    for _ in 0..5 {
        let decision = world.pass();
        assert!(decision.plan.is_empty(), "{:#?}", decision.sentences());
        let elsewhere = Waiting::Elsewhere { n: 3, region: home.clone() };
        assert!(decision.waiting.contains(&elsewhere), "{:#?}", decision.sentences());
        world.pass_time(20 * SECOND);
    }
    world.group.region = home;
    world.order(Command::Set { capacity: 4 });
    world.settle(10);
    assert_eq!((world.members(), world.created), (4, 4));
}

#[test]
fn an_unclear_launch_is_not_given_up_while_nobody_looks_at_its_region() {
    let mut world = World::new(group(0, 8), 1);
    world.faults.reply_lost = 100;
    world.order(Command::Set { capacity: 2 });
    world.pass();
    world.faults.reply_lost = 0;
    let home = world.group.region.clone();
    world.group.region = Region::new("R2").unwrap();
    for _ in 0..100 {
        world.pass_time(15 * SECOND);
        assert!(world.pass().plan.is_empty());
    }
    world.group.region = home;
    world.settle(10);
    assert_eq!((world.members(), world.created), (2, 2));
}

#[test]
fn a_server_that_cannot_be_deleted_does_not_keep_the_others() {
    let mut world = settled(0, 8, 4);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.stubborn = Some((world.first_id(), FailureKind::Conflict));
    world.order(Command::Set { capacity: 1 });
    for _ in 0..20 {
        world.pass();
        world.pass_time(30 * SECOND);
    }
    assert_eq!(world.members(), 1);
    assert!(world.cloud.contains_key(&world.stubborn.clone().unwrap().0));
}

#[test]
fn a_missing_right_to_delete_is_not_tried_on_every_server() {
    let mut world = settled(0, 120, 100);
    world.faults.denied = 100;
    world.order(Command::Set { capacity: 0 });
    for _ in 0..120 {
        world.pass();
        world.pass_time(15 * SECOND);
    }
    let rounds = world.asked / 30;
    assert!(rounds <= 25, "{} deletes in half an hour", world.asked);
    world.faults.denied = 0;
    world.pass_time(5 * MINUTE);
    assert!(!terminations(&world.pass()).is_empty(), "within a back-off period");
}

#[test]
fn a_server_that_was_gone_when_it_should_go_is_not_asked_for_again() {
    let mut world = settled(0, 8, 3);
    world.observe();
    let newest = world.first_id();
    world.cloud.remove(&newest);
    world.order(Command::Set { capacity: 2 });
    assert_eq!(terminations(&world.pass_on_last_listing()), [(&newest, Cause::Surplus)]);
    let next = world.pass_on_last_listing();
    assert!(next.plan.is_empty(), "the listing is older than the proof: {:?}", next.plan);
    assert_eq!((next.tally.serving, next.desired), (2, 2));
}

#[test]
fn the_calls_of_one_pass_fail_as_one_attempt() {
    let mut world = World::new(group(0, 200), 1);
    world.faults.refused = 100;
    world.order(Command::Set { capacity: 120 });
    assert_eq!(launches(&world.pass()).len(), 3);
    let decision = world.pass();
    let once = |w: &Waiting| matches!(w, Waiting::Backoff { attempts: 1, .. });
    assert!(decision.waiting.iter().any(once), "{:?}", decision.waiting);
}

#[test]
fn a_stopped_server_is_not_missed_in_the_measurements() {
    let mut world = settled(1, 10, 3);
    world.group.policies = vec![target("load", 10.0)];
    world.measure("load", 0.0);
    let whole = world.samples.pop().unwrap();
    let of = |id: &ServerId, world: &World| Sample {
        server: Some(id.clone()),
        value: Value::new(10.0).unwrap(),
        received: world.now,
        at: world.now.wall,
        ..whole.clone()
    };
    let ids: Vec<ServerId> = world.cloud.keys().cloned().collect();
    world.samples = ids.iter().map(|id| of(id, &world)).collect();
    world.pass();
    world.pass_time(10 * MINUTE);
    let fresh: Vec<Sample> = ids[1..].iter().map(|id| of(id, &world)).collect();
    world.samples.truncate(1);
    world.samples.extend(fresh);
    world.order(Command::Set { capacity: 1 });
    assert_eq!(world.pass().desired, 3, "the silent one may carry load");
    world.cloud.get_mut(&ids[0]).unwrap().status = Status::Shutoff;
    assert_eq!(world.pass().desired, 2);
}

#[test]
fn a_gap_in_the_data_does_not_end_the_stabilization() {
    let mut world = World::new(group(1, 10), 1);
    world.group.policies = vec![target("load", 10.0)];
    world.group.behaviour.scale_in.stabilization = 5 * MINUTE;
    for _ in 0..20 {
        world.measure("load", 60.0);
        world.pass();
        world.pass_time(30 * SECOND);
    }
    world.pass_time(6 * MINUTE);
    assert!(matches!(world.pass().tempering[..], [Tempering::Blind { .. }]));
    world.measure("load", 10.0);
    assert_eq!(world.pass().desired, 6);
    world.pass_time(5 * MINUTE + SECOND);
    world.measure("load", 10.0);
    assert_eq!(world.pass().desired, 1);
}

#[test]
fn servers_that_come_while_others_hide_do_not_stall_the_group() {
    let mut world = settled(0, 60, 10);
    for at in 0..20 {
        let mut server = world.cloud.values().next().cloned().unwrap();
        server.id = ServerId::new(format!("hand-{at}")).unwrap();
        server.metadata.clear();
        world.cloud.insert(server.id.clone(), server);
    }
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.retain(|s| s.id.as_str() > "s00005" || !s.id.as_str().starts_with('s'));
    world.order(Command::Set { capacity: 40 });
    assert_eq!(launches(&world.pass_on_last_listing()), [10]);
}

#[test]
fn what_may_not_be_deleted_is_no_scaling_in() {
    let mut world = settled(0, 8, 2);
    world.cloud.values_mut().for_each(|s| s.locked = true);
    world.order(Command::Set { capacity: 0 });
    let decision = world.pass();
    assert_eq!(decision.situation().word(), "holding");
    let said = "holding: 2 more than desired are protected, locked or not ours, and stay";
    assert_eq!(decision.headline(), said);
}

#[test]
fn only_what_has_not_come_yet_is_called_unclear() {
    let mut world = World::new(group(0, 8), 1);
    world.faults.reply_lost = 100;
    world.order(Command::Set { capacity: 4 });
    world.pass();
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.truncate(3);
    let decision = world.pass_on_last_listing();
    let one = Waiting::Coming { n: 1, unclear: 1 };
    assert!(decision.waiting.contains(&one), "{:?}", decision.waiting);

    for (reply_lost, unclear) in [(100, 4), (0, 0)] {
        let mut world = World::new(group(0, 8), 1);
        world.faults.reply_lost = reply_lost;
        world.order(Command::Set { capacity: 4 });
        world.pass();
        assert_eq!(world.pass_on_last_listing().waiting, [Waiting::Coming { n: 4, unclear }]);
    }
}

#[test]
fn decisions_read_as_sentences() {
    let mut world = World::new(group(2, 10), 1);
    world.group.policies = vec![target("requests", 100.0)];
    world.measure("requests", 540.0);
    let decision = world.pass();
    insta::assert_snapshot!(decision.sentences().join("\n"), @r"
    6 wanted: requests is 540, at 100 per server that wants 6.
    Also, min is 2.
    Desired is 6; no servers.
    Launch 6 of small in R1.
    Next look at 22:14:20 UTC.
    ");
}
