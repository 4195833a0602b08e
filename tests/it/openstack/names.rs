//! From names to ids: what is found, what is missing or ambiguous, and what is kept.

use std::sync::Arc;
use std::time::Duration;

use novascale::cloud::openstack::OpenStack;
use novascale::cloud::{Resolve, Resolved, ResolvedNetworks, Wanted};
use novascale::domain::group::{AntiAffinity, ImageRef, Networks, Placement, Template};
use novascale::domain::id::InstallId;
use novascale::domain::outcome::{Failure, FailureKind};
use serde_json::{Value, json};

use super::samples;
use super::script::{
    PROJECT, Reply, Script, Seen, answer, client, group, nova, region, sign_in, versions,
};

/// A small cloud of names.
fn cloud(seen: &Seen) -> Reply {
    let path = seen.url.path();
    let named = |all: &[(&str, &str)]| -> Value {
        let asked: Vec<(String, String)> = seen.url.query_pairs().into_owned().collect();
        let filters: Vec<&(String, String)> =
            asked.iter().filter(|(key, _)| key == "id" || key == "name").collect();
        let fits = |id: &str, name: &str| {
            filters.is_empty()
                || filters.iter().any(|(k, v)| if k == "id" { v == id } else { v == name })
        };
        all.iter()
            .filter(|(id, name)| fits(id, name))
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect()
    };
    if path.ends_with("/flavors/detail") {
        nova(200, json!({"flavors": named(&[("f1", "b3-8"), ("f2", "b3-16"), ("b3-8", "odd")])}))
    } else if path == "/v2/images" {
        images(seen)
    } else if path == "/v2/images/sleeping" {
        answer(200, &[], json!({"id": "sleeping", "status": "deactivated"}))
    } else if path.starts_with("/v2/images/") {
        answer(404, &[], "<html><title>404 Not Found</title></html>")
    } else if path == "/v2.0/networks" {
        let nets = [(NET, "Ext-Net"), ("n2", "private"), ("n3", "twins"), ("n4", "twins")];
        answer(200, &[], json!({"networks": named(&nets)}))
    } else if path == "/v2.0/security-groups" {
        answer(200, &[], json!({"security_groups": named(&[("g1", "default"), ("g2", "web")])}))
    } else if path.ends_with("/os-keypairs/ops") {
        nova(200, json!({"keypair": {"name": "ops"}}))
    } else if path.contains("/os-keypairs/") {
        nova(404, json!({"itemNotFound": {"code": 404, "message": "Keypair not found"}}))
    } else if path.ends_with("/os-server-groups") && seen.method == "GET" {
        let old =
            json!({"id": "sg-strict", "name": "novascale-web-00000000", "policy": "anti-affinity"});
        nova(
            200,
            json!({"server_groups": [{"id": "sg1", "name": "spread", "policy": "affinity"}, old]}),
        )
    } else if path.ends_with("/os-server-groups") {
        nova(200, json!({"server_group": {"id": "sg-made", "name": "x"}}))
    } else {
        sign_in(seen).unwrap_or_else(|| panic!("nobody expected {} {}", seen.method, seen.url))
    }
}

const NET: &str = "33333333-3333-4333-8333-333333333333";

/// Newest first, in pages of two.
fn images(seen: &Seen) -> Reply {
    let all = [
        ("i5", "web-2026-11"),
        ("i4", "Debian 12"),
        ("i3", "web-2026-10"),
        ("i2", "Debian 12"),
        ("i1", "Debian 11"),
    ];
    let image = |(id, name): &(&str, &str)| json!({"id": id, "name": name, "status": "active"});
    if let Some(name) = seen.query("name") {
        let found: Vec<Value> = all.iter().filter(|(_, n)| *n == name).map(image).collect();
        return answer(200, &[], json!({"images": found}));
    }
    let marker = seen.query("marker");
    let from = marker.map_or(0, |m| 1 + all.iter().position(|(id, _)| *id == m).unwrap());
    let page: Vec<Value> = all.iter().skip(from).take(2).map(image).collect();
    let next = (from + 2 < all.len()).then_some("/v2/images?marker=whatever");
    answer(200, &[], json!({"images": page, "next": next}))
}

fn template() -> Template {
    Template {
        networks: Networks::Named(vec!["private".into(), NET.into()]),
        security_groups: vec!["web".into()],
        ..samples::template()
    }
}

