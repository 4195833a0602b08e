//! The files below deploy/: each loads, and they fit one another.

use std::path::{Path, PathBuf};
use std::process::Command;

use novascale::config::source::{Format, Source, Whose};
use novascale::config::{Config, Env};
use serde_json::Value;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn example(name: &str) -> Config {
    let file = deploy(&format!("examples/{name}.toml"));
    let loaded = Config::load(&file, &Env::default());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{name}: {faults}"));
    assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
    loaded.config
}

fn source<'c>(config: &'c Config, name: &str) -> &'c Source {
    config.sources.iter().find(|source| source.name.as_str() == name).unwrap()
}

#[test]
fn every_example_loads_without_a_warning() {
    let mut names: Vec<String> = std::fs::read_dir(deploy("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["batch", "ci", "web"]);
    for name in names {
        assert_eq!(example(&name).groups.len(), 1, "{name}");
    }
}

#[test]
fn prometheus_and_alertmanager_send_what_the_web_example_goes_by() {
    let web = example("web");
    let group = &web.groups[0];
    let rules = &yaml("prometheus/rules.yml")["groups"][0]["rules"];
    let (load, alert) = (&rules[0], &rules[1]);
    let measured = source(&web, "prometheus");
    assert_eq!(load["record"], measured.signals[0].metric.as_str());
    assert!(group.signals().any(|name| *name == measured.signals[0].signal));
    let server = measured.signals[0].server.as_deref().unwrap();
    assert!(load["expr"].as_str().unwrap().contains(&format!("by ({server}, ")));
    assert!(group.alerts().any(|name| alert["alert"] == name.as_str()));
    let Whose::Label { label, of } = &source(&web, "alertmanager").group else { panic!() };
    assert!(of.iter().any(|name| alert["labels"][label.as_str()] == name.as_str()));

    let file = yaml("alertmanager/alertmanager.yml");
    let route = &file["route"]["routes"][0];
    assert_eq!(route["matchers"][0], format!("{label} != \"\""));
    let receiver = &file["receivers"][1];
    assert_eq!(route["receiver"], receiver["name"]);
    let hook = &receiver["webhook_configs"][0];
    assert_eq!(hook["url"], address(&web, "alertmanager"));
    assert_eq!((&hook["send_resolved"], &hook["max_alerts"]), (&true.into(), &0.into()));
    assert!(hook["http_config"]["authorization"]["credentials_file"].is_string());
}

fn address(config: &Config, source: &str) -> String {
    format!("http://{}/v1/webhooks/{source}", config.http.webhook)
}

#[test]
fn grafana_sends_ends_too() {
    let point = &yaml("grafana/contact-point.yaml")["contactPoints"][0]["receivers"][0];
    assert_eq!(point["type"], "webhook");
    assert_eq!(point["disableResolveMessage"], false);
    assert_eq!(point["settings"]["url"], address(&example("web"), "grafana"));
    assert_eq!(point["settings"]["authorization_scheme"], "Bearer");
}

#[test]
fn the_media_type_of_zabbix_posts_what_its_format_reads() {
    let media = &yaml("zabbix/media_novascale.yaml")["zabbix_export"]["media_types"][0];
    assert_eq!(media["type"], "WEBHOOK");
    let script = media["script"].as_str().unwrap();
    let parameters = media["parameters"].as_array().unwrap();
    let macros = [
        ("event_value", "{EVENT.VALUE}"),
        ("event_name", "{EVENT.NAME}"),
        ("event_timestamp", "{EVENT.TIMESTAMP}"),
        ("trigger_id", "{TRIGGER.ID}"),
        ("host", "{HOST.NAME}"),
    ];
    for (name, written) in macros {
        assert!(script.contains(&format!("'{name}'")), "{name}");
        let parameter = parameters.iter().find(|p| p["name"] == name).unwrap();
        assert_eq!(parameter["value"], written);
    }
    assert!(script.contains("JSON.parse(parameters.tags)") && script.contains("!== 202"));
    let url = parameters.iter().find(|p| p["name"] == "url").unwrap();
    assert_eq!(url["value"], address(&example("web"), "zabbix"));
}

#[test]
fn datadog_is_given_a_payload_that_is_json_once_it_is_filled_in() {
    let hook: Value = serde_json::from_str(&text("datadog/webhook.json")).unwrap();
    assert_eq!(hook["encode_as"], "json");
    let headers: Value = serde_json::from_str(hook["custom_headers"].as_str().unwrap()).unwrap();
    assert_eq!(headers["Authorization"], "Bearer SECRET");
    let payload: Value = serde_json::from_str(hook["payload"].as_str().unwrap()).unwrap();
    for (key, variable) in [
        ("alert_transition", "$ALERT_TRANSITION"),
        ("alert_cycle_key", "$ALERT_CYCLE_KEY"),
        ("alert_title", "$ALERT_TITLE"),
        ("alert_metric", "$ALERT_METRIC"),
        ("date", "$DATE"),
    ] {
        assert_eq!(payload[key], variable);
    }
}

#[test]
fn the_scripts_are_read_by_a_shell() {
    for path in ["aodh/alarms.sh", "ci/queue-length.sh"] {
        let status = Command::new("sh").arg("-n").arg(deploy(path)).status().unwrap();
        assert!(status.success(), "{path}");
    }
}

#[test]
fn the_queue_goes_to_the_group_and_signal_of_its_example() {
    let ci = example("ci");
    let group = &ci.groups[0];
    let script = text("ci/queue-length.sh");
    assert!(script.contains(&format!("NOVASCALE_GROUP:-{}}}", group.name)));
    let signal = group.signals().next().unwrap();
    assert!(script.contains(&format!("NOVASCALE_SIGNAL:-{signal}}}")));
    assert!(script.contains(&format!("http://{}", ci.http.webhook)));
}

#[test]
fn every_file_is_named_in_the_readme() {
    let readme = text("README.md");
    let files = [
        "prometheus/rules.yml",
        "alertmanager/alertmanager.yml",
        "grafana/contact-point.yaml",
        "aodh/alarms.sh",
        "zabbix/media_novascale.yaml",
        "datadog/webhook.json",
        "ci/queue-length.sh",
        "examples/web.toml",
        "examples/ci.toml",
        "examples/batch.toml",
    ];
    for file in files {
        assert!(deploy(file).is_file() && readme.contains(file), "{file}");
    }
    let triggers = example("batch").sources;
    assert!(triggers.iter().all(|source| source.format == Format::Trigger));
}
