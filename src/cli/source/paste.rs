//! Each sender's configuration as its own documentation has it. `SECRET` stands where the secret
//! belongs.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::secret::Secret;
use crate::config::source::{Format, Proof, Source};

/// Who is to be set up.
pub(super) struct Sender<'a> {
    pub(super) source: &'a Source,
    pub(super) url: String,
    /// What it shows; without any, our own token.
    pub(super) proof: Option<&'a Proof>,
    pub(super) token: PathBuf,
}

pub(super) fn text(sender: &Sender<'_>) -> String {
    let text = match sender.source.format {
        Format::Alertmanager => sender.alertmanager(),
        Format::Grafana => sender.grafana(),
        Format::Aodh => sender.aodh(),
        Format::RemoteWrite => sender.remote_write(),
        Format::Otlp => sender.otlp(),
        Format::CloudEvents => sender.curl(&[CLOUDEVENTS], "{\"specversion\": \"1.0\", \"id\": \"1\", \"source\": \"/monitoring\", \"type\": \"net.example.alert\", \"data\": {\"alert\": \"QueueHigh\", \"status\": \"firing\"}}"),
        Format::StandardWebhooks => sender.standard_webhooks(),
        Format::Datadog => sender.form(
            &[("Payload", DATADOG)],
            &["Name: novascale", "in a monitor's message: @webhook-novascale"],
        ),
        Format::Zabbix => sender.zabbix(),
        Format::UptimeKuma => sender.form(
            &[],
            &["Notification Type: Webhook", "Request Body: Preset - application/json"],
        ),
        Format::UptimeRobot => sender.form(
            &[("Value, sent as JSON", UPTIME_ROBOT)],
            &["Integration: Webhook", "for down and up events"],
        ),
        Format::Trigger => sender.curl(&[], ""),
        Format::Generic => {
            sender.curl(&[JSON], "{\"alert\": \"QueueHigh\", \"status\": \"firing\"}")
        }
    };
    text.trim_end().to_owned()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const CLOUDEVENTS: (&str, &str) = ("Content-Type", "application/cloudevents+json");

/// Source: docs.datadoghq.com/integrations/webhooks, the variables.
const DATADOG: &str = r#"{
  "alert_id": "$ALERT_ID",
  "alert_transition": "$ALERT_TRANSITION",
  "alert_cycle_key": "$ALERT_CYCLE_KEY",
  "alert_title": "$ALERT_TITLE",
  "alert_metric": "$ALERT_METRIC",
  "alert_scope": "$ALERT_SCOPE",
  "tags": "$TAGS",
  "date": "$DATE"
}"#;

/// Source: help.uptimerobot.com "Webhook integration", the variables.
const UPTIME_ROBOT: &str = r#"{
  "monitorID": "*monitorID*",
  "monitorFriendlyName": "*monitorFriendlyName*",
  "alertType": "*alertType*"
}"#;

