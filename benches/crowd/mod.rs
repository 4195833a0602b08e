//! A crowd at the listener for senders: thousands that say nothing, that send a byte now and
//! then, that never end their body. What it costs in memory, in the time that health takes to be
//! answered, and in passes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream as Connection;
use tokio::time::{sleep, timeout};

use crate::harness::Daemon;

const CROWD: usize = 10_000;
/// How long it is watched, without the crowd and with it.
const WATCHED: Duration = Duration::from_secs(60);

const CONFIGURATION: &str = "[cloud]\nuse = \"sandbox\"\n\n[http]\nwebhook = \"127.0.0.1:0\"\n\
    admin = \"127.0.0.1:0\"\n\n[group.crew]\nmin = 3\nmax = 6\nflavor = \"d2-2\"\n\
    image = \"Debian 12\"\nnetworks = [\"Ext-Net\"]\n";

/// What was seen in a while.
#[derive(Debug)]
struct Seen {
    memory_kib: u64,
    descriptors: usize,
    health: Vec<Duration>,
    passes: f64,
}

pub fn run() {
    println!("crowd: {CROWD} connections that never make a request");
    let daemon = Daemon::with_its_own_cloud(CONFIGURATION);
    daemon.steady("crew");
    let address = daemon.url("webhook");
    let address: SocketAddr = address.strip_prefix("http://").unwrap().parse().unwrap();
    let token = std::fs::read_to_string(daemon.token_file("signal")).unwrap();
    let quiet = watch(&daemon, address);
    tell("without", &quiet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let crowd = std::thread::spawn(move || {
        runtime.block_on(async {
            for n in 0..CROWD {
                tokio::spawn(member(n, address, token.trim().to_owned()));
            }
            let _ = stopped.await;
        });
    });
    let crowded = watch(&daemon, address);
    tell("with it", &crowded);
    drop(stop);
    crowd.join().unwrap();
    println!(
        "  memory {:.2} times, passes {:.2} times those without; refused so far: {}",
        crowded.memory_kib as f64 / quiet.memory_kib as f64,
        crowded.passes / quiet.passes,
        daemon.metric("novascale_http_connections_refused_total"),
    );
}

fn tell(what: &str, seen: &Seen) {
    let mut health = seen.health.clone();
    health.sort_unstable();
    let at = |share: f64| health[((health.len() - 1) as f64 * share) as usize].as_micros() as f64;
    println!(
        "  {what}: {} MiB, {} descriptors; health after {:.1} ms (p50), {:.1} (p99), {:.1} at most; \
         {} passes in {} s",
        seen.memory_kib / 1024,
        seen.descriptors,
        at(0.5) / 1e3,
        at(0.99) / 1e3,
        at(1.0) / 1e3,
        seen.passes,
        WATCHED.as_secs()
    );
}

fn watch(daemon: &Daemon, address: SocketAddr) -> Seen {
    let passes = || daemon.metric("novascale_passes_total");
    let before = passes();
    let mut seen = Seen { memory_kib: 0, descriptors: 0, health: Vec::new(), passes: 0.0 };
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        seen.health.push(health(address));
        seen.memory_kib = seen.memory_kib.max(memory_kib(daemon.pid()));
        let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
        seen.descriptors = seen.descriptors.max(open);
        std::thread::sleep(Duration::from_millis(250));
    }
    seen.passes = passes() - before;
    seen
}

/// How long a request for health takes on a connection of its own. It has to be answered.
fn health(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    began.elapsed()
}

fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One of the crowd: it comes again whenever it was sent away.
async fn member(n: usize, address: SocketAddr, token: String) {
    loop {
        if let Ok(stream) = Connection::connect(address).await {
            match n % 10 {
                8 => slowly(stream).await,
                9 => endlessly(stream, &token).await,
                _ => silently(stream).await,
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn silently(mut stream: Connection) {
    let mut byte = [0];
    let _ = stream.read(&mut byte).await;
}

/// Headers, a byte every ten seconds.
async fn slowly(mut stream: Connection) {
    for byte in b"GET /healthz HTTP/1.1\r\n" {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        let mut answer = [0];
        if timeout(Duration::from_secs(10), stream.read(&mut answer)).await.is_ok() {
            return;
        }
    }
}

/// A body without an end, by somebody who is known.
async fn endlessly(mut stream: Connection, token: &str) {
    let head = format!(
        "POST /v1/groups/crew/signals HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    while stream.write_all(chunk.as_bytes()).await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
}
