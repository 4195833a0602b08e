//! `POST /v1/groups/{group}/capacity`: a word about how many servers there should be.
//!
//! The body holds exactly one of these, and may hold a `reason`:
//!
//! | field | meaning |
//! |---|---|
//! | `set` | the base becomes this number |
//! | `adjust` | the base moves by this many servers |
//! | `percent` | the base moves by this share of itself |
//! | `reserve` | `{"owner": …, "capacity": n, "for": "2h"}`: this much until then |
//! | `release` | `{"owner": …}`: the owner's reservation ends now |
//!
//! `PUT …/pin` takes `{"capacity": n, "for": "2h", "reason": …}`, `for` and `reason` at will.

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use jiff::{Span, SpanRelativeTo};

use super::json::{Fields, Node, parse};
use super::{idempotency_key, order};
use crate::domain::count::MOST;
use crate::domain::id::Owner;
use crate::domain::signal::{ANNOUNCED_MOST, Command, CommandError};
use crate::domain::time::{Now, spoken};
use crate::http::auth::Caller;
use crate::http::body::Taken;
use crate::http::error::{Kind, Problem};
use crate::http::{App, Named};

/// The longest reason that is kept and shown.
const REASON_MOST: usize = 256;

/// A share above this makes the largest fleet of one server: it is a mistake (a metric, a
/// timestamp), and not a percentage.
const PERCENT_MOST: f64 = 1e6;

/// A reservation or a pin with an end lasts at least so long.
const SPAN_LEAST: Duration = Duration::from_secs(1);

type Sent = (Method, Uri, HeaderMap);

pub(in crate::http) async fn post(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    order(&app, &group, &caller, change(&body, now)?, key, now).await
}

pub(in crate::http) async fn put_pin(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    Extension(Taken(body)): Extension<Taken>,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &body)?;
    let now = app.now();
    order(&app, &group, &caller, pin(&body, now)?, key, now).await
}

pub(in crate::http) async fn delete_pin(
    State(app): State<App>,
    Named(group): Named,
    Extension(caller): Extension<Caller>,
    (method, uri, headers): Sent,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers, &method, &uri, &[])?;
    order(&app, &group, &caller, (Command::Unpin, None), key, app.now()).await
}

/// How the value of one field becomes a command.
type Reading = fn(Node, Now) -> Result<Command, Problem>;

const WAYS: &str = "set, adjust, percent, reserve or release";

fn change(body: &[u8], now: Now) -> Result<(Command, Option<String>), Problem> {
    let names = &["set", "adjust", "percent", "reserve", "release", "reason"];
    let mut fields = Fields::of(parse(body)?, names)?;
    let reason = reason(&mut fields)?;
    let ways: [(&str, Reading); 5] = [
        ("set", |node, _| Ok(Command::Set { capacity: capacity(&node)? })),
        ("adjust", |node, _| Ok(Command::Adjust { by: node.whole()? })),
        ("percent", |node, _| Ok(Command::Percent { by: percent(&node)? })),
        ("reserve", reserve),
        ("release", |node, _| {
            Ok(Command::Release { owner: Fields::of(node, &["owner"])?.need("owner")?.valid()? })
        }),
    ];
    let mut given = ways.into_iter().filter_map(|(name, read)| Some((read, fields.take(name)?)));
    match (given.next(), given.next()) {
        (Some((read, node)), None) => Ok((read(node, now)?, reason)),
        (None, _) => Err(fields.fault(format_args!("one of {WAYS} is missing"))),
        (Some(_), Some(_)) => Err(fields
            .fault(format_args!("only one of {WAYS} at a time"))
            .hint("send them one after the other")),
    }
}

fn reserve(node: Node, now: Now) -> Result<Command, Problem> {
    let mut fields = Fields::of(node, &["owner", "capacity", "for"])?;
    let owner: Owner = fields.need("owner")?.valid()?;
    let wanted = capacity(&fields.need("capacity")?)?;
    let until = now.plus(span(&fields.need("for")?)?);
    Ok(Command::Reserve { owner, capacity: wanted, until })
}

fn pin(body: &[u8], now: Now) -> Result<(Command, Option<String>), Problem> {
    let mut fields = Fields::of(parse(body)?, &["capacity", "for", "reason"])?;
    let wanted = capacity(&fields.need("capacity")?)?;
    let until = fields.take("for").map(|node| span(&node)).transpose()?;
    let until = until.map(|span| now.plus(span));
    Ok((Command::Pin { capacity: wanted, until }, reason(&mut fields)?))
}

/// A body that says nothing but why.
pub(in crate::http) fn only_reason(body: &[u8]) -> Result<Option<String>, Problem> {
    reason(&mut Fields::of(parse(body)?, &["reason"])?)
}

