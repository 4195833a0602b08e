//! What a right file means.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use novascale::config::{Cloud, Config};
use novascale::domain::behaviour::Behaviour;
use novascale::domain::group::{
    AntiAffinity, BootVolume, Group, ImageRef, LaunchLimits, Networks, Patience, Placement,
};
use novascale::domain::policy::Policy;
use rstest::rstest;

use super::{Place, right};

fn config(text: &str) -> Config {
    Place::with(text).load().unwrap_or_else(|faults| panic!("{faults}")).config
}

fn group(extra: &str) -> Group {
    config(&right(extra)).groups.remove(0)
}

/// Where a setting of the template is replaced rather than added.
fn with(from: &str, to: &str) -> Group {
    config(&right("").replace(from, to)).groups.remove(0)
}

#[test]
fn defaults_are_the_domains() {
    let web = group("");
    assert_eq!(web.tag.as_str(), "novascale:web");
    assert_eq!(web.behaviour, Behaviour::default());
    assert_eq!(web.patience, Patience::default());
    assert_eq!(web.launch, LaunchLimits::default());
    assert_eq!(web.template.name_prefix, "web");
    assert_eq!(web.template.placement, Placement::Anywhere);
    assert!(web.policies.is_empty() && !web.template.config_drive);
}

#[test]
fn a_region_comes_from_the_group_else_from_the_cloud() {
    assert_eq!(group("").region.as_str(), "SANDBOX");
    assert_eq!(group("region = \"GRA11\"").region.as_str(), "GRA11");
    let text = right("").replace("\n\n[group", "\nsandbox.region = \"S2\"\n\n[group");
    assert_eq!(config(&text).groups[0].region.as_str(), "S2");
}

#[test]
fn behaviour_patience_and_launch_are_read() {
    let web = group(
        "[group.web.scale_in]\nstabilization = \"0s\"\ncooldown = \"1h 30m\"\nvelocity = \"12.5 %\"\n\
         [group.web.patience]\nbuild = \"90s\"\ndelete = \"2m\"\nsettle = \"1d\"\n\
         [group.web.launch]\nbatch = 200\nbackoff_first = \"1500ms\"\nbackoff_most = \"2h\"\n\
         [[group.web.target]]\nsignal = \"rps\"\nper_server = 0.5\nstale_after = \"1w\"\n",
    );
    let scale_in = &web.behaviour.scale_in;
    assert_eq!(scale_in.stabilization, Duration::ZERO);
    assert_eq!(scale_in.cooldown, Duration::from_secs(5400));
    assert_eq!(scale_in.velocity.percent, 12.5);
    assert_eq!(web.patience.settle, Duration::from_secs(86_400));
    assert_eq!(web.launch.batch, 200);
    assert_eq!(web.launch.backoff.first, Duration::from_millis(1500));
    let Policy::Total(target) = &web.policies[0] else { panic!("{:?}", web.policies) };
    assert_eq!(
        (target.per_server, target.reading.stale_after),
        (0.5, Duration::from_secs(604_800))
    );
}

#[test]
fn a_template_is_read() {
    let web = group(
        "security_groups = [\"default\", \"web\"]\nkey_pair = \"me\"\navailability_zones = [\"a\", \"b\"]\n\
         user_data = \"#!/bin/sh\\n\"\nname_prefix = \"w\"\nconfig_drive = true\nanti_affinity = \"strict\"\n\
         boot_volume = { size_gib = 20, type = \"fast\" }\n[group.web.metadata]\n\"role: x\" = \"y\"\n",
    );
    let template = web.template;
    assert_eq!(template.security_groups, ["default", "web"]);
    assert_eq!(template.key_name.as_deref(), Some("me"));
    assert_eq!(template.zones.len(), 2);
    assert_eq!(&*template.user_data.unwrap().0, b"#!/bin/sh\n");
    assert_eq!(template.metadata["role: x"], "y");
    assert_eq!(template.placement, Placement::AntiAffinity(AntiAffinity::Strict));
    let volume =
        BootVolume { size_gib: 20, volume_type: Some("fast".into()), delete_on_termination: true };
    assert_eq!(template.boot_volume, Some(volume));
}

#[rstest]
#[case("{ id = \"i\" }", ImageRef::Id("i".into()))]
#[case("{ name = \"n\" }", ImageRef::Name("n".into()))]
#[case("{ newest = \"Debian*\" }", ImageRef::Newest("Debian*".into()))]
fn images_are_told_apart(#[case] text: &str, #[case] image: ImageRef) {
    assert_eq!(with("\"Debian 12\"", text).template.image, image);
}

