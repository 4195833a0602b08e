//! `novascale source url NAME`: what its sender is to be told of us. Secrets are named by their
//! place, never shown.

use serde_json::json;
use url::Url;

use super::super::exit::{Error, Exit};
use super::super::output::Answer;
use super::paste::{self, Sender};
use crate::config::source::{Format, Proof, Source};
use crate::config::{Config, paths};

/// No comment of its argument, which would be read as links.
const AT: &str =
    "Where senders reach novascale, as https://scale.example.net; [http] webhook if not given";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source's name, as in [source.NAME]
    pub name: String,

    #[arg(long, value_name = "URL", value_parser = base, help = AT)]
    pub at: Option<Url>,
}

fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|why| why.to_string())?;
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && bare {
        Ok(url)
    } else {
        Err("write it as https://scale.example.net".to_owned())
    }
}

pub(super) fn run(args: &Args, config: &Config, source: &Source) -> Result<Answer, Error> {
    let scope = if source.format.orders() { "capacity" } else { "signal" };
    let token = paths::token_file(&config.controller.state_dir, scope);
    let (url, mut notes) = address(args, config, source)?;
    let proof = source.auth.iter().find(|proof| can(source.format, proof));
    let proof = proof.or_else(|| source.auth.first());
    let url = match proof {
        Some(Proof::Url(_)) => format!("{url}/SECRET"),
        _ => url,
    };
    let sender = Sender { source, url, proof, token };
    if !proof.map_or(source.format != Format::Aodh, |proof| can(source.format, proof)) {
        notes.push(format!(
            "a sender of format {} cannot show what [[source.{}.auth]] asks for: {}",
            source.format.word(),
            source.name,
            ways(source.format),
        ));
    }
    notes.extend(sender.secret());
    let text = paste::text(&sender);
    let json = json!({
        "source": source.name, "format": source.format.word(), "url": sender.url,
        "configuration": text, "notes": notes,
    });
    let mut answer = Answer::new(text, json);
    answer.notes = notes;
    Ok(answer)
}

/// Where the source is called, and what to know of that address.
fn address(args: &Args, config: &Config, source: &Source) -> Result<(String, Vec<String>), Error> {
    if let Some(base) = &args.at {
        let base = base.as_str().trim_end_matches('/');
        return Ok((format!("{base}/v1/webhooks/{}", source.name), Vec::new()));
    }
    let at = config.http.webhook;
    if at.port() == 0 {
        let said = "the port of [http] webhook is drawn at each start, so no sender can know it";
        return Err(Error::new(Exit::Failed, said).hint("set a port, or name an address with --at"));
    }
    let note = if at.ip().is_unspecified() {
        "the address stands for all of this machine's: name one that senders reach with --at"
    } else if at.ip().is_loopback() {
        "the address is for senders on this machine; for others name one with --at"
    } else {
        ""
    };
    let notes = Some(note).filter(|note| !note.is_empty()).map(str::to_owned);
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    Ok((format!("{scheme}://{at}/v1/webhooks/{}", source.name), notes.into_iter().collect()))
}

/// Whether senders of the format can show that.
fn can(format: Format, proof: &Proof) -> bool {
    let headers = format != Format::Aodh;
    match proof {
        Proof::Url(_) | Proof::Certificate { .. } => true,
        Proof::Bearer(_) | Proof::Basic { .. } => headers,
        Proof::Hmac(_) => signs(format),
        Proof::Ed25519 { .. } => format == Format::StandardWebhooks,
    }
}

fn signs(format: Format) -> bool {
    match format {
        Format::Grafana
        | Format::CloudEvents
        | Format::StandardWebhooks
        | Format::Trigger
        | Format::Generic => true,
        Format::Alertmanager
        | Format::Aodh
        | Format::Datadog
        | Format::Zabbix
        | Format::UptimeKuma
        | Format::UptimeRobot
        | Format::RemoteWrite
        | Format::Otlp => false,
    }
}

fn ways(format: Format) -> &'static str {
    match (format == Format::Aodh, signs(format)) {
        (true, _) => "it can show url and certificate",
        (false, true) => "it can show bearer, basic, hmac, url and certificate",
        (false, false) => "it can show bearer, basic, url and certificate",
    }
}
