//! What each kind of sender sends.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message as _;

use super::prompb::{Label, Sample, TimeSeries, WriteRequest};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Single,
    Batch,
    Alertmanager,
    RemoteWrite,
}

/// Samples of a batch, and series of a remote write.
const SAMPLES: usize = 100;
const ALERTS: usize = 20;

impl Kind {
    pub const ALL: [Self; 4] = [Self::Single, Self::Batch, Self::Alertmanager, Self::RemoteWrite];

    pub fn is_named(self, among: &[String]) -> bool {
        let word = match self {
            Self::Single => "single",
            Self::Batch => "batch",
            Self::Alertmanager => "alertmanager",
            Self::RemoteWrite => "remote-write",
        };
        among.iter().any(|name| name == word)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single samples",
            Self::Batch => "batches of 100",
            Self::Alertmanager => "Alertmanager payloads of 20",
            Self::RemoteWrite => "remote writes of 100",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::Alertmanager => "alerts",
            Self::Single | Self::Batch | Self::RemoteWrite => "samples",
        }
    }

    pub fn holds(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Alertmanager => ALERTS,
            Self::Batch | Self::RemoteWrite => SAMPLES,
        }
    }

    pub fn aim(self) -> Option<usize> {
        match self {
            Self::Single => Some(20_000),
            Self::Batch => Some(300_000),
            Self::Alertmanager | Self::RemoteWrite => None,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Single | Self::Batch => "/v1/groups/web/signals",
            Self::Alertmanager => "/v1/webhooks/alertmanager",
            Self::RemoteWrite => "/v1/webhooks/prometheus",
        }
    }

    /// The nth request of a sender, headers and all.
    pub fn request(self, target: &Target, (sender, nth): (usize, usize)) -> Vec<u8> {
        let body = match self {
            Self::Single => single(sender, nth).into_bytes(),
            Self::Batch => batch(sender, nth).into_bytes(),
            Self::Alertmanager => alerts(sender).into_bytes(),
            Self::RemoteWrite => written(sender, nth),
        };
        let (path, kind) = match self {
            // It knows one route, and looks into no body.
            _ if target.bare => (Self::Single.path(), "application/json"),
            Self::RemoteWrite => {
                (self.path(), "application/x-protobuf\r\ncontent-encoding: snappy")
            }
            Self::Single | Self::Batch | Self::Alertmanager => (self.path(), "application/json"),
        };
        let (token, length) = (&target.token, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(&body);
        request
    }

    /// Whether a request may be sent again as it is: where it names no time, it is measured anew
    /// each time that it comes.
    pub fn timeless(self) -> bool {
        self != Self::RemoteWrite
    }
}

/// Whom requests are for.
pub struct Target {
    pub address: SocketAddr,
    pub token: String,
    /// It is the server without store and without parsing.
    pub bare: bool,
}

fn single(sender: usize, nth: usize) -> String {
    format!("{{\"name\": \"load\", \"value\": {nth}.5, \"server\": \"s{sender}\"}}")
}

fn batch(sender: usize, nth: usize) -> String {
    let mut body = String::from("[");
    for n in 0..SAMPLES {
        let comma = if n == 0 { "" } else { ", " };
        let server = format!("s{sender}-{n}");
        let one = format!("{{\"name\": \"load\", \"value\": {nth}.5, \"server\": \"{server}\"}}");
        write!(body, "{comma}{one}").unwrap();
    }
    body.push(']');
    body
}

/// What Alertmanager repeats: the alerts of one of twelve groups of alerts.
fn alerts(sender: usize) -> String {
    let one = |n: usize| {
        let fingerprint = format!("{:016x}", (sender % 12) * ALERTS + n);
        format!(
            "{{\"status\": \"firing\", \"labels\": {{\"alertname\": \"Busy\", \"instance\": \
             \"10.0.0.{n}:9100\", \"severity\": \"page\"}}, \"annotations\": {{\"summary\": \"busy\"}}, \
             \"startsAt\": \"2026-11-23T18:00:00.000Z\", \"endsAt\": \"0001-01-01T00:00:00Z\", \
             \"generatorURL\": \"http://prometheus/graph\", \"fingerprint\": \"{fingerprint}\"}}"
        )
    };
    let alerts: Vec<String> = (0..ALERTS).map(one).collect();
    format!(
        "{{\"version\": \"4\", \"groupKey\": \"{{}}:{{alertname=\\\"Busy\\\"}}\", \
         \"truncatedAlerts\": 0, \"status\": \"firing\", \"receiver\": \"novascale\", \
         \"groupLabels\": {{}}, \"commonLabels\": {{}}, \"commonAnnotations\": {{}}, \
         \"externalURL\": \"http://alertmanager\", \"alerts\": [{}]}}",
        alerts.join(", ")
    )
}

fn written(sender: usize, nth: usize) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let timestamp = i64::try_from(now).unwrap();
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let one = |n: usize| TimeSeries {
        labels: vec![
            label("__name__", "load".to_owned()),
            label("job", "web".to_owned()),
            label("server_id", format!("s{sender}-{n}")),
        ],
        samples: vec![Sample { value: nth as f64, timestamp }],
        exemplars: Vec::new(),
    };
    let timeseries = (0..SAMPLES).map(one).collect();
    let body = WriteRequest { timeseries, metadata: Vec::new() };
    snap::raw::Encoder::new().compress_vec(&body.encode_to_vec()).unwrap()
}
