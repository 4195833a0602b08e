//! What a refusal means: an answer becomes a [`Failure`] of a kind one can branch on.
//!
//! The text is read before the status, for services disagree: a quota is 403 in Nova,
//! 409 in Neutron, 413 in old releases. The envelope is read leniently: any JSON object
//! with a message will do, and none at all is no error of ours. A kind is *certain* only
//! where the service surely did nothing; a create that ended in a 5xx never is, nor one that
//! was answered in words that are not OpenStack's: proxies put pages of any status in the
//! place of a lost answer. Services repeat what they were sent, so what is secret in a call
//! is taken out of its refusal. The story: `error/envelope.rs` opens the envelope, [`kind`]
//! judges, and [`failure`] says it in a sentence, with the key to mend and what to do
//! (`error/advice.rs`). Quota numbers are read in `error/quota.rs`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, StatusCode};

use super::call::{Call, Service};
use super::transport::{Response, TransportError};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Wall;

mod advice;
mod envelope;
mod quota;

pub(super) use envelope::told;

use advice::{CERTIFICATE, address, advice, place};
use envelope::{Told, tidy, told_without, veiled};

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
    let place = place(&call.url);
    match error {
        TransportError::Unreached(why) => {
            let message = format!("{call}: {place} was not reached: {why}");
            let hint = match why.contains("certificate") {
                true => CERTIFICATE.to_owned(),
                false => format!("{}, the network and the proxy.", address(call)),
            };
            Failure::new(FailureKind::Unreached, message).hint(hint)
        }
        TransportError::Unclear(why) => {
            let message = format!("{call}: no answer of {place}: {why}");
            Failure::new(FailureKind::Unclear, message)
                .hint("Nobody knows whether the call was carried out.")
        }
    }
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
        let to = target(call, answer);
        text.push_str(&format!(": a redirect to {to}, which is not followed with a token"));
    }
    let words = if told.message.is_empty() { &told.name } else { &told.message };
    if !words.is_empty() && words != reason {
        text.push_str(": ");
        text.push_str(words);
    }
    text
}

/// Where a redirect leads, without what follows the path: a login page is told there what was
/// asked, and by whom.
fn target(call: &Call, answer: &Response) -> String {
    let whole = answer.header("location").unwrap_or_default();
    let place = whole.split(['?', '#']).next().unwrap_or_default();
    let place = tidy(&veiled(place, &call.secrets()));
    if place.is_empty() { "nowhere".to_owned() } else { place }
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
