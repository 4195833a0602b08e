//! What a refusal means: an answer becomes a [`Failure`] of a kind one can branch on.
//!
//! The text is read before the status, for services disagree: a quota is 403 in Nova,
//! 409 in Neutron, 413 in old releases. The envelope is read leniently: any JSON object
//! with a message will do, and none at all is no error of ours. A kind is *certain* only
//! where the service surely did nothing; a create that ended in a 5xx never is, nor one that
//! was answered in words that are not OpenStack's: proxies put pages of any status in the
//! place of a lost answer. Services repeat what they were sent, so what is secret in a call
//! is taken out of its refusal. The story: [`told`] opens the envelope, [`kind`] judges, and
//! [`failure`] says it in a sentence with the key to mend and what to do. Quota numbers are
//! read in `error/quota.rs`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::call::{Call, Service};
use super::transport::{Response, TransportError};
use crate::cloud::rights::{self, Right};
use crate::domain::id::GroupName;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Wall;

mod quota;

/// How much of a service's own words is kept.
const WORDS_MOST: usize = 400;

/// What an envelope said, cut and without control characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The envelope's key (`itemNotFound`, `NeutronError`) or OAuth's `error`.
    pub name: String,
    pub message: String,
    /// Neutron's type of error.
    pub kind: String,
    retry_after: Option<String>,
}

/// How far an answer's own clock and our patience bound what it asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub now: Wall,
    /// The longest Retry-After that is obeyed.
    pub most: Duration,
}

/// The failure in an answer; none if it is a success (2xx).
pub(super) fn failure(call: &Call, answer: &Response, patience: Patience) -> Option<Failure> {
    if answer.status.is_success() {
        return None;
    }
    let told = told_without(&answer.body, &call.secrets());
    let kind = kind(call, answer, &told);
    let busy = kind == FailureKind::Busy || answer.status == StatusCode::SERVICE_UNAVAILABLE;
    let advice = advice(call, answer, &told, kind);
    Some(Failure {
        kind,
        message: sentence(call, answer, &told),
        hint: advice.hint,
        key: advice.key,
        status: Some(answer.status.as_u16()),
        request_id: request_id(answer),
        retry_after: retry_after(answer, &told, patience).filter(|_| busy),
    })
}

/// The failure in having no answer.
pub(super) fn unanswered(call: &Call, error: &TransportError) -> Failure {
    let (kind, hint) = match error {
        TransportError::Unreached(_) => (
            FailureKind::Unreached,
            "Check the address, the network, the proxy and the certificates (cloud.cacert).",
        ),
        TransportError::Unclear(_) => {
            (FailureKind::Unclear, "Nobody knows whether the call was carried out.")
        }
    };
    let reached = if kind == FailureKind::Unreached { "not reached" } else { "no answer" };
    Failure::new(kind, format!("{call}: {reached}: {error}")).hint(hint)
}

/// An answer of success that cannot be what was asked for.
pub(super) fn unreadable(call: &Call, answer: &Response, why: impl std::fmt::Display) -> Failure {
    let message = format!("{call}: the answer ({}) cannot be used: {why}", answer.status);
    Failure {
        status: Some(answer.status.as_u16()),
        request_id: request_id(answer),
        ..Failure::new(FailureKind::Unclear, message)
    }
    .hint("Something between here and the service may answer in its place: a proxy, a login page.")
}

/// The failure of a step before the call itself: the call was not made, so nothing was done.
pub(super) fn not_sent(failure: Failure) -> Failure {
    if failure.kind.certain() {
        return failure;
    }
    let message = format!("not sent: {}", failure.message);
    Failure { kind: FailureKind::Unreached, message, ..failure }
}

pub(super) fn request_id(answer: &Response) -> Option<String> {
    let id = answer.header("x-openstack-request-id").or(answer.header("x-compute-request-id"))?;
    Some(id.chars().take(64).collect())
}

/// Opens an envelope: `{"error": "word"}` of OAuth, `{"KEY": {"message": …}}` of OpenStack,
/// `{"message": …}` of gateways; of an HTML page, its title.
pub(super) fn told(body: &[u8]) -> Told {
    told_without(body, &[])
}