async fn resolve(
    client: &OpenStack,
    template: &Template,
    flavor: &str,
) -> Result<Resolved, Failure> {
    let (group, region) = (group(), region());
    let install = InstallId::from_bits(0);
    client
        .resolve(&Wanted { group: &group, install: &install, region: &region, template, flavor })
        .await
}

#[tokio::test(start_paused = true)]
async fn names_become_ids_and_are_kept() {
    let script = Script::new(cloud);
    let client = client(&script);
    let resolved = resolve(&client, &template(), "b3-16").await.unwrap();
    let expected = Resolved {
        flavor: "f2".into(),
        image: "i4".into(),
        networks: ResolvedNetworks::Ids(vec!["n2".into(), NET.into()]),
        security_groups: vec!["web".into()],
        server_group: None,
    };
    assert_eq!(resolved, expected);
    let asked = script.asked();
    let groups = asked.iter().find(|s| s.place().ends_with("security-groups")).unwrap();
    assert_eq!(groups.query("project_id").as_deref(), Some(PROJECT), "the project's own only");

    resolve(&client, &template(), "b3-16").await.unwrap();
    assert_eq!(script.asked().len(), asked.len(), "kept");
    tokio::time::advance(Duration::from_secs(601)).await;
    resolve(&client, &template(), "b3-16").await.unwrap();
    assert_eq!(script.asked().len(), 2 * asked.len(), "for ten minutes");
    client.forget(&region());
    resolve(&client, &template(), "b3-16").await.unwrap();
    assert_eq!(script.asked().len(), 3 * asked.len(), "forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_id_goes_before_a_name() {
    let client = client(&Script::new(cloud));
    assert_eq!(resolve(&client, &template(), "b3-8").await.unwrap().flavor, "b3-8");
}

#[tokio::test(start_paused = true)]
async fn the_newest_image_of_a_pattern_counts() {
    let client = client(&Script::new(cloud));
    for (pattern, id) in [("web-*", "i5"), ("web-*-10", "i3"), ("Debian 11*", "i1")] {
        let template = Template { image: ImageRef::Newest(pattern.into()), ..template() };
        assert_eq!(resolve(&client, &template, "f1").await.unwrap().image, id, "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_ambiguous_names_its_setting_and_what_there_is() {
    let image = |image: ImageRef| Template { image, ..template() };
    let networks =
        |name: &str| Template { networks: Networks::Named(vec![name.into()]), ..template() };
    let key = |name: &str| Template { key_name: Some(name.into()), ..template() };
    let groups = |name: &str| Template { security_groups: vec![name.into()], ..template() };
    let placed =
        |name: &str| Template { placement: Placement::ServerGroup(name.into()), ..template() };
    for (flavor, template, key, hint) in [
        ("b3-9", template(), "flavor", "b3-8"),
        ("f1", image(ImageRef::Name("Debain 12".into())), "image", "Debian 12"),
        ("f1", image(ImageRef::Newest("Ubuntu*".into())), "image", "web-2026-11"),
        ("f1", image(ImageRef::Id("no-such".into())), "image", "Debian 11"),
        ("f1", networks("Ext-net"), "networks", "Ext-Net"),
        ("f1", networks("twins"), "networks", "n3, n4"),
        ("f1", groups("wbe"), "security_groups", "web"),
        ("f1", key("nobody"), "key_pair", "belong to the user"),
        ("f1", placed("spred"), "server_group", "spread"),
    ] {
        let client = client(&Script::new(cloud));
        let failure = resolve(&client, &template, flavor).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert_eq!(failure.key, Some(format!("group.web.{key}")), "{failure}");
        assert!(failure.hint.as_ref().is_some_and(|h| h.contains(hint)), "{failure:?}");
    }
    let client = client(&Script::new(cloud));
    let template = image(ImageRef::Id("sleeping".into()));
    let failure = resolve(&client, &template, "f1").await.unwrap_err();
    assert!(failure.message.contains("deactivated"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_to_look_stops_nothing_that_nova_checks() {
    let script = Script::new(|seen| {
        let path = seen.url.path();
        if path.contains("security-groups") || path.contains("os-keypairs") {
            return nova(403, "{}");
        }
        cloud(seen)
    });
    let client = client(&script);
    let resolved = resolve(&client, &template(), "f1").await.unwrap();
    assert_eq!(resolved.security_groups, ["web"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_to_see_networks_names_the_action() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v2.0/networks" => answer(
            403,
            &[],
            json!({"NeutronError": {"type": "PolicyNotAuthorized", "message": "(rule:get_network) is disallowed by policy", "detail": ""}}),
        ),
        _ => cloud(seen),
    });
    let failure = resolve(&client(&script), &template(), "f1").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    let hint = failure.hint.unwrap();
    assert!(hint.contains("get_network") && hint.contains("computeOperator"), "{hint}");
}

/// An id needs no look-up: Nova says itself if it is wrong.
#[tokio::test(start_paused = true)]
async fn ids_go_unverified_where_glance_and_neutron_cannot_be_asked() {
    let script = Script::new(|seen| {
        let path = seen.url.path();
        if path.starts_with("/v2/") || path.starts_with("/v2.0/") {
            return answer(403, &[], "{}");
        }
        cloud(seen)
    });
    let client = client(&script);
    let by_id = Template {
        image: ImageRef::Id("i4".into()),
        networks: Networks::Named(vec![NET.into()]),
        ..template()
    };
    let resolved = resolve(&client, &by_id, "f1").await.unwrap();
    assert_eq!(resolved.image, "i4");
    assert_eq!(resolved.networks, ResolvedNetworks::Ids(vec![NET.into()]));
    for by_name in [
        Template { image: ImageRef::Name("Debian 12".into()), ..by_id.clone() },
        Template { networks: Networks::Named(vec![NET.into(), "private".into()]), ..by_id },
    ] {
        let failure = resolve(&client, &by_name, "f1").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "a name must be looked up: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_room_for_another_server_group_names_the_setting() {
    let script = Script::new(|seen| {
        if seen.method == "POST" && seen.url.path().ends_with("/os-server-groups") {
            let words = "Quota exceeded, too many server groups.";
            return nova(403, json!({"forbidden": {"code": 403, "message": words}}));
        }
        cloud(seen)
    });
    let failure = resolve(&client(&script), &apart(AntiAffinity::Soft), "f1").await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("group.web.anti_affinity"));
    assert!(failure.hint.unwrap().contains("so many server groups"));
}

fn apart(policy: AntiAffinity) -> Template {
    Template { placement: Placement::AntiAffinity(policy), ..template() }
}

#[tokio::test(start_paused = true)]
async fn an_anti_affinity_group_is_found_by_name_and_policy_or_made() {
    let script = Script::new(cloud);
    let client = client(&script);
    let strict = resolve(&client, &apart(AntiAffinity::Strict), "f1").await.unwrap();
    assert_eq!(strict.server_group.as_deref(), Some("sg-strict"));
    for _ in 0..2 {
        let soft = resolve(&client, &apart(AntiAffinity::Soft), "f1").await.unwrap();
        assert_eq!(soft.server_group.as_deref(), Some("sg-made"));
    }
    let posts: Vec<Value> =
        script.asked().iter().filter(|s| s.method == "POST").map(Seen::json).collect();
    let made =
        json!({"server_group": {"name": "novascale-web-00000000", "policy": "soft-anti-affinity"}});
    assert_eq!(posts, [made]);
}

#[tokio::test(start_paused = true)]
async fn older_regions_are_told_policies() {
    let script = Script::new(|seen| {
        if seen.url.path() == "/v2.1/" {
            return versions("2.60");
        }
        let reply = cloud(seen)?;
        let mut reply = reply;
        if reply.headers.contains_key("openstack-api-version") {
            reply.headers.insert("openstack-api-version", "compute 2.60".parse().unwrap());
        }
        Ok(reply)
    });
    let client = client(&Arc::clone(&script));
    resolve(&client, &apart(AntiAffinity::Soft), "f1").await.unwrap();
    let sent = script.asked().into_iter().find(|s| s.method == "POST").unwrap().json();
    assert_eq!(sent["server_group"]["policies"], json!(["soft-anti-affinity"]));
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_up_is_certain_and_keeps_nothing() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v2/images" => answer(500, &[], ""),
        _ => cloud(seen),
    });
    let failure = resolve(&client(&script), &template(), "f1").await.unwrap_err();
    assert!(failure.kind.certain(), "{failure}");
    assert!(failure.message.starts_with("not sent"), "{failure}");
}
