//! The scaling.toml that is shipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use novascale::config::{Cloud, Config, Env, Loaded};
use novascale::domain::behaviour::Behaviour;
use novascale::domain::group::{ImageRef, Networks};
use novascale::domain::policy::Policy;

use super::Place;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scaling.toml")
}

fn text() -> String {
    std::fs::read_to_string(shipped()).unwrap()
}

fn load() -> Loaded {
    Config::load(&shipped(), &Env::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn it_loads_without_a_warning() {
    let loaded = load();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(matches!(loaded.config.cloud, Cloud::Sandbox(_)));
    let names: Vec<_> = loaded.config.groups.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["batch", "web"]);
}

#[test]
fn the_web_group_grows_to_six_and_is_back_within_two_minutes() {
    let loaded = load();
    let web = loaded.config.groups.iter().find(|g| g.name.as_str() == "web").unwrap();
    let Policy::Total(target) = &web.policies[0] else { panic!("{:?}", web.policies) };
    assert_eq!(target.reading.signal.as_str(), "requests");
    assert_eq!((540.0 / target.per_server).ceil(), 6.0);
    assert_eq!((web.bounds.min, web.bounds.max), (2, 10));
    assert_eq!(web.template.image, ImageRef::Name("Debian 12".into()));
    assert_eq!(web.template.networks, Networks::Named(vec!["Ext-Net".into()]));
    let scale_in = &web.behaviour.scale_in;
    let (mut serving, mut spent) = (6, scale_in.stabilization.max(scale_in.cooldown));
    while serving > 2 {
        serving -= scale_in.velocity.allows(serving).min(serving - 2);
        if serving > 2 {
            spent += Duration::from_secs(60);
        }
    }
    assert!(spent <= Duration::from_secs(110), "{spent:?}");
}

/// The text with every commented key in force.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_commented_key_loads() {
    let text = uncommented(&text());
    let place = Place::with(&text);
    let loaded = place.load().unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn commented_keys_that_are_no_example_are_the_defaults() {
    let defaults = |line: &str| {
        let shown = line.starts_with('#') && !line.contains("example") && !line.contains("region");
        if shown { uncommented(line) } else { line.to_owned() }
    };
    let shown = text().lines().map(defaults).collect::<Vec<_>>().join("\n");
    let place = Place::with(&shown);
    let (plain, shown) = (load().config, place.load().unwrap().config);
    assert_eq!(plain.groups, shown.groups);
    assert_eq!(plain.http, shown.http);
    let (Cloud::Sandbox(plain), Cloud::Sandbox(shown)) = (plain.cloud, shown.cloud) else {
        panic!("both are the embedded cloud")
    };
    assert_eq!(plain, shown);
}

#[test]
fn the_defaults_named_beside_other_values_are_the_defaults() {
    let Behaviour { scale_in, scale_out, .. } = Behaviour::default();
    let secs = [scale_in.stabilization, scale_in.cooldown].map(|span| span.as_secs());
    assert_eq!(secs, [300, 60]);
    assert!(scale_out.rates.rates.is_empty() && scale_in.rates.rates.is_empty());
    assert_eq!((scale_out.tolerance, scale_in.tolerance), (None, None));
    assert_eq!(scale_in.velocity.percent, 25.0);
    for phrase in ["default \"5m\"", "default \"1m\"", "default \"25%\""] {
        assert!(text().contains(phrase), "{phrase}");
    }
}

/// The blocks of `#   key = value` lines: other ways to name a cloud.
fn other_clouds(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines().take_while(|line| !line.starts_with("[cloud.sandbox]")) {
        match line.strip_prefix("#   ") {
            Some(key) => {
                let block = blocks.last_mut().unwrap();
                block.push_str(key);
                block.push('\n');
            }
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn every_other_cloud_shown_loads() {
    let text = text();
    let blocks = other_clouds(&text);
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let line = "use = \"sandbox\"   # the embedded cloud: nothing to install, nothing billed";
        assert!(text.contains(line));
        let place = Place::with(&text.replace(line, &block))
            .var("MY_SECRET", "x")
            .var("OS_AUTH_TYPE", "v3token")
            .var("OS_AUTH_URL", "https://keystone.example.net")
            .var("OS_TOKEN", "x")
            .var("OS_PROJECT_ID", "p")
            .var("OS_REGION_NAME", "R");
        place.write("client-secret", "x\n");
        place.write("ca.pem", "-----BEGIN CERTIFICATE-----\n");
        place.write(
            "clouds.yaml",
            "clouds:\n  ovhcloud:\n    region_name: R\n    auth:\n      auth_url: https://k.example\n      \
             user_id: u\n      password: p\n      project_id: p\n",
        );
        let loaded = place.load().unwrap_or_else(|faults| panic!("{block}\n{faults}"));
        assert!(matches!(loaded.config.cloud, Cloud::OpenStack(_)));
    }
}

/// Keys that the shipped file shows in prose, for they exclude others that it shows.
const IN_PROSE: [&str; 16] = [
    "user_data_file",
    "server_group",
    "newest",
    "name",
    "identity_provider",
    "protocol",
    "discovery_endpoint",
    "access_token_endpoint",
    "access_token_type",
    "openid_scope",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "user_id",
    "username",
    "application_credential_name",
];

#[test]
fn every_setting_is_shown() {
    let place = Place::with(
        "[x]\n[cloud]\nx = 1\n[cloud.sandbox]\nx = 1\n[cloud.limits]\nx = 1\n[controller]\nx = 1\n[http]\nx = 1\n[http.limits]\nx = 1\n[http.tls]\nx = 1\n[source.a]\nx = 1\n[[source.a.auth]]\nx = 1\n[[source.a.signal]]\nx = 1\n[source.a.order]\nx = 1\n[source.a.pointers]\nx = 1\n[group.a]\nx = 1\n[[group.a.target]]\nx = 1\n[[group.a.step]]\nx = 1\nout = [{ x = 1 }]\n[[group.a.alert]]\nx = 1\n[[group.a.expression]]\nx = 1\n[[group.a.schedule]]\nx = 1\n[group.a.scale_out]\nx = 1\n[group.a.scale_in]\nx = 1\n[group.a.patience]\nx = 1\n[group.a.launch]\nx = 1\n[group.a.boot_volume]\nx = 1\n",
    );
    let faults = place.load().unwrap_err();
    let hints = faults.all().iter().filter_map(|f| f.hint.as_deref()?.strip_prefix("known here: "));
    let known: BTreeSet<&str> = hints.flat_map(|list| list.split(", ")).collect();
    assert!(known.len() > 80, "{known:?}");
    let text = text();
    for key in known {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let shown = text.split(word).any(|w| w == key);
        let others = ["user_domain_id", "user_domain_name", "password", "token"];
        assert!(shown || IN_PROSE.contains(&key) || others.contains(&key), "{key} is not shown");
    }
}