/// The same without these secrets, wherever they are repeated.
fn told_without(body: &[u8], secrets: &[&str]) -> Told {
    let tidy = |words: &str| tidy(&veiled(words, secrets));
    let Ok(Value::Object(top)) = serde_json::from_slice(body) else {
        let text = String::from_utf8_lossy(&body[..body.len().min(PAGE_MOST)]);
        return Told { message: title(&veiled(&text, secrets)), ..Told::default() };
    };
    let text = |value: Option<&Value>| tidy(value.and_then(Value::as_str).unwrap_or_default());
    if let Some(Value::String(word)) = top.get("error") {
        let message = text(top.get("error_description").or(top.get("message")));
        return Told { name: tidy(word), message, ..Told::default() };
    }
    for (name, inner) in &top {
        if let Some(fields) = inner.as_object().filter(|fields| fields.contains_key("message")) {
            let kind = text(fields.get("type"));
            let after = fields.get("retryAfter");
            let after = after.map(|a| a.as_str().map_or_else(|| a.to_string(), str::to_owned));
            let message = text(fields.get("message"));
            return Told { name: tidy(name), message, kind, retry_after: after };
        }
        // Neutron's older envelope.
        if name == "NeutronError" && inner.is_string() {
            return Told { name: name.clone(), message: text(Some(inner)), ..Told::default() };
        }
    }
    Told { message: text(top.get("message")), ..Told::default() }
}

/// Of an answer that is not JSON, as much is looked at; a call's secrets are shorter.
const PAGE_MOST: usize = 256 * 1024;

/// Nova's schema check, for one, repeats the whole request: "Invalid input for field/attribute
/// server. Value: {…}" (nova/api/validation/validators.py).
fn veiled(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

fn title(text: &str) -> String {
    let head: String = text.chars().take(4096).collect();
    let after = head.split_once("<title>").map(|(_, rest)| rest);
    let title = after.and_then(|rest| rest.split_once("</title>")).map(|(title, _)| title);
    match title {
        Some(title) => tidy(title),
        None if head.trim_start().starts_with('<') => tidy(&without_marks(&head)),
        None => tidy(&head),
    }
}

fn without_marks(html: &str) -> String {
    let mut inside = false;
    let keep = |c: char| {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                return Some(' ');
            }
            _ => {}
        }
        (!inside).then_some(c)
    };
    html.chars().filter_map(keep).collect()
}

fn tidy(words: &str) -> String {
    let cut: String = words.chars().take(WORDS_MOST).collect();
    let line = cut.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    line.collect::<Vec<_>>().join(" ")
}

/// Texts of Nova and Neutron that mean: no place for it, now.
/// Source: nova/exception.py NoValidHost, MaxRetriesExceeded, NoMoreFixedIps, FixedIpLimitExceeded;
/// neutron-lib exceptions IpAddressGenerationFailure.
const NO_PLACE: [&str; 4] = [
    "No valid host was found",
    "Exceeded maximum number of retries",
    "No more IP addresses available",
    "No fixed IP addresses available",
];

fn kind(call: &Call, answer: &Response, told: &Told) -> FailureKind {
    let (status, words) = (answer.status.as_u16(), told.message.as_str());
    if quota::says(told) && answer.status.is_client_error() {
        return FailureKind::Quota { fits: quota::fits(words, call.servers) };
    }
    if NO_PLACE.iter().any(|text| words.contains(text)) && answer.status.is_client_error() {
        return FailureKind::Capacity;
    }
    // Signing in changes nothing, whatever its method.
    let signs_in = matches!(call.service, Service::Identity | Service::IdentityProvider);
    let changes = call.method != Method::GET && !signs_in;
    if makes(call) && !surely_refused(answer, told) {
        return FailureKind::Unclear;
    }
    match status {
        401 => FailureKind::Denied,
        403 if forbids_by_nature(words) => FailureKind::Refused,
        403 => FailureKind::Denied,
        404 if own_words(told) => FailureKind::Gone,
        // A page from something else: it proves neither absence nor that DELETE was done.
        404 if call.service == Service::Compute && call.method != Method::POST => {
            FailureKind::Unclear
        }
        408 if changes => FailureKind::Unclear,
        409 if words.contains("Multiple possible networks") => FailureKind::Refused,
        409 => FailureKind::Conflict,
        413 | 429 => FailureKind::Busy,
        503 if !changes || refused_at_the_door(told) => FailureKind::Busy,
        300..=499 => FailureKind::Refused,
        _ => FailureKind::Unclear,
    }
}

