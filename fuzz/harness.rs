//! What must hold of whatever bytes a stranger sends. Used by the fuzz targets, and by the test
//! that replays their corpora.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use novascale::config::secret::SecretEnv;
use novascale::config::{Config, Env};
use novascale::domain::time::{Now, Steady, Wall};
use novascale::http::source::door::{Entry, Shown, enter};
use novascale::http::source::format::{Incoming, read};
use novascale::http::source::keys::{Keyed, Sources};
use novascale::http::source::place::place;

/// All targets: the formats, and the ways to prove who sends.
pub const TARGETS: [&str; 14] = [
    "alertmanager",
    "grafana",
    "aodh",
    "cloudevents",
    "standard_webhooks",
    "datadog",
    "zabbix",
    "uptime_kuma",
    "uptime_robot",
    "trigger",
    "generic",
    "remote_write",
    "otlp",
    "door",
];

const NOW: Now = Now { wall: Wall(1_795_824_000_000), steady: Steady(1_000_000) };

/// Bytes for one target: a head of header lines and a query, an empty line, and the body.
///
///     name: value
///     ?query
///
///     body
pub fn run(target: &str, data: &[u8]) {
    let (head, body) = split(data);
    let (headers, query) = headers(head);
    if target == "door" {
        at_the_door(&headers, body)
    } else {
        format(target, &headers, &query, body)
    }
}

/// A format reads it or refuses it, twice the same; what it reads can be placed.
fn format(target: &str, headers: &HeaderMap, query: &str, body: &[u8]) {
    let keyed = source(target);
    let incoming = Incoming { source: &keyed.source, headers, query, body, now: NOW };
    let first = read(&incoming);
    assert_eq!(first, read(&incoming), "what a body says does not depend on when it is read");
    let Ok(payload) = first else { return };
    let known = |name: &str| name == "web" || name == "db";
    let Ok(placed) = place(&keyed.source, payload, &known, NOW) else { return };
    for (group, words) in &placed.groups {
        assert!(known(group.as_str()), "{group} is no group");
        for told in &words.alerts {
            assert!(told.starts.is_none_or(|at| at <= NOW.wall), "nothing begins later than now");
        }
        for identified in &words.samples {
            assert!(identified.sample.at <= NOW.wall.plus(novascale::domain::signal::AHEAD_MOST));
        }
    }
}

/// Nobody who knows no secret is let in.
fn at_the_door(headers: &HeaderMap, body: &[u8]) {
    let keyed = source("door");
    let url = std::str::from_utf8(body).ok();
    let shown = Shown { headers, url, certificate: &[], wall: NOW.wall };
    match enter(&keyed, &shown) {
        Ok(Entry::Known) => panic!("a secret was guessed"),
        Ok(Entry::Signed(promises)) => {
            for signed in &promises {
                assert!(!signed.holds(body), "a signature was guessed");
                let _repeats = signed.repeats();
            }
        }
        Err(_stranger) => {}
    }
}

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    end.map_or((data, &[]), |end| (&data[..end], &data[end + 2..]))
}

fn headers(head: &[u8]) -> (HeaderMap, String) {
    let (mut headers, mut query) = (HeaderMap::new(), String::new());
    for line in head.split(|byte| *byte == b'\n').take(64) {
        if let Some(rest) = line.strip_prefix(b"?") {
            query = String::from_utf8_lossy(rest).into_owned();
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, query)
}

/// The target's source, made once.
fn source(target: &str) -> Arc<Keyed> {
    static ALL: OnceLock<Mutex<BTreeMap<String, Arc<Keyed>>>> = OnceLock::new();
    let all = ALL.get_or_init(Mutex::default);
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(target.to_owned()).or_insert_with(|| made(target)))
}

fn made(target: &str) -> Arc<Keyed> {
    let group = |name| {
        format!(
            "[group.{name}]\nmin = 0\nmax = 8\nflavor = \"f\"\nimage = \"i\"\nnetworks = \"auto\"\n"
        )
    };
    let text =
        format!("[cloud]\nuse = \"sandbox\"\n{}{}{}", group("web"), group("db"), section(target));
    let env = Env::new([("SECRET", "bm90IHRvIGJlIGd1ZXNzZWQ=")], None, PathBuf::from("/"));
    let loaded = Config::parse(&text, std::path::Path::new("scaling.toml"), &env);
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    let sources = Sources::read(&loaded.config.sources, &SecretEnv::new(env));
    Arc::clone(sources.get("s").unwrap_or_else(|| panic!("no source for {target}")))
}

fn section(target: &str) -> String {
    let metric = "[[source.s.signal]]\nmetric = \"queue_length\"\nsignal = \"queue\"\n\
                  server_label = \"server\"\n";
    let (format, more) = match target {
        "door" => ("alertmanager", DOOR),
        "trigger" => ("trigger", "order = { adjust = 1 }\n"),
        "generic" => ("generic", POINTERS),
        "remote_write" | "otlp" => (target, metric),
        other => (other, ""),
    };
    format!("[source.s]\nformat = \"{format}\"\ngroup_label = \"group\"\n{more}")
}

const POINTERS: &str = "[source.s.pointers]\nlist = \"/items\"\ngroup = \"/group\"\nid = \"/id\"\n\
    alert = \"/rule\"\nfingerprint = \"/key\"\nstatus = \"/state\"\nfiring = [\"alarm\", \"1\"]\n\
    resolved = [\"ok\", \"0\"]\nsignal = \"/metric\"\nvalue = \"/value\"\nat = \"/time\"\n\
    server = \"/host\"\n";

const DOOR: &str = r#"
[[source.s.auth]]
bearer = { env = "SECRET" }
[[source.s.auth]]
basic = { env = "SECRET" }
username = "u"
[[source.s.auth]]
hmac = { env = "SECRET" }
preset = "github"
[[source.s.auth]]
hmac = { env = "SECRET" }
preset = "grafana"
timestamp_header = "x-timestamp"
[[source.s.auth]]
hmac = { env = "SECRET" }
preset = "standard_webhooks"
[[source.s.auth]]
ed25519 = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
[[source.s.auth]]
url = { env = "SECRET" }
"#;