impl Sender<'_> {
    /// What `SECRET` stands for, or where it is read.
    pub(super) fn secret(&self) -> Option<String> {
        let reads = matches!(self.source.format, Format::Alertmanager | Format::RemoteWrite);
        let named = |secret: &Secret| match secret {
            Secret::File(path) if reads => {
                format!("the sender reads its secret from {}", path.display())
            }
            Secret::File(_) | Secret::Env(_) | Secret::Credential(_) | Secret::Given(_) => {
                format!("SECRET stands for the secret of {}", secret.origin())
            }
        };
        let Some(proof) = self.proof else {
            let token = self.token.display();
            return Some(if reads {
                format!("the sender reads its secret from {token}")
            } else {
                format!("SECRET stands for the token in {token}")
            });
        };
        Some(match proof {
            Proof::Bearer(secret) | Proof::Basic { password: secret, .. } => named(secret),
            Proof::Url(secret) => format!("SECRET stands for the secret of {}", secret.origin()),
            Proof::Hmac(how) => format!("SECRET stands for the secret of {}", how.secret.origin()),
            Proof::Ed25519 { .. } => return None,
            Proof::Certificate { name } => {
                format!("the client certificate must be of the name {name}")
            }
        })
    }

    /// The headers that it sends to show who it is.
    fn headers(&self) -> Vec<(String, String)> {
        let one = |value: &str| vec![("Authorization".to_owned(), value.to_owned())];
        match self.proof {
            None | Some(Proof::Bearer(_)) => one("Bearer SECRET"),
            Some(Proof::Basic { username, .. }) => {
                one(&format!("Basic BASE64-OF({username}:SECRET)"))
            }
            Some(
                Proof::Hmac(_) | Proof::Ed25519 { .. } | Proof::Url(_) | Proof::Certificate { .. },
            ) => Vec::new(),
        }
    }

    /// As Prometheus and Alertmanager have it, below a line of this depth.
    /// Source: prometheus/common `config/http_config.go`.
    fn http_config(&self, depth: usize) -> String {
        let credentials = |key: &str, secret: Option<&Secret>| match secret {
            Some(Secret::File(path)) => {
                format!("{key}_file: {}", yaml(&path.display().to_string()))
            }
            Some(Secret::Env(_) | Secret::Credential(_) | Secret::Given(_)) => {
                format!("{key}: SECRET")
            }
            None => format!("{key}_file: {}", yaml(&self.token.display().to_string())),
        };
        let lines = match self.proof {
            None => {
                vec!["authorization:".to_owned(), format!("  {}", credentials("credentials", None))]
            }
            Some(Proof::Bearer(secret)) => {
                vec![
                    "authorization:".to_owned(),
                    format!("  {}", credentials("credentials", Some(secret))),
                ]
            }
            Some(Proof::Basic { username, password }) => vec![
                "basic_auth:".to_owned(),
                format!("  username: {}", yaml(username)),
                format!("  {}", credentials("password", Some(password))),
            ],
            Some(Proof::Certificate { .. }) => {
                ["tls_config:", "  cert_file: client.pem", "  key_file: client-key.pem"]
                    .map(str::to_owned)
                    .to_vec()
            }
            Some(Proof::Url(_) | Proof::Hmac(_) | Proof::Ed25519 { .. }) => Vec::new(),
        };
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}{line}", " ".repeat(depth));
            text
        })
    }

    fn alertmanager(&self) -> String {
        let config = self.http_config(10);
        let config =
            if config.is_empty() { config } else { format!("        http_config:\n{config}") };
        format!(
            "receivers:\n  - name: novascale\n    webhook_configs:\n      - url: {}\n        \
             send_resolved: true\n{config}",
            yaml(&self.url)
        )
    }

    fn remote_write(&self) -> String {
        let names: Vec<String> =
            self.source.signals.iter().map(|rule| regex(&rule.metric)).collect();
        format!(
            "remote_write:\n  - url: {}\n{}    write_relabel_configs:\n      - source_labels: \
             [__name__]\n        regex: {}\n        action: keep\n",
            yaml(&self.url),
            self.http_config(4),
            yaml(&names.join("|"))
        )
    }

    /// Source: grafana.com "Use configuration files to provision alerting resources".
    fn grafana(&self) -> String {
        let settings = match self.proof {
            None | Some(Proof::Bearer(_)) => {
                "authorization_scheme: Bearer\nauthorization_credentials: SECRET".to_owned()
            }
            Some(Proof::Basic { username, .. }) => {
                format!("username: {}\npassword: SECRET", yaml(username))
            }
            Some(Proof::Hmac(how)) => {
                let header = how.headers.first().map_or("", String::as_str);
                let stamp = how.timestamp.as_ref();
                let stamp = stamp.map(|name| format!("\n  timestampHeader: {}", yaml(name)));
                let stamp = stamp.unwrap_or_default();
                format!("hmacConfig:\n  secret: SECRET\n  header: {}{stamp}", yaml(header))
            }
            Some(Proof::Certificate { .. }) => "tlsConfig:\n  clientCertificate: CERTIFICATE\n  \
                                                clientKey: KEY"
                .to_owned(),
            Some(Proof::Url(_) | Proof::Ed25519 { .. }) => String::new(),
        };
        let settings: String = settings.lines().map(|line| format!("          {line}\n")).collect();
        format!(
            "apiVersion: 1\ncontactPoints:\n  - orgId: 1\n    name: novascale\n    receivers:\n      \
             - uid: novascale\n        type: webhook\n        disableResolveMessage: false\n        \
             settings:\n          url: {}\n          httpMethod: POST\n{settings}",
            yaml(&self.url)
        )
    }

    /// Source: docs.openstack.org/aodh "Using alarms".
    fn aodh(&self) -> String {
        let url = shell(&self.url);
        let actions = format!(
            "--repeat-actions True \\\n  --alarm-action {url} \\\n  --ok-action {url} \\\n  \
             --insufficient-data-action {url}"
        );
        format!(
            "openstack alarm update ALARM {actions}\n\n# or a new one, deploy/aodh/alarms.sh has \
             more\nopenstack alarm create --name cpu_high \\\n  --type \
             gnocchi_aggregation_by_resources_threshold --resource-type instance \\\n  --query \
             '{{\"like\": {{\"display_name\": \"web-%\"}}}}' --metric cpu \\\n  \
             --aggregation-method rate:mean --granularity 300 --evaluation-periods 1 \\\n  \
             --comparison-operator gt --threshold 240000000000 {actions}"
        )
    }

    /// Source: OpenTelemetry specification, "OTLP exporter configuration".
    fn otlp(&self) -> String {
        let mut text = format!(
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf\n\
             OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={}\n",
            shell(&self.url)
        );
        let headers = self.headers();
        let headers =
            headers.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "%20")));
        let headers: Vec<String> = headers.collect();
        if !headers.is_empty() {
            let _ =
                writeln!(text, "OTEL_EXPORTER_OTLP_METRICS_HEADERS={}", shell(&headers.join(",")));
        }
        if let Some(Proof::Certificate { .. }) = self.proof {
            text += "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE=client.pem\n\
                     OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY=client-key.pem\n";
        }
        text
    }

    fn standard_webhooks(&self) -> String {
        let signature = match self.proof {
            Some(Proof::Ed25519 { .. }) => {
                "Signature: v1a, with the private key of the public key that is configured"
            }
            Some(Proof::Hmac(_)) => "Signing secret: SECRET",
            None
            | Some(
                Proof::Bearer(_) | Proof::Basic { .. } | Proof::Url(_) | Proof::Certificate { .. },
            ) => "",
        };
        let more: Vec<&str> = Some(signature).filter(|line| !line.is_empty()).into_iter().collect();
        let signed = !more.is_empty();
        let mut text = format!("Endpoint URL: {}\n", self.url);
        for line in more {
            let _ = writeln!(text, "{line}");
        }
        for (name, value) in self.headers().iter().filter(|_| !signed) {
            let _ = writeln!(text, "Header: {name}: {value}");
        }
        text + "Body: {\"type\": \"alert\", \"timestamp\": \"2026-11-23T18:00:00Z\", \"data\": \
                {\"alert\": \"QueueHigh\", \"status\": \"firing\"}}"
    }

    fn zabbix(&self) -> String {
        let authorization = self.headers().first().map(|(_, value)| value.clone());
        format!(
            "Import: deploy/zabbix/media_novascale.yaml\nParameters of the media type:\n  url: {}\n  \
             authorization: {}\n",
            self.url,
            authorization.unwrap_or_default()
        )
    }

    /// Fields of a form on a web page.
    fn form(&self, more: &[(&str, &str)], before: &[&str]) -> String {
        let mut text = String::new();
        for line in before {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "URL: {}", self.url);
        let headers = self.headers();
        if !headers.is_empty() {
            let pairs = headers.into_iter().map(|(name, value)| (name, value.into()));
            let json = serde_json::Value::Object(pairs.collect());
            let _ = writeln!(text, "Headers: {json}");
        }
        for (field, value) in more {
            let _ = writeln!(text, "{field}:\n{value}");
        }
        text
    }
}

/// In double quotes, which YAML reads as JSON does.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One word of a shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The metric's name in an expression that matches nothing else.
fn regex(text: &str) -> String {
    let special = |c: char| "\\.+*?()|[]{}^$".contains(c);
    text.chars().fold(String::new(), |mut text, c| {
        if special(c) {
            text.push('\\');
        }
        text.push(c);
        text
    })
}
