//! How senders write: one file for each format, from bytes to what they tell.
//!
//! Each is a function of the request alone. What it does not need it passes over: senders add
//! fields in every release. What it needs and does not find is a fault of the whole body.

use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use axum::response::{IntoResponse, Response};

use super::told::Payload;
use crate::config::source::{Format, Source};
use crate::domain::time::Now;
use crate::http::error::Problem;

mod alertmanager;
mod aodh;
mod cloudevents;
mod datadog;
mod fields;
mod generic;
mod grafana;
mod measured;
mod otlp;
mod plain;
mod protobuf;
mod remote_write;
pub mod samples;
mod standard_webhooks;
mod trigger;
mod uptime_kuma;
mod uptime_robot;
mod zabbix;

/// A request whose sender is known.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub source: &'a Source,
    pub headers: &'a HeaderMap,
    pub query: &'a str,
    pub body: &'a [u8],
    pub now: Now,
}

/// A header's text, empty if it does not stand there once.
fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (None | Some(_), _) => "",
    }
}

/// All that the body tells, or nothing.
pub fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    match incoming.source.format {
        Format::Alertmanager => alertmanager::read(incoming),
        Format::Grafana => grafana::read(incoming),
        Format::Aodh => aodh::read(incoming),
        Format::CloudEvents => cloudevents::read(incoming),
        Format::StandardWebhooks => standard_webhooks::read(incoming),
        Format::Datadog => datadog::read(incoming),
        Format::Zabbix => zabbix::read(incoming),
        Format::UptimeKuma => uptime_kuma::read(incoming),
        Format::UptimeRobot => uptime_robot::read(incoming),
        Format::Trigger => trigger::read(incoming),
        Format::Generic => generic::read(incoming),
        Format::RemoteWrite => remote_write::read(incoming),
        Format::Otlp => otlp::read(incoming),
    }
}

/// What became of a body that was taken, for senders who have an answer of their own for it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// What was asked for and not taken.
    pub passed: usize,
    pub notes: &'a [String],
}

/// The answer where the format says which.
pub fn answer(format: Format, headers: &HeaderMap, outcome: Outcome<'_>) -> Option<Response> {
    (format == Format::Otlp).then(|| otlp::answer(headers, outcome))
}

/// The refusal where the format says which.
pub fn refusal(format: Format, headers: &HeaderMap, problem: Problem) -> Response {
    if format == Format::Otlp { otlp::refusal(headers, problem) } else { problem.into_response() }
}
