//! Servers are taken over on a real Nova: what it lets a service account write, and when; a
//! group with a new name; a lost installation; and two installations on one group by mistake.

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

const TAG: &str = "novascale:crew";

fn configured(group: &str) -> String {
    let soon = "launch = { backoff_first = \"1s\", backoff_most = \"5s\" }";
    let group = format!("[group.{group}]\nmin = 0\nmax = 6\n{GROUP}{soon}\n");
    settings("cloud = \"ovhcloud\"", &group)
}

fn foreign(daemon: &Daemon, group: &str, n: u64) {
    until(&format!("{n} foreign members of {group}"), || {
        let tally = &daemon.status(group)["tally"];
        if tally["foreign"] == n { Ok(()) } else { Err(tally.to_string()) }
    });
}

fn install(nova: &Nova, tag: &str) -> String {
    nova.tagged(tag)[0].metadata["novascale:install"].clone()
}

#[test]
fn adopted_hand_made_servers_are_deleted_like_any_other() {
    let lab = Lab::take("adopted: made by hand");
    let nova = Nova::of(&lab);
    let (tagged, bare) = (nova.neighbour("by-hand", &[]), nova.neighbour("bare", &["team:x"]));
    lab.openstack(&["server", "set", "--tag", TAG, &tagged.id]);
    let locked = nova.neighbour("locked", &[TAG]);
    lab.openstack(&["server", "lock", &locked.id]);
    let daemon = Daemon::started(&lab, &configured("crew"));
    foreign(&daemon, "crew", 2);
    let shown = daemon.tell(&["adopt", "crew", "--dry-run"]);
    assert!(shown.contains(&tagged.id) && shown.contains("Nothing was ordered."), "{shown}");
    let named = daemon.ask(&["adopt", "crew", "by-hand"]);
    assert!(named.code == 1 && named.err.contains(&tagged.id), "{named:?}");

    println!("{}", daemon.tell(&["adopt", "crew"]));
    println!("{}", daemon.tell(&["adopt", "crew", &bare.id]));
    foreign(&daemon, "crew", 1);
    until("the untagged server to be ours", || {
        let there = nova.tagged(TAG).into_iter().find(|server| server.id == bare.id);
        let marked = there.filter(|s| s.metadata.contains_key("novascale:launch"));
        marked.map(|_| ()).ok_or_else(|| daemon.explain("crew"))
    });
    assert!(nova.server(&bare.id).unwrap().tags.contains(&"team:x".to_owned()));
    let why = daemon.explains("crew", "openstack server unlock");
    assert!(why.contains(&format!("Adopting {} failed", locked.id)), "{why}");
    lab.note("a locked server waits, and it is said why");
    lab.openstack(&["server", "unlock", &locked.id]);
    foreign(&daemon, "crew", 0);
    daemon.explains("crew", "servers were adopted; it is held");
    assert_eq!(nova.settled(TAG, 3).len(), 3);
    daemon.scale("crew", 0);
    nova.settled(TAG, 0);
    until("all to be gone", || match nova.all().len() {
        0 => Ok(()),
        n => Err(format!("{n} are left")),
    });
    lab.note("adopted servers are deleted like any other");
}

#[test]
fn an_adopted_group_with_a_new_name_keeps_its_servers() {
    let lab = Lab::take("adopted: renamed");
    let nova = Nova::of(&lab);
    let mut daemon = Daemon::started(&lab, &configured("old"));
    daemon.scale("old", 3);
    let before = nova.settled("novascale:old", 3);
    daemon.terminate();
    daemon.configure(&configured("crew"));
    daemon.start();
    println!("{}", daemon.tell(&["adopt", "crew", "--from", "old"]));
    let after = nova.settled(TAG, 3);
    let ids = |of: &[crate::harness::Server]| {
        of.iter().map(|s| s.id.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(&before), ids(&after));
    nova.settled("novascale:old", 0);
    foreign(&daemon, "crew", 0);
    until("3 to serve", || {
        let tally = &daemon.status("crew")["tally"];
        if tally["serving"] == 3 { Ok(()) } else { Err(tally.to_string()) }
    });
    assert_eq!(daemon.status("crew")["desired"], 3);
    lab.note("the same servers, under the new name");
    daemon.scale("crew", 0);
    nova.settled(TAG, 0);
}

/// As after a machine that was lost: another installation meets the servers, and freezes; it
/// is also what a second controller does that is started by mistake.
#[test]
fn adopted_from_a_lost_installation_and_refused_while_it_lives() {
    let lab = Lab::take("adopted: another installation's");
    let nova = Nova::of(&lab);
    let mut first = Daemon::started(&lab, &configured("crew"));
    first.scale("crew", 3);
    nova.settled(TAG, 3);
    let id = install(&nova, TAG);
    let second = Daemon::started(&lab, &configured("crew"));
    second.scale("crew", 5);
    let why = second.explains("crew", "nothing is changed");
    assert!(why.contains(&id) && why.contains("`novascale adopt`"), "{why}");
    assert_eq!(second.status("crew")["situation"], "holding");
    first.scale("crew", 4);
    nova.settled(TAG, 4);
    first.scale("crew", 2);
    nova.settled(TAG, 2);
    lab.note("the second refuses, the first is not disturbed");

    first.kill();
    println!("{}", second.tell(&["adopt", "crew"]));
    nova.settled(TAG, 2);
    foreign(&second, "crew", 0);
    assert_ne!(install(&nova, TAG), id);
    second.scale("crew", 4);
    nova.settled(TAG, 4);
    second.scale("crew", 0);
    nova.settled(TAG, 0);
    assert_eq!(second.metric("novascale_pass_failures_total"), 0.0);
    lab.note("adopted, it works again");
}
