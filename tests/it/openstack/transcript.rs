//! Recorded conversations of keystoneauth and openstacksdk, played to our client: its requests
//! are held against theirs, and none may be left over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use url::Url;

use super::script::{Reply, Script, Seen, answer, versions};

pub(super) struct Exchange {
    pub request: Value,
    pub response: Value,
}

impl Exchange {
    pub(super) fn url(&self) -> Url {
        self.request["url"].as_str().unwrap().parse().unwrap()
    }
}

pub(super) struct Transcript(pub Vec<Exchange>);

impl Transcript {
    pub(super) fn load(name: &str) -> Self {
        let path = format!("{}/tests/data/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut file: Value = serde_json::from_str(&text).unwrap();
        let exchanges = file["exchanges"].take();
        let Value::Array(exchanges) = exchanges else { panic!("{path}: no exchanges") };
        let read = |mut e: Value| Exchange {
            request: e["request"].take(),
            response: e["response"].take(),
        };
        Self(exchanges.into_iter().map(read).collect())
    }

    /// Only so many exchanges of it.
    pub(super) fn first(mut self, n: usize) -> Self {
        assert!(self.0.len() > n, "there are no more");
        self.0.truncate(n);
        self
    }

    /// Plays the answers in order, comparing each request with the recorded one. We ask for
    /// Nova's version before anything else of it; where they did not, it is 2.52.
    pub(super) fn play(self) -> Arc<Script> {
        let rest = Rest(Mutex::new(self.0.into()));
        Script::new(move |seen| {
            let next = rest.next(seen);
            let Some(next) = next else { return versions("2.52") };
            compare(seen, &next.request);
            reply(&next.response)
        })
    }

    /// Answers in whatever order we ask, by address and name, in the version that we ask in.
    pub(super) fn look_up(self) -> Arc<Script> {
        Script::new(move |seen| {
            let name = |url: &Url| {
                url.query_pairs().find(|(k, _)| k == "name").map(|(_, v)| v.into_owned())
            };
            let same = |e: &&Exchange| {
                place(&e.url()) == place(&seen.url) && name(&e.url()) == name(&seen.url)
            };
            let found = self.0.iter().find(same);
            let found = found.unwrap_or_else(|| panic!("not recorded: {}", seen.url));
            let mut reply = reply(&found.response)?;
            if let Ok(version) = seen.header("openstack-api-version").parse() {
                reply.headers.insert("openstack-api-version", version);
            }
            Ok(reply)
        })
    }
}

/// What has not been played yet.
struct Rest(Mutex<VecDeque<Exchange>>);

impl Rest {
    /// None for a question about versions that was not recorded.
    fn next(&self, seen: &Seen) -> Option<Exchange> {
        let mut rest = self.0.lock().unwrap();
        let asks = seen.url.path() == "/v2.1/";
        if asks && rest.front().is_none_or(|next| place(&next.url()) != place(&seen.url)) {
            return None;
        }
        let next = rest.pop_front();
        assert!(next.is_some(), "too many: {} {}", seen.method, seen.url);
        next
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let rest = self.0.lock().unwrap();
        let left: Vec<String> = rest.iter().map(|e| e.url().to_string()).collect();
        assert!(left.is_empty(), "we never asked {left:?}");
    }
}

/// The URL without its query and a slash at its end.
fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_owned()
}

pub(super) fn reply(recorded: &Value) -> Reply {
    let headers = recorded["headers"].as_array().unwrap().iter();
    let headers: Vec<(&str, &str)> =
        headers.map(|h| (h[0].as_str().unwrap(), h[1].as_str().unwrap())).collect();
    let body = match &recorded["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    answer(recorded["status"].as_u64().unwrap() as u16, &headers, body)
}

fn compare(seen: &Seen, recorded: &Value) {
    let url: Url = recorded["url"].as_str().unwrap().parse().unwrap();
    let ours = format!("{} {}", seen.method, seen.url);
    assert_eq!(place(&seen.url), place(&url), "{ours}");
    assert_eq!(query(&seen.url), query(&url), "{ours}");
    assert_eq!(seen.method.as_str(), recorded["method"], "{ours}");
    let header = |name: &str| {
        let all = recorded["headers"].as_array().unwrap().iter();
        all.filter(|h| h[0].as_str().unwrap().eq_ignore_ascii_case(name))
            .map(|h| h[1].as_str().unwrap())
            .next()
            .unwrap_or_default()
    };
    for name in [
        "authorization",
        "x-auth-token",
        "content-type",
        "openstack-api-version",
        "x-openstack-nova-api-version",
    ] {
        assert_eq!(seen.header(name), header(name), "{ours}: {name}");
    }
    assert_eq!(seen.header("accept"), "application/json", "{ours}");
    assert!(!seen.headers.contains_key("accept-language"), "{ours}");
    assert!(seen.header("x-openstack-request-id").starts_with("req-"), "{ours}");
    match &recorded["body"] {
        Value::Null => assert!(seen.body.is_empty(), "{ours}"),
        Value::String(form) => assert_eq!(String::from_utf8_lossy(&seen.body), *form, "{ours}"),
        json => assert_eq!(without_ours(seen.json()), *json, "{ours}"),
    }
    // Python says so for a DELETE as well, where it means nothing.
    if header("content-length") == "0" && seen.method == "POST" {
        assert_eq!(seen.header("content-length"), "0", "{ours}");
    }
}

/// The query as the recorded clients would write it: we list by any of several tags where they
/// name the one, in pages of our own size and order.
fn query(url: &Url) -> BTreeMap<String, String> {
    let pairs = url.query_pairs().into_owned();
    let named = pairs.map(|(key, value)| match key.as_str() {
        "tags-any" => ("tags".to_owned(), value),
        _ => (key, value),
    });
    named.filter(|(key, _)| !["limit", "sort_key", "sort_dir"].contains(&key.as_str())).collect()
}

/// A create without what we alone say: how many, always; and tags and metadata, also if there
/// are none.
fn without_ours(mut body: Value) -> Value {
    let Some(server) = body.get_mut("server").and_then(Value::as_object_mut) else { return body };
    for count in ["min_count", "max_count"] {
        assert_eq!(server.remove(count), Some(1.into()), "{count}");
    }
    server.retain(|key, value| {
        let empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        !(empty && ["tags", "metadata"].contains(&key.as_str()))
    });
    body
}
