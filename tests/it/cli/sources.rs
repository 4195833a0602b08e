//! `novascale source`: what payloads become, and what senders are told, without a daemon.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use novascale::config::source::Format;
use serde_json::{Value, json};

use super::daemon::{Ran, novascale, with};

const SECRET: &str = "planted-and-never-shown";

const GROUPS: &str = r#"
[cloud]
use = "sandbox"

[group.web]
min = 1
max = 10
flavor = "d2-2"
image = "Debian 12"
networks = ["Ext-Net"]

[[group.web.target]]
signal = "requests"
per_server = 100

[[group.web.alert]]
alert = "Slow \"pages\""
change = 2
"#;

/// One source of each format, each with what its senders can show.
fn file() -> String {
    let mut text = GROUPS.to_owned();
    for (word, format) in Format::ALL {
        let auth = match format {
            Format::Aodh => "url = { env = \"THE_SECRET\" }",
            Format::Grafana | Format::StandardWebhooks => "hmac = { env = \"THE_SECRET\" }",
            Format::Alertmanager => "bearer = { file = \"token\" }",
            Format::Generic => "hmac = { env = \"THE_SECRET\" }\npreset = \"github\"",
            Format::Trigger => "basic = { env = \"THE_SECRET\" }\nusername = \"me\"",
            Format::RemoteWrite => "basic = { file = \"token\" }\nusername = \"me\"",
            Format::CloudEvents => {
                "hmac = { env = \"THE_SECRET\" }\npreset = \"standard_webhooks\""
            }
            Format::Datadog
            | Format::Zabbix
            | Format::UptimeKuma
            | Format::UptimeRobot
            | Format::Otlp => "bearer = { env = \"THE_SECRET\" }",
        };
        let own = match format {
            Format::Trigger => "order = { adjust = 1 }\n".to_owned(),
            Format::RemoteWrite | Format::Otlp => format!(
                "[[source.{word}.signal]]\nmetric = \"job:requests.rate1m\"\nsignal = \"requests\"\n"
            ),
            Format::Alertmanager
            | Format::Grafana
            | Format::Aodh
            | Format::CloudEvents
            | Format::StandardWebhooks
            | Format::Datadog
            | Format::Zabbix
            | Format::UptimeKuma
            | Format::UptimeRobot
            | Format::Generic => String::new(),
        };
        text += &format!(
            "\n[source.{word}]\nformat = \"{word}\"\ngroup = \"web\"\n{own}[[source.{word}.auth]]\n{auth}\n"
        );
    }
    text
}

struct Place(tempfile::TempDir);

impl Place {
    fn new(file: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("scaling.toml"), file).unwrap();
        let token = place.path().join("token");
        std::fs::write(&token, SECRET).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self(place)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &str) -> Ran {
        let ran = novascale(arguments, &[("THE_SECRET", SECRET)], self.path());
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{arguments}: {ran:?}");
        ran
    }

    fn done(&self, arguments: &str) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}{}", ran.out, ran.err);
        ran
    }
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err))
}

#[test]
fn the_sample_of_every_format_becomes_what_its_sender_means() {
    let place = Place::new(&file());
    for (word, format) in Format::ALL {
        if format.measures() {
            let ran = place.run(&format!("source test {word}"));
            assert!(ran.code == 64 && ran.err.contains("--payload"), "{}", ran.err);
            continue;
        }
        let json = json(&place.done(&format!("source test {word} -f json")));
        assert_eq!((&json["source"], &json["format"]), (&json!(word), &json!(word)));
        assert_eq!(json["notes"], json!([]), "{word}");
        let web = &json["groups"][0];
        assert_eq!(web["group"], "web");
        let (alerts, samples, orders) = match format {
            Format::Trigger => (0, 0, 1),
            Format::Generic => (1, 1, 0),
            Format::Alertmanager
            | Format::Grafana
            | Format::Aodh
            | Format::CloudEvents
            | Format::StandardWebhooks
            | Format::Datadog
            | Format::Zabbix
            | Format::UptimeKuma
            | Format::UptimeRobot
            | Format::RemoteWrite
            | Format::Otlp => (1, 0, 0),
        };
        let counts = ["alerts", "samples", "orders"].map(|key| web[key].as_array().unwrap().len());
        assert_eq!(counts, [alerts, samples, orders], "{word}: {web}");
        if alerts > 0 {
            assert_eq!(web["alerts"][0]["name"], "Slow \"pages\"", "{word}");
            assert_eq!(web["alerts"][0]["status"], "firing", "{word}");
        }
        if samples > 0 {
            assert_eq!(web["samples"][0]["signal"], "requests");
        }
    }
}