/// Nova's and Neutron's own 404; a proxy's page is none.
fn own_words(told: &Told) -> bool {
    told.name == "itemNotFound" || told.name == "NeutronError"
}

/// 403s that no right would cure. Source: nova/exception.py ExternalNetworkAttachForbidden,
/// BootFromVolumeRequiredForZeroDiskFlavor.
fn forbids_by_nature(words: &str) -> bool {
    words.contains("create an interface on external network")
        || words.contains("Only volume-backed servers are allowed")
}

/// Whether the call makes something that a second one would make again.
fn makes(call: &Call) -> bool {
    call.method == Method::POST && call.service == Service::Compute
}

/// Whether it is sure that what was to be made was not. A page that is not OpenStack's may
/// stand in the place of a lost answer, whatever its status says: `error_page 504 =404` of
/// nginx, a firewall that reads answers. Some statuses speak of the request alone, and are
/// given before it is passed on.
fn surely_refused(answer: &Response, told: &Told) -> bool {
    match answer.status.as_u16() {
        401 => by_the_token_check(answer, told),
        411 | 413 | 414 | 421 | 429 | 431 => true,
        503 => refused_at_the_door(told),
        400..=499 => !told.name.is_empty(),
        _ => false,
    }
}

/// The token check stands in front of the service, and speaks as Keystone does
/// (keystonemiddleware/auth_token). Nova itself says 401 where a service behind it refused
/// the token: then it had begun.
fn by_the_token_check(answer: &Response, told: &Told) -> bool {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    told.name == "error" || challenge.to_ascii_lowercase().starts_with("keystone ")
}

/// Whether a 503 to a write was surely given before anybody acted: by Nova itself, by its
/// token check (keystonemiddleware), or by HAProxy without a back end. Other proxies say 503
/// also when they lost a back end after the request had gone out, some with a Retry-After
/// (Varnish: "Backend fetch failed").
fn refused_at_the_door(told: &Told) -> bool {
    told.name == "serviceUnavailable"
        || told.message.contains("Keystone service is temporarily unavailable")
        || told.message.contains("No server is available to handle this request")
}

fn sentence(call: &Call, answer: &Response, told: &Told) -> String {
    let status = answer.status;
    let reason = status.canonical_reason().unwrap_or("unknown status");
    let mut text = format!("{call}: {} {reason}", status.as_u16());
    if status.is_redirection() {
        let to = answer.header("location").map(tidy).unwrap_or_default();
        let to = if to.is_empty() { "nowhere".to_owned() } else { to };
        text.push_str(&format!(": a redirect to {to}, which is not followed with a token"));
    }
    let words = if told.message.is_empty() { &told.name } else { &told.message };
    if !words.is_empty() && words != reason {
        text.push_str(": ");
        text.push_str(words);
    }
    text
}

#[derive(Default)]
struct Advice {
    hint: Option<String>,
    key: Option<String>,
}

impl Advice {
    fn hint(text: impl Into<String>) -> Self {
        Self { hint: Some(text.into()), key: None }
    }

    fn key(self, key: impl Into<Option<String>>) -> Self {
        Self { key: key.into(), ..self }
    }
}

