//! `POST /v1/groups/{group}/alerts`: alerts that fire or are resolved.
//!
//! The body is one alert, a list of alerts, or `{"alerts": […]}`:
//!
//! | field | meaning |
//! |---|---|
//! | `name` | what its sender calls it, and the group's policy |
//! | `status` | `firing`, or `resolved`; `firing` if it is left out |
//! | `fingerprint` | tells alerts of one name apart |
//! | `source` | the alert is one that this source tells of |
//! | `starts_at` | when it began, RFC 3339: of one beginning `resolved` is the last word |
//! | `for` | when it ends unless it is told again, as `"10m"` |
//!
//! 202 answers what a command is answered, and a `note` where no policy of the group follows the
//! alert. To tell an alert again renews it; it changes nothing else.

use std::collections::BTreeSet;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::capacity::span;
use super::json::{Fields, Node};
use super::several::Several;
use super::{idempotency_key, order};
use crate::domain::alert::{ALERTS_MOST, AlertTold, FINGERPRINT_MOST, TOLD_MOST, Teller};
use crate::domain::group::Group;
use crate::domain::id::{AlertName, GroupName};
use crate::domain::signal::{AHEAD_MOST, Command};
use crate::domain::time::{Now, Wall, spoken};
use crate::http::auth::Caller;
use crate::http::body::Taken;
use crate::http::error::Problem;
use crate::http::{App, Named};

pub(in crate::http) async fn post(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    let alerts = alerts(&body, now)?;
    // One was counted when the request came.
    let more = u32::try_from(alerts.len()).unwrap_or(u32::MAX).saturating_sub(1);
    app.senders().signals(&caller, more)?;
    let command = Command::Alerts { alerts };
    order(&app, &group, &caller, (command, None), key, now).await
}

/// A hint for the sender whose alerts nobody follows.
pub fn unread(group: &Group, alerts: &[AlertTold]) -> Option<String> {
    let followed: BTreeSet<&AlertName> = group.alerts().collect();
    let name = alerts.iter().map(|alert| &alert.name).find(|name| !followed.contains(name))?;
    let all = followed.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let follows = match all.as_str() {
        "" => "it follows no alerts".to_owned(),
        all => format!("it follows {all}"),
    };
    Some(format!("no policy of {} follows the alert {name}; {follows}", group.name))
}

/// What a sender should know that has more to tell than is kept one by one.
pub fn crowded(group: &GroupName, crowded: usize) -> Option<String> {
    let said = || {
        format!(
            "{crowded} firing alerts of {group} find no place beside the {ALERTS_MOST} that are \
             kept one by one, and count together by their names; let a rule tell one alert of the \
             whole group instead of one of each machine"
        )
    };
    (crowded > 0).then(said)
}

/// The alerts of a body, all valid or none.
fn alerts(body: &[u8], now: Now) -> Result<Vec<AlertTold>, Problem> {
    let all = Several { one: "alert", many: "alerts", key: &["alerts"], most: TOLD_MOST };
    all.read(body, |node| alert(node, now))
}

fn alert(node: Node, now: Now) -> Result<AlertTold, Problem> {
    let names = &["name", "status", "fingerprint", "source", "starts_at", "for"];
    let mut fields = Fields::of(node, names)?;
    let name = fields.need("name")?.valid()?;
    let firing = match fields.take("status") {
        None => true,
        Some(node) => match node.text()? {
            "firing" => true,
            "resolved" => false,
            _ => return Err(node.fault("it must be \"firing\" or \"resolved\"")),
        },
    };
    let fingerprint = fields.take("fingerprint");
    let fingerprint = fingerprint.map(|n| n.printable(FINGERPRINT_MOST).map(str::to_owned));
    let starts = fields.take("starts_at").map(|node| starts_at(&node, now)).transpose()?;
    let until = fields.take("for").map(|node| span(&node)).transpose()?;
    let until = until.map(|span| now.plus(span));
    let fingerprint = fingerprint.transpose()?.unwrap_or_default();
    let source = fields.take("source").map(|node| node.valid()).transpose()?;
    let by = source.map_or(Teller::Direct, Teller::Source);
    Ok(AlertTold { fingerprint, by, starts, until, ..AlertTold::new(name, firing) })
}

/// One that lies ahead would make every later word an earlier one.
fn starts_at(node: &Node, now: Now) -> Result<Wall, Problem> {
    let at = Wall::parse(node.text()?)
        .map_err(|_| node.fault("it must be RFC 3339, as 2026-11-23T18:00:00Z"))?;
    if at <= now.wall.plus(AHEAD_MOST) {
        return Ok(at);
    }
    let (ahead, most) = (spoken(at.since(now.wall)), spoken(AHEAD_MOST));
    Err(node
        .fault(format_args!("it lies {ahead} ahead of our clock; at most {most} is allowed"))
        .hint("set the sender's clock, or leave `starts_at` out"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::error::Kind;

    fn now() -> Now {
        Now { wall: Wall::parse("2026-11-23T12:00:00Z").unwrap(), ..Now::default() }
    }

    fn read(body: &str) -> Result<Vec<AlertTold>, Problem> {
        alerts(body.as_bytes(), now())
    }

    #[test]
    fn one_a_list_and_an_envelope_are_the_same() {
        let one = "{\"name\": \"Queue High\"}";
        for body in [one.to_owned(), format!("[{one}]"), format!("{{\"alerts\": [{one}]}}")] {
            let all = read(&body).unwrap();
            assert_eq!((all.len(), all[0].name.as_str()), (1, "Queue High"), "{body}");
            assert!(all[0].firing && all[0].fingerprint.is_empty());
            assert_eq!((all[0].starts, all[0].until), (None, None));
        }
    }

    #[test]
    fn everything_that_an_alert_says_is_kept() {
        let body = "{\"name\": \"A\", \"status\": \"resolved\", \"fingerprint\": \"f-1\", \
                    \"source\": \"zabbix\", \
                    \"starts_at\": \"2026-11-23T11:59:00Z\", \"for\": \"10m\"}";
        let alert = read(body).unwrap().remove(0);
        assert_eq!((alert.firing, alert.fingerprint.as_str()), (false, "f-1"));
        assert_eq!(alert.by, Teller::Source("zabbix".parse().unwrap()));
        assert_eq!(alert.starts.unwrap().to_string(), "2026-11-23T11:59:00Z");
        assert_eq!(alert.until, Some(now().plus(Duration::from_secs(600))));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (body, pointer) in [
            ("{}", ""),
            ("[]", ""),
            ("{\"name\": \"\"}", "/name"),
            ("{\"name\": \" A\"}", "/name"),
            ("{\"name\": \"A\", \"status\": \"pending\"}", "/status"),
            ("{\"name\": \"A\", \"starts_at\": \"yesterday\"}", "/starts_at"),
            ("{\"name\": \"A\", \"starts_at\": \"2099-01-01T00:00:00Z\"}", "/starts_at"),
            ("{\"name\": \"A\", \"for\": \"0s\"}", "/for"),
            ("{\"name\": \"A\", \"fingerprint\": \"\"}", "/fingerprint"),
            ("{\"name\": \"A\", \"source\": \"no name\"}", "/source"),
            ("{\"name\": \"A\", \"severity\": \"high\"}", "/severity"),
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.pointer.as_deref().unwrap_or(""), pointer, "{body}: {problem:?}");
        }
        let many = vec!["{\"name\": \"A\"}"; TOLD_MOST + 1].join(",");
        assert_eq!(read(&format!("[{many}]")).unwrap_err().kind, Kind::Limit);
    }
}
