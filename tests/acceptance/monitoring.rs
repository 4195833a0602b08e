//! Senders as people run them: Prometheus and an Alertmanager pair move a fleet on a real cloud;
//! an OpenTelemetry SDK and the library of Standard Webhooks speak to the daemon alone. It needs
//! Debian's packages prometheus, prometheus-alertmanager and python3-venv, and PyPI.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Daemon, GROUP, Gauge, Lab, Nova, Program, Python, free_port, say, settings, until, within,
};

const TAG: &str = "novascale:crew";

/// The group with its policies and sources after it.
fn crew(more: &str) -> String {
    let group = format!("[group.crew]\nmin = 1\nmax = 6\n{GROUP}\n{more}");
    settings("cloud = \"ovhcloud\"", &group)
}

/// Prometheus with this gauge as its target; what is added goes into its configuration.
fn prometheus(dir: &Path, gauge: &Gauge, more: &str) -> Program {
    let port = free_port();
    let rules = "groups:\n- name: queue\n  rules:\n  - alert: QueueHigh\n    \
                 expr: queue_length > 10\n";
    std::fs::write(dir.join("rules.yml"), rules).unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: queue\n  static_configs: [{{ targets: [\"127.0.0.1:{}\"] }}]\n\
         {more}",
        gauge.port
    );
    let file = dir.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let arguments = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", dir.join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    Program::start(dir, "prometheus", &arguments, &ready)
}

/// Two Alertmanagers that know each other, with one receiver; and the ports they listen on.
fn alertmanagers(dir: &Path, daemon: &Daemon) -> ([Program; 2], [u16; 2]) {
    let config = format!(
        "route: {{ receiver: novascale, group_wait: 0s, group_interval: 1s, repeat_interval: 3s }}\n\
         receivers:\n- name: novascale\n  webhook_configs:\n  - url: {}/v1/webhooks/alertmanager\n    \
         send_resolved: true\n    http_config:\n      authorization:\n        credentials_file: {}\n",
        daemon.url("webhook"),
        daemon.token_file("signal").display()
    );
    let file = dir.join("alertmanager.yml");
    std::fs::write(&file, config).unwrap();
    let (web, gossip) = ([free_port(), free_port()], [free_port(), free_port()]);
    let one = |n: usize| {
        let home = dir.join(format!("am{n}"));
        std::fs::create_dir_all(&home).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", home.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{}", web[n]),
            format!("--cluster.listen-address=127.0.0.1:{}", gossip[n]),
            format!("--cluster.peer=127.0.0.1:{}", gossip[1 - n]),
            "--cluster.peer-timeout=1s".to_owned(),
            "--cluster.settle-timeout=1s".to_owned(),
        ];
        let ready = format!("http://127.0.0.1:{}/-/ready", web[n]);
        Program::start(&home, "prometheus-alertmanager", &arguments, &ready)
    };
    ([one(0), one(1)], web)
}

/// How often desired was another, the oldest first.
fn desired(daemon: &Daemon) -> Vec<u64> {
    let said = daemon.tell(&["history", "crew", "--output", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let decisions = said["decisions"].as_array().unwrap().iter().rev();
    let mut all: Vec<u64> = decisions.map(|d| d["desired"].as_u64().unwrap()).collect();
    all.dedup();
    all
}

/// Waits until sources were spoken to so often more.
fn hears(daemon: &Daemon, more: f64) {
    let taken = || daemon.metric("novascale_source_requests_total");
    let before = taken();
    until("more messages", || match taken() - before {
        heard if heard >= more => Ok(()),
        heard => Err(format!("{heard}")),
    });
}

#[test]
fn a_metric_rises_the_fleet_grows_and_an_alertmanager_that_restarts_changes_nothing() {
    let lab = Lab::take("Prometheus and a pair of Alertmanagers");
    let nova = Nova::of(&lab);
    let sections = "[[group.crew.alert]]\nalert = \"QueueHigh\"\nchange = 2\nevery = \"1h\"\n\
                    most = 4\n[source.alertmanager]\nformat = \"alertmanager\"\ngroup = \"crew\"\n";
    let daemon = Daemon::started(&lab, &crew(sections));
    nova.settled(TAG, 1);
    let dir = TempDir::new().unwrap();
    let gauge = Gauge::serve("queue_length");
    let (mut pair, ports) = alertmanagers(dir.path(), &daemon);
    let targets = format!("[\"127.0.0.1:{}\", \"127.0.0.1:{}\"]", ports[0], ports[1]);
    let alerting =
        format!("alerting:\n  alertmanagers:\n  - static_configs: [{{ targets: {targets} }}]\n");
    let _prometheus = prometheus(dir.path(), &gauge, &alerting);

    gauge.set(50);
    nova.settled(TAG, 3);
    assert_eq!(lab.counted(TAG), 3);
    daemon.explains("crew", "alert QueueHigh fires");
    lab.note("it fires: 3");

    hears(&daemon, 3.0);
    pair[0].kill();
    hears(&daemon, 2.0);
    pair[0].again();
    hears(&daemon, 3.0);
    assert_eq!(desired(&daemon), [1, 3], "repetitions and a restart change nothing");
    assert_eq!(lab.counted(TAG), 3);

    gauge.set(0);
    nova.settled(TAG, 1);
    assert_eq!(lab.counted(TAG), 1);
    hears(&daemon, 0.0);
    assert_eq!(desired(&daemon), [1, 3, 1]);
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[test]
fn what_prometheus_writes_is_the_load() {
    let lab = Lab::take("remote write");
    let nova = Nova::of(&lab);
    let sections = "[[group.crew.target]]\nsignal = \"queue\"\nper_server = 10\n\
                    [source.prometheus]\nformat = \"remote_write\"\ngroup = \"crew\"\n\
                    [[source.prometheus.signal]]\nmetric = \"queue_length\"\nsignal = \"queue\"\n";
    let daemon = Daemon::started(&lab, &crew(sections));
    nova.settled(TAG, 1);
    let dir = TempDir::new().unwrap();
    let gauge = Gauge::serve("queue_length");
    let writing = format!(
        "remote_write:\n- url: {}/v1/webhooks/prometheus\n  authorization: {{ credentials_file: {} }}\n  \
         queue_config: {{ batch_send_deadline: 1s }}\n",
        daemon.url("webhook"),
        daemon.token_file("signal").display()
    );
    gauge.set(35);
    let _prometheus = prometheus(dir.path(), &gauge, &writing);
    nova.settled(TAG, 4);
    assert_eq!(lab.counted(TAG), 4);
    gauge.set(12);
    nova.settled(TAG, 2);
    assert_eq!(lab.counted(TAG), 2);
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}

#[test]
fn an_opentelemetry_sdk_and_the_library_of_standard_webhooks_are_understood() {
    let python = Python::of("monitoring");
    let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let group = "[group.crew]\nmin = 1\nmax = 8\nflavor = \"d2-2\"\nimage = \"Debian 12\"\n\
                 networks = [\"Ext-Net\"]\n[[group.crew.target]]\nsignal = \"queue\"\n\
                 per_server = 10\n[[group.crew.alert]]\nalert = \"QueueHigh\"\nchange = 2\n\
                 [source.otel]\nformat = \"otlp\"\ngroup = \"crew\"\n\
                 [[source.otel.signal]]\nmetric = \"queue.length\"\nsignal = \"queue\"\n\
                 [source.hooks]\nformat = \"standard_webhooks\"\ngroup = \"crew\"\n\
                 [[source.hooks.auth]]\nhmac = { file = \"hooks\" }\n";
    let text = "[cloud]\nuse = \"sandbox\"\n\n[http]\nwebhook = \"127.0.0.1:0\"\n\
                admin = \"127.0.0.1:0\"\n\n";
    let daemon = Daemon::prepared(&format!("{text}{group}"), &[("hooks", secret)]);
    let url = daemon.url("webhook");
    let token = std::fs::read_to_string(daemon.token_file("signal")).unwrap();
    say(&python
        .run("otel.py", &[&format!("{url}/v1/webhooks/otel/v1/metrics"), token.trim(), "35"]));
    let desires = |n: u64| {
        within(Duration::from_secs(60), &format!("{n} to be desired"), || {
            let desired = daemon.status("crew")["desired"].as_u64();
            if desired == Some(n) { Ok(()) } else { Err(format!("{desired:?}")) }
        });
    };
    desires(4);
    say(&python.run("hooks.py", &[&format!("{url}/v1/webhooks/hooks"), secret]));
    desires(6);
    assert_eq!(daemon.complaints(), Vec::<String>::new());
}
