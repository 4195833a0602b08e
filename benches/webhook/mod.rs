//! What the webhook takes in: durable signals a second, and how long a sender waits at half of
//! that, beside a server that is the same but for store and parsing.

pub mod bare;
mod bodies;
mod client;
#[path = "../../tests/it/http/sources/prompb.rs"]
mod prompb;

use std::net::SocketAddr;
use std::time::Duration;

use bodies::Kind;
use client::Load;

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
commands_per_second = 10000
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

pub fn run() {
    let bare = bare::Server::start();
    println!("webhook: {SENDERS} senders, {} s each", LASTS.as_secs());
    for kind in Kind::ALL {
        // Each on a state of its own, as it fares while it is filled.
        let daemon = Daemon::with_its_own_cloud(CONFIGURATION);
        daemon.steady("web");
        let address = daemon.url("webhook");
        let address: SocketAddr = address.strip_prefix("http://").unwrap().parse().unwrap();
        let token = std::fs::read_to_string(daemon.token_file("signal")).unwrap();
        let load = Load { kind, senders: SENDERS, lasts: LASTS, token: token.trim().to_owned() };
        let taken = load.at_most(address);
        let beside = load.at_most(bare.address());
        let paced = load.paced(address, taken.per_second / 2.0);
        tell(kind, [taken.per_second, beside.per_second], &paced);
    }
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
