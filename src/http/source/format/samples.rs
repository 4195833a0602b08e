//! A payload of each format, as its sender would send it to this source: what `novascale source
//! test` tries where it is given none. What metrics formats send is binary, and what pointers
//! read is the sender's own: of those there is no sample.

use crate::config::source::{Format, Pointers, Source, Whose};
use crate::domain::group::Group;
use crate::domain::time::Wall;

/// A request as far as a format reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub content_type: &'static str,
    pub body: String,
}

/// What its sender would send now about one of these groups.
pub fn of(source: &Source, groups: &[Group], now: Wall) -> Option<Sample> {
    let template = template(source.format).filter(|_| source.pointers == Pointers::default())?;
    let events = source.format == Format::CloudEvents;
    let content_type = if events { "application/cloudevents+json" } else { "application/json" };
    let (label, group) = match &source.group {
        Whose::Group(name) => ("asg", name.as_str()),
        Whose::Label { label, of } => {
            let first = of.first().or_else(|| groups.first().map(|group| &group.name));
            (label.as_str(), first.map_or("web", |name| name.as_str()))
        }
    };
    let followed = groups.iter().find(|known| known.name.as_str() == group);
    let alert = followed.and_then(|group| group.alerts().next());
    let signal = followed.and_then(|group| group.signals().next());
    let filled = [
        ("label", label.to_owned()),
        ("group", group.to_owned()),
        ("alert", alert.map_or_else(|| "QueueHigh".to_owned(), ToString::to_string)),
        ("signal", signal.map_or_else(|| "requests".to_owned(), ToString::to_string)),
        ("at", now.to_string()),
        ("unix", (now.0 / 1000).to_string()),
    ];
    let body = filled.into_iter().fold(template.to_owned(), |text, (name, value)| {
        let quoted = serde_json::Value::from(value).to_string();
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        text.replace(&format!("{{{{{name}}}}}"), inner.unwrap_or_default())
    });
    Some(Sample { content_type, body })
}

fn template(format: Format) -> Option<&'static str> {
    Some(match format {
        Format::Alertmanager => include_str!("samples/alertmanager.json"),
        Format::Grafana => include_str!("samples/grafana.json"),
        Format::Aodh => include_str!("samples/aodh.json"),
        Format::CloudEvents => include_str!("samples/cloudevents.json"),
        Format::StandardWebhooks => include_str!("samples/standard_webhooks.json"),
        Format::Datadog => include_str!("samples/datadog.json"),
        Format::Zabbix => include_str!("samples/zabbix.json"),
        Format::UptimeKuma => include_str!("samples/uptime_kuma.json"),
        Format::UptimeRobot => include_str!("samples/uptime_robot.json"),
        Format::Trigger => include_str!("samples/trigger.json"),
        Format::Generic => include_str!("samples/generic.json"),
        Format::RemoteWrite | Format::Otlp => return None,
    })
}