fn advice(call: &Call, answer: &Response, told: &Told, kind: FailureKind) -> Advice {
    match kind {
        FailureKind::Quota { .. } if told.message.contains("too many servers in group") => {
            let key = group_key(call.group.as_ref(), "server_group");
            Advice::hint("Nova allows so many members of a server group only (10 by default).")
                .key(key)
        }
        FailureKind::Quota { .. } => {
            Advice::hint("Raise the project's quota in this region, or lower the group's max.")
        }
        FailureKind::Capacity => {
            Advice::hint("The place is full: another flavor, zone or region may have room.")
        }
        FailureKind::Denied if answer.status == StatusCode::FORBIDDEN => {
            let policy = policy(&told.message);
            let right = policy.and_then(Right::of_policy).unwrap_or_else(|| needed(call));
            Advice::hint(rights::remedy(right, policy))
        }
        FailureKind::Denied => Advice::hint(
            "The service refused a fresh token: check that the project is enabled and that the \
             account still has a right on it.",
        ),
        FailureKind::Refused => refused(call, answer, told),
        FailureKind::Unclear if answer.status == StatusCode::NOT_FOUND => Advice::hint(
            "This 404 is not Nova's own: a proxy or a wrong endpoint answered. It proves nothing.",
        ),
        FailureKind::Unclear if makes(call) && !answer.status.is_server_error() => Advice::hint(
            "This answer is not Nova's own: what stands between may have put it in the place of \
             one that was lost. Servers that were made all the same are looked for.",
        ),
        FailureKind::Unclear if call.method != Method::GET => {
            Advice::hint("Nobody knows whether the call was carried out.")
        }
        FailureKind::Busy
        | FailureKind::Gone
        | FailureKind::Conflict
        | FailureKind::Unreached
        | FailureKind::Unclear => Advice::default(),
    }
}

/// Which text of a refused create blames which setting of the group.
/// Source: nova/api/openstack/compute/servers.py, nova/exception.py.
const BLAMED: [(&str, &str); 16] = [
    ("Can not find requested image", "image"),
    ("Image ", "image"),
    ("Flavor", "flavor"),
    ("Invalid flavorRef", "flavor"),
    ("Only volume-backed servers", "boot_volume"),
    ("Block Device Mapping is Invalid", "boot_volume"),
    ("external network", "networks"),
    ("possible networks", "networks"),
    ("Network", "networks"),
    ("ecurity group", "security_groups"),
    ("ecurity_group", "security_groups"),
    ("Instance group", "server_group"),
    ("key_name", "key_pair"),
    ("availability zone", "availability_zones"),
    ("ser_data", "user_data"),
    ("User data", "user_data"),
];

fn refused(call: &Call, answer: &Response, told: &Told) -> Advice {
    let words = &told.message;
    if answer.status.is_redirection() {
        return Advice::hint("Configure the address that the redirect names, if it is right.");
    }
    if answer.status == StatusCode::NOT_ACCEPTABLE {
        return Advice::hint(
            "The region's Nova does not know this microversion: it was updated or is too old.",
        );
    }
    if words.contains("Malformed request URL") {
        return Advice::hint("The catalog's project is not the token's.")
            .key("cloud.project_id".to_owned());
    }
    let blamed = BLAMED.iter().find(|(text, _)| words.contains(text)).map(|(_, setting)| *setting);
    match (blamed, &call.group) {
        (Some(setting), Some(group)) => {
            Advice::hint("Check the setting; names are looked up anew before the next try.")
                .key(group_key(Some(group), setting))
        }
        _ => Advice::default(),
    }
}

/// A setting of a group, as failures name it.
pub(super) fn group_key(group: Option<&GroupName>, setting: &str) -> Option<String> {
    group.map(|name| format!("group.{name}.{setting}"))
}

/// The policy that a 403 names: Nova's `Policy doesn't allow P to be performed.`,
/// Neutron's `(rule:P) is disallowed by policy`, Glance's `You are not authorized to complete P action.`
fn policy(words: &str) -> Option<&str> {
    let between = |from: &str, to: &str| {
        let (_, rest) = words.split_once(from)?;
        let (name, _) = rest.split_once(to)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_:-.".contains(c);
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    };
    between("Policy doesn't allow ", " to be performed")
        .or_else(|| between("(rule:", ") is disallowed"))
        .or_else(|| between("rule:", " is disallowed"))
        .or_else(|| between("authorized to complete ", " action"))
}

/// The right that a call needs, where the refusal names no policy.
fn needed(call: &Call) -> Right {
    match call.service {
        Service::Image => Right::ImageRead,
        Service::Network if call.template.contains("security-groups") => Right::SecurityGroupRead,
        Service::Network => Right::NetworkRead,
        _ if call.method == Method::GET => Right::ComputeRead,
        Service::Compute | Service::Identity | Service::IdentityProvider => Right::ComputeManage,
    }
}

