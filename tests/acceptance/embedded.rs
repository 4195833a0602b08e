//! The README's "Try it": the shipped scaling.toml, its embedded cloud, and the real `openstack`
//! command with the clouds.yaml that novascale writes. No lab has a part in it.

use serde::Deserialize;

use crate::harness::{Daemon, until};

const SHIPPED: &str = include_str!("../../scaling.toml");

const TAG: &str = "novascale:web";

/// A line of `openstack server list`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Row {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Status")]
    status: String,
}

/// The shipped file on ports that the system chooses.
fn shipped() -> String {
    let mut text = SHIPPED.to_owned();
    for (key, port) in [("webhook", 7780), ("admin", 7781)] {
        let default = format!("#{key} = \"127.0.0.1:{port}\"");
        assert!(text.contains(&default), "{default}");
        text = text.replace(&default, &format!("{key} = \"127.0.0.1:0\""));
    }
    text
}

fn listed(daemon: &Daemon, filter: &[&str]) -> Vec<Row> {
    let words = [&["server", "list", "-f", "json"], filter].concat();
    serde_json::from_str(&daemon.openstack(&words)).unwrap()
}

/// The group's servers, once there are so many, all ACTIVE and this one not among them.
fn fleet(daemon: &Daemon, n: usize, without: &str) -> Vec<Row> {
    until(&format!("{n} servers of web without {without:?}"), || {
        let there = listed(daemon, &["--tags", TAG]);
        let good = there.iter().all(|row| row.status == "ACTIVE" && row.id != without);
        if good && there.len() == n { Ok(there) } else { Err(format!("{there:?}")) }
    })
}

#[test]
fn the_openstack_command_meddles_with_the_embedded_cloud() {
    let mut daemon = Daemon::with_its_own_cloud(&shipped());
    let two = fleet(&daemon, 2, "");
    assert_eq!(listed(&daemon, &[]), two);
    daemon.tell(&["signal", "web", "requests", "540"]);
    let six = fleet(&daemon, 6, "");

    let deleted = &six[0];
    daemon.openstack(&["server", "delete", &deleted.name]);
    let six = fleet(&daemon, 6, &deleted.id);

    let untagged = &six[0];
    daemon.openstack(&["server", "unset", "--tag", TAG, &untagged.name]);
    fleet(&daemon, 6, &untagged.id);

    // What is acknowledged outlives the process.
    let image = ["--image", "Debian 12", "--flavor", "d2-2", "--network", "Ext-Net"];
    let words = ["server", "create", "pet", "--tag", "team:pets", "-f", "value", "-c", "id"];
    let pet = daemon.openstack(&[&words[..], &image].concat()).trim().to_owned();
    daemon.kill();
    daemon.start();

    daemon.scale("batch", 1);
    until("a server of batch", || match listed(&daemon, &["--tags", "novascale:batch"]).len() {
        1 => Ok(()),
        n => Err(format!("{n} servers")),
    });
    daemon.scale("batch", 0);
    until("batch to be gone", || match listed(&daemon, &["--tags", "novascale:batch"]).len() {
        0 => Ok(()),
        n => Err(format!("{n} servers")),
    });
    daemon.steady("web");
    let all = listed(&daemon, &[]);
    assert_eq!(all.len(), 8, "{all:?}");
    for other in [&untagged.id, &pet] {
        let stays = all.iter().any(|row| row.id == *other && row.status == "ACTIVE");
        assert!(stays, "{other}: {all:?}");
    }

    // Each is told once when it happens; after a start, who lacks the tag.
    let expected = [
        (deleted, "deleted, but not by novascale"),
        (untagged, "lost the group's tag and is left alone"),
        (untagged, "1 server of web lost its tag and is no member any more"),
    ];
    let complaints = daemon.complaints();
    assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
    for (said, (server, words)) in complaints.iter().zip(expected) {
        assert!(said.contains(words) && said.contains(&server.name), "{said}: not {words}");
    }
}
