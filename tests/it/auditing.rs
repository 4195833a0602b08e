//! What an unfiltered listing tells, and what it leaves alone.

use std::sync::Arc;

use novascale::cloud::Audit;
use novascale::control::audit::findings;
use novascale::control::observe::Watched;
use novascale::domain::fleet::Observation;
use novascale::domain::id::{ServerId, mark};
use novascale::domain::signal::Command;
use tokio::sync::watch;

use crate::deciding::world::{World, group};

fn watched(world: &World) -> Vec<Watched> {
    let group = Arc::new(world.group.clone());
    let unseen = Observation::Unseen { since: world.now, why: String::new() };
    vec![Watched { group, latest: watch::channel(None).1, out: watch::channel(unseen).0 }]
}

#[test]
fn it_finds_the_untagged_the_unconfigured_and_the_unreachable() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 4 });
    world.settle(20);
    let watched = watched(&world);
    let all = |world: &World| world.cloud.values().cloned().collect::<Vec<_>>();
    let mut audit = Audit { servers: all(&world), unreachable: vec![] };
    assert!(findings(&audit, &watched, &world.install).is_empty());
    audit.servers[0].tags.clear();
    audit.servers[1].metadata.insert(mark::GROUP.into(), "old".into());
    audit.servers[2].metadata.insert(mark::INSTALL.into(), "f".repeat(32));
    audit.servers[2].tags.clear();
    audit.unreachable.push(ServerId::new("gone").unwrap());
    let said = findings(&audit, &watched, &world.install).to_string();
    assert_eq!(
        said,
        "1 server of web lost its tag and is no member any more (web-1); 1 server of old, which \
         is not configured here, is left alone (web-2); 1 server is in a cell that Nova cannot \
         reach"
    );
}

#[test]
fn of_many_servers_the_first_are_named() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 7 });
    world.settle(20);
    let mut servers: Vec<_> = world.cloud.values().cloned().collect();
    servers.iter_mut().for_each(|server| server.tags.clear());
    let audit = Audit { servers, unreachable: vec![] };
    assert_eq!(
        findings(&audit, &watched(&world), &world.install).to_string(),
        "7 servers of web lost its tag and are no members any more (web-1, web-2, web-3, web-4, \
         web-5, 2 more)"
    );
}