#[rstest]
#[case("\"auto\"", Networks::Auto)]
#[case("\"none\"", Networks::None)]
#[case("[\"a\", \"b\"]", Networks::Named(vec!["a".into(), "b".into()]))]
fn networks_are_told_apart(#[case] text: &str, #[case] networks: Networks) {
    assert_eq!(with("[\"Ext-Net\"]", text).template.networks, networks);
}

#[test]
fn user_data_comes_from_a_file_beside_the_configuration() {
    let place = Place::with(&right("user_data_file = \"boot.sh\""));
    place.write("boot.sh", "#!/bin/sh\n");
    let first = place.load().unwrap().config.groups.remove(0);
    assert_eq!(&*first.template.user_data.as_ref().unwrap().0, b"#!/bin/sh\n");
    place.write("boot.sh", "#!/bin/bash\n");
    let second = place.load().unwrap().config.groups.remove(0);
    assert_ne!(first.template.hash, second.template.hash, "the content is part of the digest");
    assert!(!format!("{first:?}").contains("bin/sh"));
}

#[test]
fn user_data_fits_novas_limit_to_the_byte() {
    for (bytes, fits) in [(49_149, true), (49_150, false)] {
        let place = Place::with(&right("user_data_file = \"boot\""));
        place.write("boot", &"x".repeat(bytes));
        assert_eq!(place.load().is_ok(), fits, "{bytes}");
    }
}

#[test]
fn every_change_of_the_template_changes_its_digest() {
    let changes = [
        "",
        "key_pair = \"a\"",
        "key_pair = \"b\"",
        "security_groups = [\"a\"]",
        "availability_zones = [\"a\"]",
        "user_data = \"a\"",
        "metadata = { a = \"b\" }",
        "metadata = { b = \"a\" }",
        "name_prefix = \"x\"",
        "config_drive = true",
        "server_group = \"a\"",
        "anti_affinity = \"soft\"",
        "anti_affinity = \"strict\"",
        "boot_volume = { size_gib = 1 }",
        "boot_volume = { size_gib = 1, delete_on_termination = false }",
    ];
    let digests: BTreeSet<_> = changes.iter().map(|c| group(c).template.hash).collect();
    assert_eq!(digests.len(), changes.len());
}

#[test]
fn every_other_change_changes_the_groups_digest_alone() {
    let changes = [
        "",
        "tag = \"x\"",
        "region = \"R\"",
        "scale_in.cooldown = \"1s\"",
        "scale_in.stabilization = \"1s\"",
        "scale_in.velocity = \"1%\"",
        "scale_in.select = \"disabled\"",
        "scale_out.select = \"disabled\"",
        "scale_in.rates = [{ count = 1, per = \"1m\" }]",
        "scale_out.rates = [{ count = 1, per = \"1m\" }]",
        "scale_out.rates = [{ percent = \"1%\", per = \"1m\" }]",
        "scale_in.tolerance = \"1%\"",
        "scale_out.tolerance = \"1%\"",
        "scale_out.stabilization = \"1s\"",
        "scale_out.cooldown = \"1s\"",
        "patience.build = \"1m\"",
        "patience.delete = \"1m\"",
        "patience.settle = \"1h\"",
        "launch.batch = 1",
        "meltdown.share = \"50%\"",
        "meltdown.most = 4",
        "meltdown.within = \"5m\"",
        "launch.backoff_first = \"1s\"",
        "launch.backoff_most = \"1h\"",
        "target = [{ signal = \"a\", per_server = 1 }]",
        "target = [{ signal = \"a\", per_server = 2 }]",
    ];
    let groups: Vec<Group> = changes.iter().map(|c| group(c)).collect();
    let digests: BTreeSet<_> = groups.iter().map(|g| g.config_hash.clone()).collect();
    assert_eq!(digests.len(), changes.len());
    assert!(groups.iter().all(|g| g.template.hash == groups[0].template.hash));
}

/// Servers in the cloud carry these digests: a release that changed them would replace every fleet.
#[test]
fn digests_stay_what_they_are() {
    let web = group("");
    insta::assert_snapshot!(format!("{} {}", web.template.hash, web.config_hash), @"6143c331fafd9365 6c58e9762903400b");
}

#[test]
fn the_groups_name_is_no_part_of_the_template() {
    let one = group("name_prefix = \"x\"").template.hash;
    let other = config(&right("name_prefix = \"x\"").replace("group.web", "group.other"));
    assert_eq!(one, other.groups[0].template.hash);
}

#[test]
fn listeners_and_their_limits_are_read() {
    let http = config(&right(
        "[http]\nwebhook = \"[::1]:0\"\nadmin = \"0.0.0.0:80\"\nbehind_proxy = true\nlimits.body_bytes = 1024\n",
    ))
    .http;
    assert!(http.webhook.is_ipv6() && http.behind_proxy);
    assert_eq!(http.limits.body_bytes, 1024);
}