/// How long a busy service wants to be left alone, capped: seconds or an HTTP date
/// (RFC 9110 § 10.2.3), from the header or from Nova's body. Nonsense counts as none.
fn retry_after(answer: &Response, told: &Told, patience: Patience) -> Option<Duration> {
    let text = answer.header("retry-after").or(told.retry_after.as_deref())?.trim();
    let asked = seconds(text).or_else(|| {
        let then = http_date(text)?;
        let now = answer.header("date").and_then(http_date).unwrap_or(patience.now);
        Some(then.since(now))
    })?;
    Some(asked.min(patience.most))
}

fn seconds(text: &str) -> Option<Duration> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 § 5.6.7).
pub(super) fn http_date(text: &str) -> Option<Wall> {
    let parsed: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Wall(parsed.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_of_all_kinds_are_opened() {
        for (body, name, message) in [
            (r#"{"itemNotFound":{"code":404,"message":"gone"}}"#, "itemNotFound", "gone"),
            (r#"{"error":{"code":401,"message":"who?"}}"#, "error", "who?"),
            (
                r#"{"error":"invalid_scope","error_description":"no\n such"}"#,
                "invalid_scope",
                "no such",
            ),
            (r#"{"NeutronError":"old words"}"#, "NeutronError", "old words"),
            (r#"{"class":"Client::NotFound","message":"Not found"}"#, "", "Not found"),
            (r#"{"a":1,"b":{"c":2}}"#, "", ""),
            ("<html><title>504 Gateway Time-out</title></html>", "", "504 Gateway Time-out"),
            ("<html><h1>Forbidden</h1><p>No.</p></html>", "", "Forbidden No."),
            ("plain", "", "plain"),
            ("[1, 2", "", "[1, 2"),
            ("", "", ""),
        ] {
            let told = told(body.as_bytes());
            assert_eq!((told.name.as_str(), told.message.as_str()), (name, message), "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(told(long.as_bytes()).message.len(), WORDS_MOST);
    }

    #[test]
    fn policies_are_read_out_of_refusals() {
        for (words, named) in [
            (
                "Policy doesn't allow os_compute_api:servers:create to be performed.",
                Some("os_compute_api:servers:create"),
            ),
            ("(rule:create_port) is disallowed by policy", Some("create_port")),
            ("You are not authorized to complete get_images action.", Some("get_images")),
            ("Policy doesn't allow <b>x</b> to be performed.", None),
            ("You are not authorized to perform the requested action.", None),
        ] {
            assert_eq!(policy(words), named, "{words}");
        }
    }

    fn asked(header: &str, date: Option<&str>) -> Option<u64> {
        let mut answer =
            Response { status: StatusCode::OK, headers: <_>::default(), body: Vec::new() };
        let mut put = |name: &'static str, text: &str| {
            answer.headers.insert(name, text.parse().unwrap());
        };
        put("retry-after", header);
        if let Some(date) = date {
            put("date", date);
        }
        let now = Wall::parse("2026-01-02T03:00:00Z").unwrap();
        let patience = Patience { now, most: Duration::from_secs(300) };
        retry_after(&answer, &Told::default(), patience).map(|after| after.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_is_capped() {
        assert_eq!(asked("7", None), Some(7));
        assert_eq!(asked("0", None), Some(0));
        assert_eq!(asked("86400", None), Some(300));
        assert_eq!(asked("99999999999999999999999999", None), Some(300));
        assert_eq!(asked("Fri, 02 Jan 2026 03:00:42 GMT", None), Some(42));
        assert_eq!(asked("Fri, 02 Jan 2026 02:00:00 GMT", None), Some(0), "past");
        assert_eq!(asked("Fri, 02 Jan 2099 03:00:00 GMT", None), Some(300));
        let skewed = Some("Fri, 02 Jan 2026 04:00:00 GMT");
        assert_eq!(asked("Fri, 02 Jan 2026 04:00:05 GMT", skewed), Some(5), "their clock");
        for nonsense in ["-5", "soon", "NaN", "inf", ""] {
            assert_eq!(asked(nonsense, None), None, "{nonsense}");
        }
    }
}
