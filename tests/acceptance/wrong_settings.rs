//! What people get wrong: each mistake is named with the key to mend, the daemon stays up, and
//! what is right goes on.

use crate::harness::{Daemon, GROUP, Lab, Nova, settings, until};

/// `[cloud]` in full, as the lab's service account, with these settings in place of its own.
fn service_account(lab: &Lab, region: &str, variable: &str) -> String {
    let cloud = lab.cloud("ovhcloud");
    let mut lines = vec!["auth_type = \"v3oidcclientcredentials\"".to_owned()];
    for (name, value) in cloud.auth.iter().filter(|(name, _)| *name != "client_secret") {
        lines.push(format!("{name} = {value:?}"));
    }
    lines.push(format!("client_secret = {{ env = {variable:?} }}"));
    lines.push(format!("region = {region:?}"));
    lines.join("\n")
}

#[test]
fn an_account_that_may_only_read_is_told_which_right_it_lacks() {
    let lab = Lab::take("reader account");
    let nova = Nova::of(&lab);
    let calls = lab.mark("nova-api.log");
    let group = format!("[group.crew]\nmin = 2\nmax = 4\n{GROUP}");
    let mut daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud-reader\"", &group));
    let right = "publicCloudProject:openstack:computeOperator";
    let said = daemon.explains("crew", right);
    assert!(said.contains("403"), "{said}");
    assert!(daemon.log().contains(right), "{}", daemon.log());
    let refused: Vec<u16> = calls.creates().iter().map(|create| create.status).collect();
    assert!(!refused.is_empty() && refused.iter().all(|status| *status == 403), "{refused:?}");

    // What is still allowed goes on.
    let listings = || {
        let listed = |a: &&_| a_listing(a);
        calls.answered().iter().filter(listed).count()
    };
    let before = listings();
    until("further listings", || match listings() - before {
        2.. => Ok(()),
        n => Err(format!("{n} more")),
    });
    assert_eq!(daemon.metric("novascale_listing_failures_total"), 0.0);
    assert_eq!(daemon.get("/readyz", None), "ready\n");
    assert!(daemon.lives());
    assert_eq!(nova.all(), []);
}

fn a_listing(answered: &crate::harness::Answered) -> bool {
    answered.path.contains("/servers/detail?") && answered.status == 200
}

#[test]
fn each_wrong_name_in_a_group_is_told_by_its_key_and_the_others_work() {
    let lab = Lab::take("wrong names");
    let nova = Nova::of(&lab);
    let group = |name: &str| format!("[group.{name}]\nmin = 1\nmax = 2\n{GROUP}\n");
    let short = "launch = { backoff_first = \"2s\", backoff_most = \"5s\" }\n";
    let wrong = [
        group("good"),
        group("flavor").replace("\"d2-2\"", "\"d2-3\"") + short,
        group("image").replace("\"Debian 12\"", "\"Debian 21\"") + short,
        group("network").replace("\"Ext-Net\"", "\"Ext-Ned\"") + short,
        group("region") + "region = \"US-EAST-VA-9\"\n",
    ];
    let mut daemon = Daemon::started(&lab, &settings("cloud = \"ovhcloud\"", &wrong.concat()));
    nova.settled("novascale:good", 1);
    for (name, key, meant) in [
        ("flavor", "group.flavor.flavor", "d2-2"),
        ("image", "group.image.image", "Debian 12"),
        ("network", "group.network.networks", "Ext-Net"),
        ("region", "group.region.region", "its regions are"),
    ] {
        let said = daemon.explains(name, key);
        assert!(said.contains(meant), "{name} does not say what there is: {said}");
        assert!(daemon.log().contains(key), "the log does not name {key}:\n{}", daemon.log());
        lab.note(&format!("{name}: {said}"));
    }
    assert!(daemon.lives());
    daemon.scale("good", 2);
    nova.settled("novascale:good", 2);
    assert_eq!(nova.all().len(), 2, "a group with a wrong name made a server");

    let mended = wrong.concat().replace("\"Debian 21\"", "\"Debian 12\"");
    assert_eq!(daemon.terminate().0.code(), Some(0));
    daemon.configure(&settings("cloud = \"ovhcloud\"", &mended));
    daemon.start();
    nova.settled("novascale:image", 1);
    nova.settled("novascale:good", 2);
    lab.note("the mended group works after a restart");
}

#[test]
fn a_wrong_secret_and_a_wrong_region_of_the_cloud_are_told_by_their_keys() {
    let lab = Lab::take("wrong secret, wrong region");
    let nova = Nova::of(&lab);
    let group = format!("[group.crew]\nmin = 1\nmax = 2\n{GROUP}");
    let right = lab.cloud("ovhcloud").auth["client_secret"].clone();
    let region = lab.cloud("ovhcloud").region_name.clone();
    let cases = [
        (region.as_str(), "not-the-secret-at-all", "cloud.client_secret"),
        ("US-EAST-VA-9", right.as_str(), "cloud.region"),
    ];
    for (region, secret, key) in cases {
        let cloud = service_account(&lab, region, "LAB_SECRET");
        let text = settings(&cloud, &group);
        let mut daemon = Daemon::new(&lab, &text).with("LAB_SECRET", secret);
        daemon.start();
        let said = daemon.explains("crew", key);
        until("the log to name the key", || {
            if daemon.log().contains(key) { Ok(()) } else { Err(daemon.log()) }
        });
        assert!(!daemon.log().contains(secret) && !said.contains(secret), "the secret is shown");
        assert!(daemon.lives());
        assert!(daemon.get("/readyz", None).contains("not ready"));
        lab.note(&format!("{key}: {said}"));
    }

    // The same settings with nothing wrong.
    let cloud = service_account(&lab, &region, "LAB_SECRET");
    let mut daemon = Daemon::new(&lab, &settings(&cloud, &group)).with("LAB_SECRET", &right);
    daemon.start();
    nova.settled("novascale:crew", 1);
}
