//! `novascale source test NAME`: what each group would be told.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::exit::{Error, Exit};
use super::super::output::{Answer, BOLD, paint, sentences};
use crate::app::sources::{Becomes, Hears, Refused, Sent, attempt, sample};
use crate::config::Config;
use crate::config::source::Source;
use crate::domain::alert::AlertTold;
use crate::domain::signal::Sample;
use crate::domain::time::Wall;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source's name, as in [source.NAME]
    pub name: String,

    /// The body as it is sent, `-` for stdin; a sample of the format if not given
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,

    /// A header that it is sent with, as 'Content-Type: application/json'
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,

    /// What stands behind the '?' of the address
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub query: String,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn run(
    args: &Args,
    config: &Config,
    source: &Source,
    now: Wall,
) -> Result<Answer, Error> {
    let mut sent = match &args.payload {
        Some(path) => Sent { body: read(path, source.body_bytes)?, ..Sent::default() },
        None => sample(config, source, now).ok_or_else(|| sampleless(source))?,
    };
    let sampled = args.payload.is_none().then(|| String::from_utf8_lossy(&sent.body).into_owned());
    for (name, _) in &args.headers {
        sent.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
    sent.headers.extend(args.headers.iter().cloned());
    sent.query.clone_from(&args.query);
    let becomes = attempt(config, source, &sent, now).map_err(|why| refused(source, why))?;
    let mut answer = Answer::new(text(source, &becomes), json(source, &becomes));
    if let Some(body) = sampled {
        answer.notes.push(format!("the payload is a sample of the format:\n{}", body.trim_end()));
    }
    answer.notes.push("nothing was sent or changed, and nobody's secret was looked at".to_owned());
    Ok(answer)
}

fn sampleless(source: &Source) -> Error {
    let said = format!("there is no sample of what the source {} is sent", source.name);
    Error::new(Exit::Usage, said).hint("name a file with a body of its sender: --payload FILE")
}

/// One byte more than is taken, for that to be seen.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Error> {
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(most).read_to_end(&mut body)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut body))
    };
    read.map(|_| body).map_err(|error| {
        Error::new(Exit::Failed, format!("cannot read the payload {}: {error}", path.display()))
    })
}

fn refused(source: &Source, refused: Refused) -> Error {
    let Refused { status, why, pointer, hint } = refused;
    let place = pointer.filter(|at| !at.is_empty()).map(|at| format!(" (at {at})"));
    let said = format!(
        "the source {} would refuse it with status {status}: {why}{}",
        source.name,
        place.unwrap_or_default()
    );
    let error = Error::new(Exit::Failed, said);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn text(source: &Source, becomes: &Becomes) -> String {
    let mut parts = Vec::new();
    for hears in &becomes.groups {
        let head = paint(BOLD, &format!("{} would hear from {}:", hears.group, source.name));
        parts.push(format!("{head}\n{}", sentences(&said(hears), 2)));
    }
    if parts.is_empty() {
        parts.push("No group would hear anything.".to_owned());
    }
    if !becomes.notes.is_empty() {
        let notes: Vec<String> =
            becomes.notes.iter().map(|note| format!("Note: {note}.")).collect();
        parts.push(sentences(&notes, 0));
    }
    if let Some(id) = &becomes.id {
        parts.push(sentences(&[format!("Its repetitions would be known by the id {id}.")], 0));
    }
    parts.join("\n")
}

fn said(hears: &Hears) -> Vec<String> {
    let alerts = hears.alerts.iter().map(alert);
    let samples = hears.samples.iter().map(measured);
    let orders = hears.orders.iter().map(|order| format!("An order: {order}."));
    alerts.chain(samples).chain(orders).collect()
}

fn alert(told: &AlertTold) -> String {
    let AlertTold { name, fingerprint, .. } = told;
    let which = match fingerprint.as_str() {
        "" => String::new(),
        fingerprint => format!(" (fingerprint {fingerprint})"),
    };
    let begins = told.ahead.or(told.starts);
    let word = if told.dated { "said at" } else { "it began at" };
    let since = begins.map(|at| format!("; {word} {at}")).unwrap_or_default();
    match state(told) {
        "firing" => format!("The alert {name}{which} fires{since}."),
        "resolved" => format!("The alert {name}{which} is over{since}."),
        _ => format!("Of the alert {name}{which} there is no data: it goes on as it was."),
    }
}

fn state(told: &AlertTold) -> &'static str {
    match (told.held, told.firing) {
        (true, _) => "no_data",
        (false, true) => "firing",
        (false, false) => "resolved",
    }
}

fn measured(sample: &Sample) -> String {
    let Sample { name, value, at, server, .. } = sample;
    let server = server.as_ref().map(|id| format!(" on the server {id}")).unwrap_or_default();
    format!("{name} is {}{server}, measured at {at}.", value.get())
}

fn json(source: &Source, becomes: &Becomes) -> Value {
    let alert = |told: &AlertTold| {
        json!({
            "name": told.name, "fingerprint": told.fingerprint, "status": state(told),
            "starts_at": told.starts,
        })
    };
    let sample = |sample: &Sample| {
        json!({
            "signal": sample.name, "value": sample.value, "at": sample.at, "server": sample.server,
        })
    };
    let group = |hears: &Hears| {
        json!({
            "group": hears.group, "orders": hears.orders,
            "alerts": hears.alerts.iter().map(alert).collect::<Vec<_>>(),
            "samples": hears.samples.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    json!({
        "source": source.name, "format": source.format.word(), "id": becomes.id,
        "groups": becomes.groups.iter().map(group).collect::<Vec<_>>(), "notes": becomes.notes,
    })
}
