//! `novascale scale GROUP N|+N|-N|+N%|-N%`: moves a group's base. The answer says
//! what becomes of it, for other claims may want more.

use std::str::FromStr;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Reply};
use super::daemon::Scope;
use super::exit::Error;
use super::output::Answer;
use super::view::Told;
use crate::domain::count::MOST;
use crate::domain::id::GroupName;
use crate::telemetry::escape::escape;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The group's name, as in [group.NAME]
    pub group: GroupName,

    /// The new base (5), or how it changes: +2, -1, +50%, -10%
    #[arg(allow_hyphen_values = true)]
    pub change: Change,

    #[command(flatten)]
    pub because: Because,
}

/// What every command to a group may carry.
#[derive(Debug, clap::Args)]
pub struct Because {
    /// Why; shown wherever the decision is explained
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Do it at most once under this id, however often it is sent
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// What becomes of the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    Set(u32),
    Adjust(i64),
    Percent(f64),
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is neither a number (5) nor a change (+2, -1, +50%, -10%)");
        let signed = text.starts_with(['+', '-']);
        let digits = text.trim_start_matches(['+', '-']).trim_end_matches('%');
        // Rust's numbers also read `+-5`, `inf` and `1e9`: people do not mean those.
        let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !plain || digits.is_empty() || digits.len() + 2 < text.len() {
            return Err(wrong());
        }
        match (signed, text.strip_suffix('%')) {
            (true, Some(percent)) => percent.parse().map(Self::Percent).map_err(|_| wrong()),
            (false, Some(_)) => Err(format!("{text} of what? write +{text} or -{text}")),
            (true, None) => text.parse().map(Self::Adjust).map_err(|_| wrong()),
            (false, None) => match text.parse() {
                Ok(n) => Ok(Self::Set(n)),
                Err(_) if text.contains('.') => Err(wrong()),
                Err(_) => Err(format!("{text} is too large: a group has at most {MOST} servers")),
            },
        }
    }
}

impl Change {
    fn body(self) -> Value {
        match self {
            Self::Set(n) => json!({ "set": n }),
            Self::Adjust(by) => json!({ "adjust": by }),
            Self::Percent(by) => json!({ "percent": by }),
        }
    }
}

pub(super) async fn run(args: &Args, client: &Client) -> Result<Answer, Error> {
    order(client, &args.group, args.change.body(), &args.because).await
}

/// Sends one command to the group's capacity.
pub(super) async fn order(
    client: &Client,
    group: &GroupName,
    mut body: Value,
    because: &Because,
) -> Result<Answer, Error> {
    if let Some(reason) = &because.reason {
        body["reason"] = json!(reason);
    }
    let how = (Method::POST, Scope::Capacity);
    told(client.send(how, (group, "/capacity"), Some(&body), because.id.as_deref()).await?)
}

/// The daemon's sentence, and whether it had heard the command before.
pub(super) fn told(reply: Reply) -> Result<Answer, Error> {
    let Told { sentence, repeated, note } = reply.parse()?;
    let mut answer = Answer::new(escape(&sentence), reply.body);
    if repeated {
        answer.notes.push("This id was used before: nothing was done again.".to_owned());
    }
    answer.warnings.extend(note);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_changes_are_told_apart() {
        let cases = [
            ("5", Change::Set(5)),
            ("0", Change::Set(0)),
            ("+2", Change::Adjust(2)),
            ("-1", Change::Adjust(-1)),
            ("+50%", Change::Percent(50.0)),
            ("-12.5%", Change::Percent(-12.5)),
        ];
        for (text, change) in cases {
            assert_eq!(text.parse(), Ok(change), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let refused = [
            "",
            "+",
            "-",
            "%",
            "+%",
            "5%",
            "1.5",
            "+1.5",
            "--1",
            "+-1",
            "1e3",
            "+inf%",
            "five",
            "99999999999",
            "5%%",
            "+5%%",
        ];
        for text in refused {
            assert!(text.parse::<Change>().is_err(), "{text:?}");
        }
        assert!("4294967296".parse::<Change>().unwrap_err().contains("is too large"));
    }
}
