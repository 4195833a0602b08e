//! What the webhook takes in: durable signals a second, and how long a sender waits at half of
//! that, beside a server that is the same but for store and parsing.

pub mod bare;
mod bodies;
mod client;
#[path = "../../tests/it/http/sources/prompb.rs"]
mod prompb;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bodies::{Kind, Target};
use client::Load;
use novascale::config::http::HttpLimits;

use crate::harness::Daemon;

/// So many senders, each with a connection of its own and one request at a time. A hundred servers
/// of each stay below what a group may have.
const SENDERS: usize = 128;
/// How long each load lasts.
const LASTS: Duration = Duration::from_secs(5);

const CONFIGURATION: &str = r#"
[cloud]
use = "sandbox"

[http]
webhook = "127.0.0.1:0"
admin = "127.0.0.1:0"

[http.limits]
signals_per_second = 1000000
signals_burst = 1000000
in_flight = 512

[group.web]
min = 1
max = 2
flavor = "d2-2"
image = "Debian 12"
networks = ["Ext-Net"]

[[group.web.alert]]
alert = "Busy"
capacity = 2

[source.alertmanager]
format = "alertmanager"
group = "web"
alert = "Busy"

[source.prometheus]
format = "remote_write"
group = "web"

[[source.prometheus.signal]]
metric = "load"
signal = "pushed"
server_label = "server_id"
"#;

/// The same for the bare server.
fn limits() -> HttpLimits {
    HttpLimits {
        signals_per_second: 1_000_000,
        signals_burst: 1_000_000,
        in_flight: 512,
        ..HttpLimits::default()
    }
}

/// All kinds of senders, or those that are named beside `webhook`.
pub fn run(wanted: &[String]) {
    let named: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_named(wanted)).collect();
    let bare = bare::Server::start();
    let beside =
        Arc::new(Target { address: bare.address(), token: token(&bare.token_file()), bare: true });
    println!("webhook: {SENDERS} senders, {} s each", LASTS.as_secs());
    for kind in if named.is_empty() { Kind::ALL.to_vec() } else { named } {
        // Each on a state of its own, as it fares while it is filled.
        let daemon = Daemon::with_its_own_cloud(CONFIGURATION);
        daemon.steady("web");
        let address = daemon.url("webhook");
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        let token = token(&daemon.token_file("signal"));
        let ours = Arc::new(Target { address, token, bare: false });
        let load = Load { kind, senders: SENDERS, lasts: LASTS };
        let taken = load.at_most(&ours);
        let at_best = load.at_most(&beside);
        let paced = load.paced(&ours, taken.per_second / 2.0);
        tell(kind, [taken.per_second, at_best.per_second], &paced);
    }
}

fn token(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn tell(kind: Kind, [taken, bare]: [f64; 2], paced: &client::Seen) {
    let each = kind.holds() as f64;
    println!(
        "  {}: {:.0} requests a second, {:.0} {}; the bare server {bare:.0}: {:.2} of it, aim 0.5; \
         at half of that answered within {:.1} ms (p50), {:.1} (p99), aim 10{}",
        kind.name(),
        taken,
        taken * each,
        kind.unit(),
        taken / bare,
        paced.within(0.5),
        paced.within(0.99),
        kind.aim().map_or(String::new(), |aim| format!("; aim {aim} a second")),
    );
}
