//! Pulls: what is asked, where, and how often.

use std::time::Duration;

use ::url::Url;

use super::super::fault::{Sink, Spot};
use super::super::file::PullText;
use super::super::host;
use super::super::pull::{From, Login, Pull};
use super::super::read::{At, NamedEntry};
use super::source::{Setting, known, spot};
use super::{at_most_one, range, secrets, tls};
use crate::domain::id::{GroupName, SignalName};

const EVERY: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_LEAST: Duration = Duration::from_millis(100);

/// All pulls that could be understood, in the order of their names.
pub(super) fn check(
    entries: &[NamedEntry<PullText>],
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Vec<Pull> {
    entries.iter().filter_map(|entry| one(entry, setting, sink)).collect()
}

fn one(entry: &NamedEntry<PullText>, setting: &Setting<'_>, sink: &mut Sink) -> Option<Pull> {
    let text = &entry.entry;
    let name_spot = Spot { key: text.spot.key.clone(), span: entry.name_span.clone() };
    let name = range::id::<SignalName>(&At { value: entry.name.clone(), spot: name_spot }, sink);
    let signal = match &text.signal {
        Some(at) => range::id::<SignalName>(at, sink),
        None => name.clone(),
    };
    let group = match &text.group {
        Some(at) => known(at, setting.groups, sink),
        None => {
            sink.missing(&text.spot, "group").hint("the group whose policies read it");
            None
        }
    };
    let from = from(text, sink);
    let (every, timeout) = pace(text, sink);
    let login = login(text, setting, from.as_ref(), sink);
    let cacert = text.cacert.as_ref().and_then(|at| certificates(at, setting, sink));
    let (name, group, signal, from) = (name?, group?, signal?, from?);
    judge_policies(text, (&group, &signal), setting, sink);
    Some(Pull { name, group, signal, from, every, timeout, login, cacert })
}

fn from(text: &At<PullText>, sink: &mut Sink) -> Option<From> {
    at_most_one(&[spot(&text.prometheus), spot(&text.url)], sink);
    let json = text.url.is_some();
    let goes_with = [
        (spot(&text.query), !json, "prometheus"),
        (spot(&text.server_label), !json, "prometheus"),
        (spot(&text.pointer), text.prometheus.is_none(), "url"),
    ];
    for (spot, fits, with) in goes_with {
        if let (Some(spot), false) = (spot, fits) {
            sink.fault(spot, format!("`{}` goes with `{with}`", spot.key));
        }
    }
    if let Some(at) = &text.prometheus {
        let base = address(at, sink);
        let query = text.query.as_ref().filter(|at| !at.value.trim().is_empty());
        if query.is_none() {
            sink.missing(&text.spot, "query").hint("as query = \"sum(rate(requests_total[1m]))\"");
        }
        let server = text.server_label.as_ref().and_then(|at| range::name(at, sink));
        let (mut base, query) = (base?, query?.value.clone());
        if base.query().is_some() {
            let reason = format!("`{}` holds a query", at.spot.key);
            sink.fault(&at.spot, reason).hint("end it before what comes before /api/v1/query");
            return None;
        }
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        return Some(From::Prometheus { base, query, server });
    }
    let Some(at) = &text.url else {
        let reason = format!("`{}` says nowhere to ask", text.spot.key);
        sink.fault(&text.spot, reason)
            .for_want()
            .hint("prometheus = \"http://…\" with query, or url = \"https://…\" with pointer");
        return None;
    };
    let url = address(at, sink);
    let Some(pointer) = &text.pointer else {
        sink.missing(&text.spot, "pointer").hint("as pointer = \"/queue/length\" (RFC 6901)");
        return None;
    };
    let pointer = range::pointer(pointer, sink)?;
    Some(From::Json { url: url?, pointer })
}

/// Where one may ask: over http or https, and never where clouds keep machines' metadata.
fn address(at: &At<String>, sink: &mut Sink) -> Option<Url> {
    let url = Url::parse(&at.value).ok().filter(|url| url.host().is_some());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        let fault = sink.fault(&at.spot, format!("`{}` is no URL of http or https", at.spot.key));
        fault.hint("write it as http://host:9090 or https://host/path");
        return None;
    };
    let (why, hint) = if !url.username().is_empty() || url.password().is_some() {
        ("holds a user name or password", "write username, and basic = { file = \"…\" }")
    } else if host::names_link_local(&url) {
        ("points to a link-local address", "that is where machines find their metadata")
    } else if url.fragment().is_some() {
        ("holds a fragment", "end it before the '#'")
    } else {
        return Some(url);
    };
    sink.fault(&at.spot, format!("`{}` {why}", at.spot.key)).hint(hint);
    None
}

fn pace(text: &At<PullText>, sink: &mut Sink) -> (Duration, Duration) {
    let every = range::span(text.every.as_ref(), EVERY, range::SECOND..=range::HOUR, sink);
    let at = text.timeout.as_ref();
    let timeout = range::span(at, TIMEOUT.min(every / 2), TIMEOUT_LEAST..=range::HOUR, sink);
    if let (Some(at), true) = (at, timeout >= every) {
        let reason = format!("`{}` must be shorter than `every`", at.spot.key);
        sink.fault(&at.spot, reason).hint("a question is over before the next one is asked");
    }
    (every, timeout)
}

fn login(
    text: &At<PullText>,
    setting: &Setting<'_>,
    from: Option<&From>,
    sink: &mut Sink,
) -> Option<Login> {
    at_most_one(&[spot(&text.bearer), spot(&text.basic)], sink);
    if let (Some(at), None) = (&text.username, &text.basic) {
        let reason = format!("`{}` goes with `basic`", at.spot.key);
        sink.fault(&at.spot, reason).hint("basic = { file = \"…\" } is the password");
    }
    let at = text.bearer.as_ref().or(text.basic.as_ref())?;
    let secret = secrets::secret(at, setting.around, sink);
    if let Some(secret) = &secret {
        secrets::judge_at(&at.spot, secret, setting.around, sink);
    }
    let url = from.map(|from| match from {
        From::Prometheus { base, .. } => base,
        From::Json { url, .. } => url,
    });
    if url.is_some_and(|url| url.scheme() == "http" && !host::loopback(url)) {
        let reason =
            format!("`{}` is sent over plain http, for all on the way to read", at.spot.key);
        sink.warn(&at.spot, reason).hint("ask over https");
    }
    if text.bearer.is_some() {
        return secret.map(Login::Bearer);
    }
    let Some(username) = &text.username else {
        sink.missing(&text.spot, "username");
        return None;
    };
    let username = range::name(username, sink)?;
    Some(Login::Basic { username, password: secret? })
}

fn certificates(
    at: &At<String>,
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Option<std::path::PathBuf> {
    let path = setting.around.env.path(&at.value, setting.around.base);
    match tls::certificates(&path) {
        Ok(()) => Some(path),
        Err(why) => {
            sink.fault(&at.spot, format!("`{}` {why}", at.spot.key));
            None
        }
    }
}

/// Points at what nothing would follow from.
fn judge_policies(
    text: &At<PullText>,
    (name, signal): (&GroupName, &SignalName),
    setting: &Setting<'_>,
    sink: &mut Sink,
) {
    let group = setting.groups.iter().find(|group| group.name == *name);
    if group.is_some_and(|group| !group.signals().any(|read| read == signal)) {
        let reason = format!("no policy of the group {name} reads {signal}");
        let at = spot(&text.signal).unwrap_or(&text.spot);
        sink.warn(at, reason).hint(format!("add [[group.{name}.target]], or correct the name"));
    }
}
