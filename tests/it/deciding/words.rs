//! What people read: headlines, explanations, answers to commands, news of servers.

use std::time::Duration;

use novascale::control::news::{Event, Item, News};
use novascale::domain::explain;
use novascale::domain::id::{Owner, ServerId};
use novascale::domain::server::{Fault, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::Now;
use rstest::rstest;

use super::world::{World, group, settled, target};

const MINUTE: Duration = Duration::from_secs(60);

fn answered(world: &mut World, command: Command) -> String {
    world.order(command.clone());
    let decision = world.pass();
    explain::answer(&command, &world.state, &decision)
}

#[test]
fn no_number_is_a_line_of_digits() {
    let said = [-12.5, 0.0, 50.0, 1e15, -f64::MAX, f64::MIN_POSITIVE]
        .map(|by| Command::Percent { by }.to_string().replace("change the base by ", ""));
    let short = ["-12.5 %", "+0 %", "+50 %", "+1e15 %"];
    assert_eq!(said[..4], short);
    assert!(said.iter().all(|said| said.len() < 32), "{said:?}");
    let mut crew = group(0, 10);
    crew.policies.push(target("requests", 100.0));
    let mut world = World::new(crew, 1);
    world.measure("requests", f64::MAX);
    let headline = world.pass().headline();
    assert!(headline.contains("requests is 1.797") && headline.len() < 200, "{headline}");
}

#[test]
fn an_answer_says_what_the_command_did_and_what_becomes_of_it() {
    let mut world = settled(2, 10, 3);
    let owner = Owner::new("nightly").unwrap();
    let until = world.now.plus(Duration::from_secs(7200));
    let told = [
        answered(&mut world, Command::Set { capacity: 5 }),
        answered(&mut world, Command::Set { capacity: 20 }),
        answered(&mut world, Command::Adjust { by: -100 }),
        answered(&mut world, Command::Reserve { owner: owner.clone(), capacity: 6, until }),
        answered(&mut world, Command::Set { capacity: 3 }),
        answered(&mut world, Command::Release { owner }),
        answered(&mut world, Command::Pin { capacity: 50, until: None }),
        answered(&mut world, Command::Pin { capacity: 4, until: Some(until) }),
        answered(&mut world, Command::Unpin),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    base 5; desired is 5
    base 10, which is max; desired is 10
    base 2, which is min; desired is 2
    nightly reserved 6 for 2 h; desired is 6
    base 3; desired is 6: nightly reserved 6 for 2 h more
    nightly has no reservation now; desired is 3: base is 3
    pinned at 50; desired is 10: pinned at 50; cut from 50 to 10, which is max
    pinned at 4 for 2 h; desired is 4
    no pin now; desired is 3: base is 3
    ");
}

#[test]
fn a_command_is_told_with_its_end_and_its_reason() {
    let now = Now::default();
    let until = now.plus(Duration::from_secs(7200));
    let pin = Command::Pin { capacity: 4, until: Some(until) };
    assert_eq!(explain::order(&pin, Some("repair"), now), "pin at 4 for 2 h (repair)");
    let set = Command::Set { capacity: 5 };
    assert_eq!(explain::order(&set, Some("sale"), now), "set the base to 5 (sale)");
    let owner = Owner::new("nightly").unwrap();
    let reserve = Command::Reserve { owner, capacity: 6, until };
    assert_eq!(explain::order(&reserve, None, now), "reserve 6 for nightly for 2 h");
}

#[test]
fn a_headline_says_what_keeps_the_fleet_larger_than_wanted() {
    let mut world = World::new(group(2, 10), 1);
    world.group.policies = vec![target("requests", 100.0)];
    world.group.behaviour.scale_in.stabilization = 3 * MINUTE;
    world.measure("requests", 540.0);
    world.settle(20);
    world.measure("requests", 90.0);
    let held = world.pass().headline();
    assert!(held.starts_with("6 serve, held at 6 rather than 2: 6 were wanted within"), "{held}");
    world.pass_time(20 * MINUTE);
    let blind = world.pass().headline();
    assert!(blind.starts_with("6 serve, held at 6 rather than 2: requests lacks"), "{blind}");
    assert_eq!(settled(0, 5, 0).pass().headline(), "no servers, as desired: base is 0");
}

#[test]
fn a_headline_does_not_pass_over_servers_that_were_not_listed() {
    let mut world = settled(0, 5, 2);
    world.faults.lag = 100;
    world.faults.blind = 100;
    assert_eq!(
        world.pass().headline(),
        "none serve, 2 are missing from the listing or of unknown state; asking Nova for each"
    );
}

#[test]
fn a_name_keeps_its_case_wherever_it_stands() {
    let mut world = World::new(group(2, 3), 1);
    world.group.policies = vec![target("requests", 100.0), target("queue", 10.0)];
    world.measure("requests", 540.0);
    let said = world.pass().sentences().join("\n");
    assert!(said.contains("Also, queue is unknown") && said.contains("Also, min is 2."), "{said}");
    assert!(said.contains("Cut from 6 to 3, which is max."), "{said}");
}

#[test]
fn a_server_that_is_to_go_is_called_by_its_name() {
    let mut world = settled(0, 5, 3);
    world.order(Command::Set { capacity: 2 });
    let decision = world.pass();
    let action = decision.plan.first().unwrap();
    let name = world.cloud.values().next().unwrap().name.clone();
    let prefix = name.split('-').next().unwrap();
    let words = decision.in_words(action);
    assert!(words.starts_with(&format!("terminate {prefix}-")), "{words}");
    assert!(decision.sentences().iter().any(|s| s.contains(&words[1..])), "{words}");
}

/// What is told of one change that somebody made to the first of three servers.
fn told(change: impl FnOnce(&mut World, &ServerId)) -> Vec<String> {
    let mut world = settled(0, 5, 3);
    let mut news = News::default();
    let first = news.of(&world.pass());
    assert!(first.is_empty(), "{first:?}");
    let id = world.cloud.keys().next().cloned().unwrap();
    change(&mut world, &id);
    let mut told = Vec::new();
    for _ in 0..10 {
        world.pass_time(Duration::from_secs(5));
        told.extend(news.of(&world.pass()).iter().map(ToString::to_string));
    }
    told.into_iter().map(|line| line.replace(&format!(" ({id})"), " (ID)")).collect()
}

fn set(world: &mut World, id: &ServerId, status: Status) {
    world.cloud.get_mut(id).unwrap().status = status;
}

#[rstest]
#[case::deleted(|w: &mut World, id: &ServerId| { w.cloud.remove(id); }, "deleted, but not by")]
#[case::untagged(
    |w: &mut World, id: &ServerId| w.cloud.get_mut(id).unwrap().tags.clear(),
    "lost the group's tag and is left alone"
)]
#[case::stopped(
    |w: &mut World, id: &ServerId| set(w, id, Status::Shutoff),
    "is SHUTOFF: no capacity any more, left alone"
)]
#[case::broken(
    |w: &mut World, id: &ServerId| {
        set(w, id, Status::Error);
        let fault = Fault { code: 500, message: "disk lost".into() };
        w.cloud.get_mut(id).unwrap().fault = Some(fault);
    },
    "is in ERROR: disk lost"
)]
fn what_others_do_to_servers_is_told_once(
    #[case] change: fn(&mut World, &ServerId),
    #[case] words: &str,
) {
    let told = told(change);
    assert!(told.len() == 1 && told[0].contains(words) && told[0].contains("(ID)"), "{told:?}");
}

#[test]
fn a_tagged_stranger_is_told_and_what_we_do_ourselves_is_not() {
    let lines = told(|world, id| {
        let mut server = world.cloud[id].clone();
        server.id = ServerId::new("pet").unwrap();
        server.metadata.clear();
        server.tags.retain(|t| !t.contains("launch"));
        world.cloud.insert(server.id.clone(), server);
        world.order(Command::Set { capacity: 4 });
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("tagged but not launched by novascale: counted, never deleted"));
    assert!(told(|world, _| world.order(Command::Set { capacity: 0 })).is_empty());
}

#[test]
fn the_same_fate_of_many_is_one_line() {
    let whom = vec!["web-1 (a)".to_owned(), "web-2 (b)".to_owned()];
    let item = Item { event: Event::Gone, whom };
    assert_eq!(
        item.to_string(),
        "2 servers, web-1 (a) among them, were deleted, but not by novascale"
    );
}