#[test]
fn where_a_label_names_the_group_the_sample_has_it() {
    let labelled = file().replace("group = \"web\"\n", "group_label = \"asg\"\n");
    let place = Place::new(&labelled);
    for (word, format) in Format::ALL.into_iter().filter(|(_, format)| !format.measures()) {
        // Aodh has no labels but those in the query of its address.
        let query = if format == Format::Aodh { " --query asg=web" } else { "" };
        let ran = place.run(&format!("source test {word} -f json{query}"));
        if format == Format::Aodh && ran.code != 0 {
            assert!(ran.err.contains("without the label asg"), "{}", ran.err);
            continue;
        }
        assert_eq!(json(&ran)["groups"][0]["group"], "web", "{word}: {}", ran.err);
    }
}

#[test]
fn a_payload_is_told_in_sentences() {
    let place = Place::new(&file());
    let alert = |status: &str, name: &str| {
        json!({
            "status": status, "labels": { "alertname": name }, "fingerprint": "a1",
            "startsAt": "2026-11-23T11:58:00Z",
        })
    };
    let alerts = [alert("firing", "Slow \"pages\""), alert("resolved", "Hot")];
    let body = json!({ "version": "4", "truncatedAlerts": 2, "alerts": alerts });
    std::fs::write(place.path().join("body.json"), body.to_string()).unwrap();
    let ran = place.done("source test alertmanager --payload body.json");
    insta::assert_snapshot!(ran.out);
    assert_eq!(ran.err, "nothing was sent or changed, and nobody's secret was looked at\n");
    assert_eq!(place.done("-q source test alertmanager --payload body.json").err, "");
    let ran = place.done("source test trigger");
    assert!(ran.out.contains("An order: change the base by +1."), "{}", ran.out);
    assert!(ran.err.contains("the payload is a sample"), "{}", ran.err);
}

#[test]
fn headers_count_as_they_are_sent() {
    let place = Place::new(&file());
    std::fs::write(place.path().join("form"), "monitorID=1&monitorFriendlyName=x&alertType=2")
        .unwrap();
    let words = "source test uptime_robot --payload form -f json --header";
    let arguments: Vec<&str> =
        words.split(' ').chain(["Content-Type: application/x-www-form-urlencoded"]).collect();
    let ran = with(&arguments, &[("THE_SECRET", SECRET)], place.path());
    assert_eq!(json(&ran)["groups"][0]["alerts"][0]["status"], "resolved", "{}", ran.err);
    let arguments: Vec<&str> = "source test trigger -f json --header".split(' ').collect();
    let arguments: Vec<&str> = arguments.into_iter().chain(["Idempotency-Key: k-1"]).collect();
    let ran = with(&arguments, &[("THE_SECRET", SECRET)], place.path());
    assert_eq!(json(&ran)["id"], "k-1", "{}", ran.err);
    let ran = place.run("source test trigger --header nonsense");
    assert_eq!(ran.code, 64, "{}", ran.err);
}