#[test]
fn the_embedded_cloud_is_read() {
    let text = right(
        "[cloud.sandbox]\nport = 5000\nbuild = [\"0s\", \"1s\"]\nquota_instances = 3\n[cloud.limits]\nconcurrency = 2\n",
    );
    let Cloud::Sandbox(sandbox) = config(&text).cloud else { panic!("the embedded cloud") };
    assert_eq!((sandbox.port, sandbox.quota_instances, sandbox.limits.concurrency), (5000, 3, 2));
    assert_eq!(sandbox.build, (Duration::ZERO, Duration::from_secs(1)));
}

#[test]
fn state_lies_where_systemd_says_else_where_the_file_says_else_beside_it() {
    let place = Place::new();
    place.write("etc/scaling.toml", &right(""));
    let loaded = Config::load(Path::new("etc/scaling.toml"), &place.env()).unwrap();
    assert_eq!(loaded.config.controller.state_dir, place.path().join("etc/.novascale"));
    let text =
        right("[controller]\nstate_dir = \"state\"\nid = \"0123456789abcdef0123456789abcdef\"\n");
    let place = Place::with(&text);
    let controller = place.load().unwrap().config.controller;
    assert_eq!(controller.state_dir, place.path().join("state"));
    assert_eq!(controller.id.unwrap().as_str(), "0123456789abcdef0123456789abcdef");
    let place = Place::with(&text).var("STATE_DIRECTORY", "/var/lib/novascale");
    assert_eq!(
        place.load().unwrap().config.controller.state_dir.to_str(),
        Some("/var/lib/novascale")
    );
    assert!(place.warnings()[0].contains("`controller.state_dir` does not count"));
}

#[test]
fn a_volume_that_outlives_its_server_warns() {
    let place =
        Place::with(&right("boot_volume = { size_gib = 1, delete_on_termination = false }"));
    assert!(place.warnings()[0].contains("leaves a volume behind"));
}

#[test]
fn a_certificate_that_nobody_is_asked_for_warns() {
    let source = "[source.s]\nformat = \"alertmanager\"\ngroup_label = \"asg\"\n\
                  [[source.s.auth]]\ncertificate = \"monitor.example.net\"\n";
    let warning = &Place::with(&right(source)).warnings()[0];
    assert!(warning.contains("certificate` can be shown by nobody"), "{warning}");
    let tls = "[http.tls]\ncertificate = \"s\"\nkey = \"s\"\nclient_ca = \"s\"\n";
    let place = Place::with(&right(&format!("{source}{tls}")));
    place.write("s", "");
    assert_eq!(place.warnings(), Vec::<String>::new());
}

#[test]
fn a_signed_call_that_can_be_made_again_warns() {
    let warnings = |format: &str, more: &str| {
        let source = format!(
            "[source.s]\n{format}\ngroup_label = \"asg\"\n[[source.s.auth]]\n\
             hmac = {{ env = \"KEY\" }}\n{more}\n"
        );
        Place::with(&right(&source)).var("KEY", "open sesame").warnings()
    };
    let trigger = "format = \"trigger\"\norder = { adjust = 1 }";
    let header = "header = \"X-Signature\"";
    let bare = warnings(trigger, header);
    assert!(bare[0].contains("orders again") && bare[0].contains("at any time"), "{bare:?}");
    let by_id = warnings(trigger, &format!("{header}\nid_header = \"X-Id\""));
    assert!(by_id[0].contains("a day later"), "{by_id:?}");
    for timed in
        [&format!("{header}\ntimestamp_header = \"X-Time\""), "preset = \"standard_webhooks\""]
    {
        assert_eq!(warnings(trigger, timed), Vec::<String>::new(), "{timed}");
    }
    assert_eq!(warnings("format = \"alertmanager\"", header), Vec::<String>::new());
}

#[test]
fn more_servers_than_a_server_group_holds_warn() {
    let place = |max: u32| {
        let text = right("anti_affinity = \"soft\"");
        let line = text.lines().find(|line| line.starts_with("max")).unwrap().to_owned();
        Place::with(&text.replace(&line, &format!("max = {max}")))
    };
    assert_eq!(place(10).warnings(), Vec::<String>::new());
    let warning = &place(11).warnings()[0];
    assert!(warning.contains("`group.web.anti_affinity`") && warning.contains("10"), "{warning}");
}

#[test]
fn a_file_without_groups_warns() {
    let place = Place::with("[cloud]\nuse = \"sandbox\"\n");
    assert_eq!(place.warnings(), ["no group is configured, so there is nothing to do"]);
}
