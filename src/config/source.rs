//! Sources: senders that speak a format of their own, how each proves who it is, and what its
//! words mean here.

use std::collections::{BTreeMap, BTreeSet};

use super::secret::Secret;
use crate::domain::id::{AlertName, GroupName, SignalName, SourceName};
use crate::domain::signal::Command;

/// One sender, or several that are set up alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub name: SourceName,
    pub format: Format,
    /// Each alone suffices: two of a kind are two live secrets. Where there is none, the token of
    /// scope `signal` counts.
    pub auth: Vec<Proof>,
    pub group: Whose,
    /// What every alert of it is called here, in place of its sender's word.
    pub alert: Option<AlertName>,
    /// Which of its metrics are signals.
    pub signals: Vec<Metric>,
    /// What a bare call of its address orders.
    pub order: Option<Command>,
    /// Where foreign JSON says what.
    pub pointers: Pointers,
    pub body_bytes: usize,
}

/// How a sender's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus Alertmanager, webhook version 4.
    Alertmanager,
    /// Grafana alerting, webhook version 1.
    Grafana,
    /// OpenStack Aodh.
    Aodh,
    /// CloudEvents 1.0.
    CloudEvents,
    /// Standard Webhooks.
    StandardWebhooks,
    Datadog,
    Zabbix,
    UptimeKuma,
    UptimeRobot,
    /// A call of the address is all that is said, as to Heat's and Senlin's.
    Trigger,
    /// Any JSON, by pointers.
    Generic,
    /// Prometheus remote write 1.0.
    RemoteWrite,
    /// OpenTelemetry metrics over HTTP.
    Otlp,
}

impl Format {
    pub const ALL: [(&'static str, Self); 13] = [
        ("alertmanager", Self::Alertmanager),
        ("grafana", Self::Grafana),
        ("aodh", Self::Aodh),
        ("cloudevents", Self::CloudEvents),
        ("standard_webhooks", Self::StandardWebhooks),
        ("datadog", Self::Datadog),
        ("zabbix", Self::Zabbix),
        ("uptime_kuma", Self::UptimeKuma),
        ("uptime_robot", Self::UptimeRobot),
        ("trigger", Self::Trigger),
        ("generic", Self::Generic),
        ("remote_write", Self::RemoteWrite),
        ("otlp", Self::Otlp),
    ];

    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// Its bodies carry metrics, of which the source says which are signals.
    pub fn measures(self) -> bool {
        matches!(self, Self::RemoteWrite | Self::Otlp)
    }

    /// What its bodies tell may be JSON of any shape, which the source has pointers for.
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Generic | Self::CloudEvents | Self::StandardWebhooks)
    }

    /// A call of it orders capacity, where others only tell what is the case.
    pub fn orders(self) -> bool {
        self == Self::Trigger
    }

    /// The sender drops what it hears a 4xx to, and repeats after a 503.
    /// Source: prometheus/alertmanager `notify/util.go`; prometheus/prometheus
    /// `storage/remote/client.go`; Datadog's and Grafana's documentation.
    pub fn drops_on_4xx(self) -> bool {
        matches!(self, Self::Alertmanager | Self::Grafana | Self::Datadog | Self::RemoteWrite)
    }
}

/// Which group a word is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Whose {
    Group(GroupName),
    /// The group that this label names; of these, if any are listed.
    Label {
        label: String,
        of: BTreeSet<GroupName>,
    },
}

/// How a sender proves who it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(Secret),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        username: String,
        password: Secret,
    },
    Hmac(Box<Hmac>),
    /// Signatures `v1a` of Standard Webhooks; the key is public.
    Ed25519 {
        key: [u8; 32],
    },
    /// The address ends with it: `/v1/webhooks/NAME/SECRET`.
    Url(Secret),
    /// A client certificate that one of ours has signed, of this name.
    Certificate {
        name: String,
    },
}

/// A signature over the raw body with a shared secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Hmac {
    pub secret: Secret,
    /// The secret is written in base64, behind `whsec_` or not.
    pub secret_base64: bool,
    pub hash: Hash,
    /// Any of these carries the signature.
    pub headers: Vec<String>,
    /// What stands before the signature, as `sha256=`.
    pub prefix: String,
    pub encoding: Encoding,
    /// Several signatures may stand in it, one blank between them.
    pub several: bool,
    pub id: Option<String>,
    pub timestamp: Option<String>,
    /// What stands between id, timestamp and body where they are signed together.
    pub between: char,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

/// A metric that is a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub metric: String,
    /// Labels that it has to carry.
    pub labels: BTreeMap<String, String>,
    pub signal: SignalName,
    /// The label that names the Nova server that it was measured on.
    pub server: Option<String>,
}

/// JSON pointers (RFC 6901) into a foreign body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pointers {
    /// A list each of whose elements is read by the others.
    pub list: Option<String>,
    pub group: Option<String>,
    pub id: Option<String>,
    pub alert: Option<String>,
    pub fingerprint: Option<String>,
    pub status: Option<String>,
    pub firing: Vec<String>,
    pub resolved: Vec<String>,
    pub signal: Option<String>,
    pub value: Option<String>,
    pub at: Option<String>,
    pub server: Option<String>,
}
