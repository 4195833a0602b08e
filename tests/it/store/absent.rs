//! Groups that the configuration does not have any more: found, and kept while they live.

use std::sync::Arc;

use novascale::control::absent::{Absent, Absentees, Kept};
use novascale::domain::intent::State;
use novascale::domain::plan::Changes;
use novascale::domain::server::KnownState;
use novascale::domain::signal::Command;
use rstest::rstest;

use super::desk::*;
use crate::deciding::world;

const YEAR: u64 = 365 * 86_400;

#[rstest]
#[tokio::test]
async fn every_group_is_listed_that_something_is_kept_of(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    assert!(desk.store().groups().await.unwrap().is_empty());
    desk.record(&eventful(&group("web"), 0, Changes::default())).await;
    stored(desk.admit(command(&group("told"), 0, Command::Set { capacity: 3 })).await);
    stored(desk.admit(samples(&group("fed"), 0, vec![sample("load", 1.0, 0, 0)])).await);
    // Refused, and only asked for: nothing is kept of these.
    let too_many = Command::Set { capacity: u32::MAX };
    desk.admit(command(&group("refused"), 0, too_many)).await.unwrap_err();
    desk.all(&group("asked")).await;
    let names = desk.store().groups().await.unwrap();
    assert_eq!(names, ["fed", "told", "web"].map(group));
}

#[rstest]
#[tokio::test]
async fn what_lives_of_a_group_that_is_not_configured_is_kept_and_found(
    #[values(Kind::Memory, Kind::Sqlite, Kind::Flood)] kind: Kind,
) {
    let desk = kind.open().await;
    let standing = vec![
        known("a", KnownState::Listed, 0),
        known("b", KnownState::Missing, 0),
        known("c", KnownState::Gone, 0),
    ];
    let old = group("old");
    let intents = vec![intent(&old, 1, 0, State::Unsettled { since: at(0), absent: None })];
    let changes =
        Changes { known: standing, intents, memory: Some(memory(3)), ..Changes::default() };
    desk.record(&eventful(&old, 0, changes)).await;
    desk.record(&eventful(&group("empty"), 0, Changes::default())).await;
    let web = Arc::new(world::group(0, 3));
    desk.record(&eventful(&web.name, 0, Changes::default())).await;

    let absentees = Absentees::default();
    let found = |secs| absentees.of(desk.store(), std::slice::from_ref(&web), at(secs));
    let kept = Some(Kept { servers: 2, open: 1 });
    let one = Absent { name: old.clone(), kept, decided: Some(at(0)) };
    assert_eq!(found(1).await.unwrap(), std::slice::from_ref(&one));

    desk.store().sweep(&desk.lease, at(YEAR)).await.unwrap();
    assert_eq!(found(YEAR).await.unwrap(), [Absent { decided: None, ..one }]);

    // What was adopted under another name is that one's.
    let known = vec![known("a", KnownState::Listed, YEAR)];
    let adopted = Changes { known, ..Changes::default() };
    desk.record(&eventful(&web.name, YEAR, adopted)).await;
    let left = found(YEAR + 1).await.unwrap();
    assert_eq!(left[0].kept, Some(Kept { servers: 1, open: 1 }));
    let all = desk.all(&old).await;
    assert_eq!((all.memory, all.known.len(), all.intents.len()), (Some(memory(3)), 2, 1));
}

/// A store that fails at a reload hides no group that was shown before it.
#[test]
fn what_was_shown_stays_while_nothing_can_be_read() {
    let absent = |name: &str, kept| Absent { name: group(name), kept, decided: None };
    let kept = Some(Kept { servers: 2, open: 0 });
    let shown = [absent("old", kept), absent("web", kept)];
    let web = Arc::new(world::group(0, 3));
    let now = Absent::as_before(&shown, &[web], &["gone".to_owned()]);
    assert_eq!(now, [absent("old", kept), absent("gone", None)]);
}
