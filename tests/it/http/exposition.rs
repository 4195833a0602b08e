//! `/metrics` against OpenMetrics and against docs/metrics.md.

use std::collections::{BTreeMap, BTreeSet};

use novascale::domain::plan::Waiting;
use novascale::http::metrics::OPENMETRICS;
use novascale::telemetry::count;

use super::face::Face;

/// One family as the page has it: type, help, the label names of its samples.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    samples: BTreeMap<String, f64>,
}

fn parsed(page: &str) -> BTreeMap<String, Shown> {
    let mut families: BTreeMap<String, Shown> = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else if line != "# EOF" {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let name = name.strip_suffix("_total").unwrap_or(name);
            let family = families.get_mut(name).unwrap_or_else(|| panic!("no family: {line}"));
            let keys = labels.split(',').filter_map(|l| Some(l.split_once('=')?.0.to_owned()));
            family.labels.extend(keys);
            family.samples.insert(labels.trim_end_matches('}').to_owned(), value.parse().unwrap());
        }
    }
    families
}

/// The rows of the tables in docs/metrics.md: name, type, labels, meaning.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>, String)> {
    let page = include_str!("../../../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `novascale_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, help] = cells.as_slice() else { panic!("{row}") };
        let bare = |text: &str| text.trim_matches('`').to_owned();
        let labels = labels.split(", ").filter(|l| !l.is_empty()).map(bare).collect();
        let name = bare(name);
        let name = name.strip_suffix("_total").unwrap_or(&name).to_owned();
        (name, ((*kind).to_owned(), labels, (*help).to_owned()))
    })
    .collect()
}

/// A face at which everything that is counted has happened once.
async fn lively() -> Face {
    let face = Face::new();
    let mut decision = face.decide("web", 5);
    decision.waiting = vec![Waiting::Building { n: 1 }, Waiting::Leaving { n: 1 }];
    face.ends["web"].latest.send_replace(Some(std::sync::Arc::new(decision)));
    face.listed();
    face.counters.decided("web", "launch");
    face.counters.acted("web", "launch", "launched", 3);
    face.counters.acted("web", "terminate", "deleting", 1);
    face.signals("{\"name\": \"requests\", \"value\": 1}").await;
    face.stranger("GET", "/v1/groups").send().await;
    face.stranger("GET", "/no/such/route").send().await;
    face.counters.add(count::PULL_FAILURES, &[("signal", "requests")], 1);
    face.store.is(super::face::Mood::Fails);
    face.capacity("{\"set\": 3}").await;
    face.store.is(super::face::Mood::Well);
    face
}

#[tokio::test]
async fn the_page_and_its_description_agree() {
    let face = lively().await;
    let answer = face.get("/metrics").await;
    assert_eq!(answer.header("content-type"), OPENMETRICS);
    assert!(answer.text.ends_with("# EOF\n"));
    let (shown, documented) = (parsed(&answer.text), documented());
    let names = |all: Vec<&String>| all.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(shown.keys().collect()), names(documented.keys().collect()));
    for (name, family) in shown {
        let (kind, labels, help) = &documented[&name];
        assert_eq!((&family.kind, &family.help), (kind, help), "{name}");
        if !family.samples.is_empty() {
            assert_eq!(family.labels, *labels, "{name}");
        }
        assert!(name.starts_with("novascale_"), "{name}");
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_program() {
    let face = lively().await;
    let page = parsed(&face.get("/metrics").await.text);
    let number = |family: &str, labels: &str| page[family].samples.get(labels).copied();
    let web = "group=\"web\"";
    assert_eq!(number("novascale_group_desired_servers", web), Some(5.0));
    assert_eq!(number("novascale_group_desired_servers", "group=\"db\""), None, "unknown, not 0");
    assert_eq!(number("novascale_group_max_servers", "group=\"db\""), Some(8.0));
    let serving = "group=\"web\",standing=\"serving\"";
    assert_eq!(number("novascale_group_servers", serving), Some(1.0));
    let building = "group=\"web\",reason=\"building\"";
    assert_eq!(number("novascale_group_waiting", building), Some(1.0));
    assert_eq!(number("novascale_servers_launched", web), Some(3.0));
    assert_eq!(number("novascale_signals", web), Some(1.0));
    assert_eq!(number("novascale_store_errors", "kind=\"unavailable\""), Some(1.0));
    assert_eq!(number("novascale_http_sign_in_failures", ""), Some(1.0));
    let listed = number("novascale_listing_timestamp_seconds", "region=\"GRA11\"").unwrap();
    assert_eq!(listed, 1_795_435_200.0);
    let get = "service=\"compute\",method=\"GET\",outcome=\"2xx\"";
    assert_eq!(number("novascale_cloud_calls", get), Some(3.0));
    let post = "route=\"/v1/groups/{group}/signals\",method=\"POST\",status=\"202\"";
    assert_eq!(number("novascale_http_requests", post), Some(1.0));
    let lost = "route=\"unmatched\",method=\"GET\",status=\"404\"";
    assert_eq!(number("novascale_http_requests", lost), Some(1.0));
}

#[tokio::test]
async fn no_stranger_makes_a_label() {
    let face = Face::new();
    for n in 0..50 {
        face.stranger(&format!("M{n}"), &format!("/path-{n}")).send().await;
        face.get(&format!("/v1/groups/g{n}")).await;
    }
    let page = face.get("/metrics").await.text;
    let requests = page.lines().filter(|l| l.starts_with("novascale_http_requests_total")).count();
    assert_eq!(requests, 2, "{page}");
    assert!(page.contains("method=\"other\""), "{page}");
}
