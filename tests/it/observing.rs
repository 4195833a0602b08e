//! The observer: what it asks by id beside the listing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{Audit, Compute, Create, Deleted, Marks, MayDelete};
use novascale::control::observe::{Round, Watched, observe};
use novascale::domain::fleet::Observation;
use novascale::domain::id::{Region, ServerId, Tag};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::server::Server;
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Now};
use tokio::sync::watch;

use crate::deciding::world::{World, group};

/// A Nova that shows faults by id only, as its listing does of servers in another cell.
struct Reticent {
    servers: BTreeMap<ServerId, Server>,
    asked: Mutex<Vec<ServerId>>,
}

#[async_trait]
impl Compute for Reticent {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(self.servers.values().map(|s| Server { fault: None, ..s.clone() }).collect())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        self.asked.lock().unwrap().push(id.clone());
        Ok(self.servers.get(id).cloned())
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        panic!("one listing is no audit")
    }

    async fn create(&self, _: &Create) -> Result<Option<ServerId>, Failure> {
        panic!("the observer creates nothing")
    }

    async fn adopt(&self, _: &Marks) -> Result<(), Failure> {
        panic!("nobody ordered an adoption")
    }

    async fn delete(&self, _: &Region, _: MayDelete) -> Result<Deleted, Failure> {
        panic!("the observer deletes nothing")
    }
}

struct Still(Now);

impl Clock for Still {
    fn now(&self) -> Now {
        self.0
    }
}

#[tokio::test]
async fn why_a_launch_failed_is_asked_once_where_the_listing_is_silent() {
    let mut crew = group(0, 20);
    crew.launch.batch = 4;
    let mut world = World::new(crew, 5);
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 8 });
    world.pass();
    world.pass_time(Duration::from_secs(6));

    let nova = Reticent { servers: world.cloud.clone(), asked: Mutex::default() };
    let (decided, latest) = watch::channel(None);
    let (out, mut seen) = watch::channel(Observation::Unseen { since: world.now, why: "".into() });
    let watched = [Watched { group: Arc::new(world.group.clone()), latest, out }];
    let region = world.group.region.clone();
    let look = async |now| {
        let mut round = Round::default();
        let patient = std::future::pending;
        observe(&nova, &Still(now), &region, &watched, &mut round, patient).await.unwrap();
    };

    look(world.now).await;
    assert_eq!(nova.asked.lock().unwrap().len(), 2, "one server of each of the two launches");
    world.observation = seen.borrow_and_update().clone();
    let decision = world.pass_on_last_listing();
    assert_eq!(decision.tally.failed, 8);
    let troubles = world.intents.values().filter_map(|intent| intent.trouble.as_ref());
    let kinds: Vec<FailureKind> = troubles.map(|trouble| trouble.failure.kind).collect();
    assert_eq!(kinds, [FailureKind::Capacity, FailureKind::Capacity]);

    decided.send_replace(Some(Arc::new(decision)));
    look(world.now.plus(Duration::from_secs(2))).await;
    assert_eq!(nova.asked.lock().unwrap().len(), 2, "the reasons are known by now");
}

/// A former group's tag is listed on demand; the servers are no members by that. A tag that
/// another group has is that group's own.
#[tokio::test]
async fn a_tag_that_is_sought_is_listed_apart() {
    let mut world = World::new(group(0, 20), 5);
    world.order(Command::Set { capacity: 3 });
    world.settle(20);
    let ids: Vec<ServerId> = world.cloud.keys().cloned().collect();
    for (id, tag) in ids[1..].iter().zip(["novascale:OLD", "novascale:api"]) {
        world.cloud.get_mut(id).unwrap().tags = vec![tag.to_owned()];
    }
    let nova = Reticent { servers: world.cloud.clone(), asked: Mutex::default() };
    let mut decision = world.pass();
    decision.changes.watched.clear();
    decision.changes.sought = ["novascale:old", "novascale:api"].map(|t| t.parse().unwrap()).into();
    let mut other = world.group.clone();
    other.tag = "novascale:api".parse().unwrap();
    let watch = |group: &novascale::domain::group::Group, latest| {
        let unseen = Observation::Unseen { since: world.now, why: "".into() };
        let (out, seen) = watch::channel(unseen);
        (Watched { group: Arc::new(group.clone()), latest, out }, seen)
    };
    let (_seeks, latest) = watch::channel(Some(Arc::new(decision)));
    let (_quiet, nothing) = watch::channel(None);
    let ((web, seen), (api, other)) = (watch(&world.group, latest), watch(&other, nothing));
    let (mut round, clock, region) = (Round::default(), Still(world.now), &world.group.region);
    let patient = std::future::pending;
    observe(&nova, &clock, region, &[web, api], &mut round, patient).await.unwrap();
    let Observation::Seen(seen) = seen.borrow().clone() else { panic!("not seen") };
    assert_eq!(seen.servers.iter().map(|s| &s.id).collect::<Vec<_>>(), [&ids[0]]);
    assert_eq!(seen.sought.tags, ["novascale:old".parse().unwrap()]);
    assert_eq!(seen.sought.servers.iter().map(|s| &s.id).collect::<Vec<_>>(), [&ids[1]]);
    let Observation::Seen(other) = other.borrow().clone() else { panic!("not seen") };
    assert_eq!((other.servers.len(), other.sought), (1, Default::default()));
}