pub(super) fn reason(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let node = fields.take("reason");
    node.map(|node| node.printable(REASON_MOST).map(str::to_owned)).transpose()
}

/// A share of the base.
fn percent(node: &Node) -> Result<f64, Problem> {
    let by = node.number()?;
    if by.abs() <= PERCENT_MOST {
        return Ok(by);
    }
    Err(node
        .fault(format_args!("a change by more than {PERCENT_MOST} % is a mistake"))
        .hint("`set` takes a number of servers, `percent` a share of the base: 50 makes 4 into 6"))
}

/// A number of servers.
fn capacity(node: &Node) -> Result<u32, Problem> {
    let number = u64::try_from(node.whole()?).map_err(|_| node.fault("it must be 0 or more"))?;
    match u32::try_from(number) {
        Ok(n) if n <= MOST => Ok(n),
        Ok(_) | Err(_) => {
            let why = CommandError::TooMany(number).to_string();
            Err(Problem::new(Kind::Limit, why).at(node.place.pointer()))
        }
    }
}

/// A span as people write it (`90s`, `2h`, `1d 12h`) or as ISO 8601 does (`PT2H`); a day
/// has 24 hours.
pub(super) fn span(node: &Node) -> Result<Duration, Problem> {
    let days = SpanRelativeTo::days_are_24_hours();
    let span = node.text()?.parse::<Span>().and_then(|span| span.to_duration(days));
    let (least, most) = (spoken(SPAN_LEAST), spoken(ANNOUNCED_MOST));
    let span = span.ok().and_then(|span| Duration::try_from(span).ok());
    span.filter(|s| (SPAN_LEAST..=ANNOUNCED_MOST).contains(s)).ok_or_else(|| {
        node.fault(format_args!(
            "it must be a time span of {least} to {most}, as \"90s\" or \"2h\""
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Command, Option<String>) {
        change(body.as_bytes(), Now::default()).unwrap()
    }

    #[test]
    fn each_way_becomes_its_command() {
        let owner = Owner::new("batch").unwrap();
        let until = Now::default().plus(Duration::from_secs(7200));
        let cases = [
            ("{\"set\": 4}", Command::Set { capacity: 4 }),
            ("{\"adjust\": -2}", Command::Adjust { by: -2 }),
            ("{\"percent\": 12.5}", Command::Percent { by: 12.5 }),
            (
                "{\"reserve\": {\"owner\": \"batch\", \"capacity\": 10, \"for\": \"2h\"}}",
                Command::Reserve { owner: owner.clone(), capacity: 10, until },
            ),
            ("{\"release\": {\"owner\": \"batch\"}}", Command::Release { owner }),
        ];
        for (body, command) in cases {
            assert_eq!(read(body), (command, None), "{body}");
        }
        assert_eq!(read("{\"set\": 4, \"reason\": \"sale\"}").1.as_deref(), Some("sale"));
        assert_eq!(read("{\"set\": 4, \"adjust\": null}").0, Command::Set { capacity: 4 });
    }

    #[test]
    fn a_percentage_has_an_end() {
        let read = |by: &str| change(format!("{{\"percent\": {by}}}").as_bytes(), Now::default());
        for by in ["1000000", "-1e6", "0", "-12.5"] {
            assert!(read(by).is_ok(), "{by}");
        }
        for by in ["1000000.5", "-1e7", "1e300"] {
            let problem = read(by).unwrap_err();
            assert_eq!(
                (problem.kind, problem.pointer.as_deref()),
                (Kind::Invalid, Some("/percent"))
            );
            assert!(problem.detail.contains("1000000 %"), "{problem:?}");
        }
    }

    #[test]
    fn spans_read_as_people_write_them() {
        let secs = |text: &str| {
            let node = parse(format!("\"{text}\"").as_bytes()).unwrap();
            span(&node).map(|s| s.as_secs()).ok()
        };
        let good = [("90s", 90), ("2h", 7200), ("1h30m", 5400), ("1d 12h", 129_600), ("PT1M", 60)];
        for (text, length) in good {
            assert_eq!(secs(text), Some(length), "{text}");
        }
        for bad in ["", "2", "2x", "-2h", "2h ago", "0s", "500ms", "31d", "1mo", "99999999999999d"]
        {
            assert_eq!(secs(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pin_may_be_without_end() {
        let (command, _) = pin(b"{\"capacity\": 3}", Now::default()).unwrap();
        assert_eq!(command, Command::Pin { capacity: 3, until: None });
        let (command, reason) =
            pin(b"{\"capacity\": 3, \"for\": \"60s\", \"reason\": \"tests\"}", Now::default())
                .unwrap();
        let until = Some(Now::default().plus(Duration::from_secs(60)));
        assert_eq!(
            (command, reason.as_deref()),
            (Command::Pin { capacity: 3, until }, Some("tests"))
        );
    }
}