#[test]
fn what_would_be_refused_is_refused_with_its_place() {
    let place = Place::new(&file());
    std::fs::write(place.path().join("body"), "{\"event_value\": \"3\"}").unwrap();
    let ran = place.run("source test zabbix --payload body");
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("with status 422") && ran.err.contains("(at /event_value)"),
        "{}",
        ran.err
    );
    std::fs::write(place.path().join("body"), "x".repeat(300 * 1024)).unwrap();
    let ran = place.run("source test zabbix --payload body");
    assert!(ran.code == 1 && ran.err.contains("status 413"), "{}", ran.err);
    let ran = place.run("source test zabbix --payload nowhere");
    assert!(ran.code == 1 && ran.err.contains("cannot read the payload nowhere"), "{}", ran.err);
    // Nobody's stdin is an empty body.
    let ran = place.run("source test zabbix --payload -");
    assert!(ran.code == 1 && ran.err.contains("status 400"), "{}", ran.err);
    let ran = place.run("source test zabix");
    assert!(ran.code == 1 && ran.err.contains("its sources are alertmanager"), "{}", ran.err);
    let ran = Place::new("[group.web]").run("source test zabbix");
    assert_eq!(ran.code, 78);
}

#[test]
fn every_sender_is_told_what_it_needs_and_no_secret() {
    let place = Place::new(&file());
    let mut all = String::new();
    for (word, _) in Format::ALL {
        let ran = place.done(&format!("source url {word} --at https://scale.example.net/"));
        all += &format!("# {word}\n{}{}\n", ran.err, ran.out);
    }
    insta::assert_snapshot!(all.replace(place.path().to_str().unwrap(), "[DIR]"));
}

#[test]
fn what_is_yaml_reads_as_yaml() {
    let place = Place::new(&file());
    let read = |name: &str| -> Value {
        serde_saphyr::from_str(&place.done(&format!("source url {name}")).out).unwrap()
    };
    let url = |name: &str| format!("http://127.0.0.1:7780/v1/webhooks/{name}");
    let hook = &read("alertmanager")["receivers"][0]["webhook_configs"][0];
    assert_eq!(hook["url"], url("alertmanager"));
    let file = hook["http_config"]["authorization"]["credentials_file"].as_str().unwrap();
    assert!(file.ends_with("token"), "{file}");
    let settings = &read("grafana")["contactPoints"][0]["receivers"][0]["settings"];
    assert_eq!(settings["hmacConfig"]["secret"], "SECRET");
    let write = &read("remote_write")["remote_write"][0];
    assert_eq!(write["url"], url("remote_write"));
    assert_eq!(write["basic_auth"]["username"], "me");
    assert_eq!(write["write_relabel_configs"][0]["regex"], "job:requests\\.rate1m");
}

#[test]
fn a_source_without_a_proof_goes_by_the_token() {
    let bare = format!("{GROUPS}\n[source.am]\nformat = \"alertmanager\"\ngroup = \"web\"\n");
    let place = Place::new(&bare);
    let ran = place.done("source url am");
    assert!(ran.out.contains(".novascale/tokens/signal"), "{}", ran.out);
    assert!(ran.err.contains("senders on this machine"), "{}", ran.err);
    let aodh = bare.replace("alertmanager", "aodh");
    let ran = Place::new(&aodh).done("source url am");
    assert!(ran.err.contains("it can show url and certificate"), "{}", ran.err);
    let drawn = format!("{bare}[http]\nwebhook = \"127.0.0.1:0\"\n");
    let ran = Place::new(&drawn).run("source url am");
    assert!(ran.code == 1 && ran.err.contains("--at"), "{}", ran.err);
    assert_eq!(place.run("source url am --at ftp://x").code, 64);
    let ordering = bare.replace("alertmanager\"", "trigger\"\norder = { adjust = 1 }");
    let ran = Place::new(&ordering).done("source url am");
    assert!(ran.err.contains(".novascale/tokens/capacity"), "{}", ran.err);
}

#[test]
fn a_listener_with_tls_is_reached_by_https() {
    let tls = "[http.tls]\ncertificate = \"token\"\nkey = \"token\"\n";
    let place = Place::new(&format!("{}{tls}", file()));
    let ran = place.done("source url generic");
    assert!(ran.out.contains("'https://127.0.0.1:7780/v1/webhooks/generic'"), "{}", ran.out);
}
