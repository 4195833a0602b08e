//! `novascale reserve` and `release`: capacity that somebody needs for a time.

use std::time::Duration;

use serde_json::json;

use super::client::Client;
use super::exit::Error;
use super::output::Answer;
use super::scale::{Because, order};
use crate::domain::id::{GroupName, Owner};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// How many servers are to be there
    pub capacity: u32,

    /// For how long: 2h, 90min, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub span: Duration,

    /// Who needs it; a later reservation of the same owner replaces this one
    #[arg(long)]
    pub owner: Owner,

    #[command(flatten)]
    pub because: Because,
}

#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// Whose reservation ends
    #[arg(long)]
    pub owner: Owner,

    #[command(flatten)]
    pub because: Because,
}

pub(super) async fn reserve(args: &Args, client: &Client) -> Result<Answer, Error> {
    let Args { group, capacity, span, owner, because } = args;
    let span = seconds(*span);
    let body = json!({ "reserve": { "owner": owner, "capacity": capacity, "for": span } });
    order(client, group, body, because).await
}

pub(super) async fn release(args: &ReleaseArgs, client: &Client) -> Result<Answer, Error> {
    let ReleaseArgs { group, owner, because } = args;
    order(client, group, json!({ "release": { "owner": owner } }), because).await
}

/// As the API takes spans.
pub(super) fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

/// Reads a span as people write it: at least a second. How long it may be, the daemon says.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let example = "write it like 90s, 45min, 2h or 1d";
    // Days are 24 hours here, as in the configuration: no calendar is meant.
    let span = text.parse::<jiff::Span>().map_err(|_| format!("{text:?} is no span; {example}"))?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    let span = span.map_err(|_| format!("{text:?} has no fixed length; {example}"))?;
    let span = Duration::try_from(span).map_err(|_| format!("{text:?} lies in the past"))?;
    if span < Duration::from_secs(1) {
        return Err(format!("{text:?} is shorter than a second"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, secs) in
            [("90s", 90), ("45min", 2700), ("2h", 7200), ("1h 30m", 5400), ("1d", 86_400)]
        {
            assert_eq!(span(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for wrong in ["", "2", "2 parsecs", "-2h", "0s", "1mo", "1y", "2h ago"] {
            assert!(span(wrong).is_err(), "{wrong:?}");
        }
    }
}
