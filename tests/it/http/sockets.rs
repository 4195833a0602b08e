//! Limits that only a socket shows: slow headers, endless bodies, too many connections,
//! and the way a listener stops.

use std::net::SocketAddr;
use std::time::Duration;

use novascale::config::http::HttpLimits;
use novascale::http::tokens::Scope;
use novascale::telemetry::count;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::face::{Face, Mood};

/// No step of these tests may take longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    face: Face,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

async fn open(limits: HttpLimits) -> House {
    let face = Face::with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (router, counters) = ((face.admin.clone(), None), face.counters.clone());
    let serving =
        tokio::spawn(novascale::http::serve(listener, router, limits, counters, stop.clone()));
    House { face, address, stop, serving }
}

impl House {
    fn head(&self, scope: Scope, request: &str) -> String {
        let token = self.face.token(scope);
        format!("{request} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n")
    }

    /// A whole request about capacity.
    fn post(&self, body: &str) -> String {
        let head = self.head(Scope::Capacity, "POST /v1/groups/web/capacity");
        let length = body.len();
        format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    /// So many requests have come to the store.
    async fn reached(&self, n: u64) {
        let reached = async {
            while self.face.store.admits.load(std::sync::atomic::Ordering::SeqCst) < n {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the request reaches the store");
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Everything that comes until the other side ends, reset or not.
async fn all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while let Ok(n) = stream.read(&mut buffer).await {
            if n == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..n]);
        }
    };
    timeout(PATIENCE, read).await.expect("the connection ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends the bytes, then hears what is answered.
pub async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    all(&mut stream).await
}

/// Reads until this text has come.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut heard = Vec::new();
    let read = async {
        let mut byte = [0];
        while !String::from_utf8_lossy(&heard).contains(text) {
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "ended too early");
            heard.push(byte[0]);
        }
    };
    timeout(PATIENCE, read).await.expect("the answer comes");
    String::from_utf8_lossy(&heard).into_owned()
}

fn hurried() -> HttpLimits {
    let soon = Duration::from_millis(200);
    HttpLimits { header_timeout: soon, idle_timeout: soon, ..HttpLimits::default() }
}

#[tokio::test]
async fn slow_headers_are_not_waited_for() {
    let house = open(hurried()).await;
    for said in ["", "GET /healthz HTT", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let answer = talk(house.address, said.as_bytes()).await;
        assert!(!answer.contains("200"), "{said:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_and_not_for_ever() {
    let house = open(hurried()).await;
    let mut stream = house.connect().await;
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, "alive\n").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(all(&mut stream).await, "", "an idle connection is closed");
}

/// Health needs no token, so whoever asks for it and never hears the answers could hold
/// every connection.
#[tokio::test]
async fn a_sender_that_does_not_listen_is_not_waited_for() {
    let soon = Duration::from_millis(300);
    let limits = HttpLimits { connections: 1, request_timeout: soon, ..hurried() };
    let house = open(limits).await;
    let mut deaf = house.connect().await;
    let many = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
    // It asks on and on, and hears nothing, until it is cut off.
    let asking =
        tokio::spawn(async move { while deaf.write_all(many.as_bytes()).await.is_ok() {} });
    let served = async {
        let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        while !talk(house.address, ask).await.contains("alive") {
            tokio::task::yield_now().await;
        }
    };
    // A thousand answers take a loaded machine longer than one.
    timeout(6 * PATIENCE, served).await.expect("the place is free again");
    timeout(6 * PATIENCE, asking).await.expect("the sender is cut off").unwrap();
}

#[tokio::test]
async fn headers_have_a_number_and_a_size() {
    let house = open(HttpLimits::default()).await;
    let many = "x: y\r\n".repeat(65);
    let long = format!("x: {}\r\n", "y".repeat(17 * 1024));
    for headers in [many, long] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let answer = talk(house.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let house = open(HttpLimits::default()).await;
    let head = house.head(Scope::Signal, "POST /v1/groups/web/signals");
    let stream = house.connect().await;
    let (mut hear, mut speak) = stream.into_split();
    let speaking = tokio::spawn(async move {
        let start =
            format!("{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
        speak.write_all(start.as_bytes()).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        let mut sent = 0_usize;
        while speak.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 0x1000;
        }
        sent
    });
    let mut heard = Vec::new();
    let answered = timeout(PATIENCE, async {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&heard).contains("\r\n\r\n") {
            match hear.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => heard.extend_from_slice(&buffer[..n]),
            }
        }
    });
    answered.await.expect("the refusal comes while the body still does");
    let answer = String::from_utf8_lossy(&heard).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    let sent = timeout(PATIENCE, speaking).await.expect("the sender is cut off").unwrap();
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken");
    assert!(house.face.stored("web").await.samples.is_empty());
}

#[tokio::test]
async fn a_body_that_stalls_is_not_waited_for() {
    let limits = HttpLimits { request_timeout: Duration::from_millis(200), ..Default::default() };
    let house = open(limits).await;
    let head = house.head(Scope::Signal, "POST /v1/groups/web/signals");
    let request = format!("{head}content-type: application/json\r\ncontent-length: 10\r\n\r\n[");
    let answer = talk(house.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("body-too-slow"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let house = open(HttpLimits { connections: 2, ..HttpLimits::default() }).await;
    house.face.store.is(Mood::Hangs);
    let mut kept = Vec::new();
    for n in 1..=2 {
        let mut stream = house.connect().await;
        let request = house.post("{\"set\": 5}");
        stream.write_all(request.as_bytes()).await.unwrap();
        house.reached(n).await;
        kept.push(stream);
    }
    let mut third = house.connect().await;
    let answer = all(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
    assert!(answer.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(house.face.counters.total(count::TURNED_AWAY), 1);
    house.face.store.is(Mood::Well);
    drop(kept);
    // The places are free once the listener has noticed; until then it says 503.
    let served = async {
        loop {
            let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            if talk(house.address, request).await.starts_with("HTTP/1.1 200") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, served).await.expect("places come free");
}

/// Whoever connects and says nothing keeps nobody out.
#[tokio::test]
async fn who_waits_without_a_request_makes_room() {
    let house = open(HttpLimits { connections: 8, ..HttpLimits::default() }).await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut stream = house.connect().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        crowd.push(stream);
        let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = talk(house.address, request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    assert!(house.face.counters.total(count::TURNED_AWAY) >= 92);
    assert_eq!(all(&mut crowd[0]).await, "", "the first of the crowd had to go");
}

#[tokio::test]
async fn stopping_lets_requests_end_and_closes_the_rest() {
    let house = open(HttpLimits::default()).await;
    let mut idle = house.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut idle, "alive\n").await;
    house.face.store.is(Mood::Hangs);
    let mut busy = house.connect().await;
    busy.write_all(house.post("{\"set\": 5}").as_bytes()).await.unwrap();
    house.reached(1).await;
    house.stop.cancel();
    assert_eq!(all(&mut idle).await, "", "idle connections are closed at once");
    house.face.store.is(Mood::Well);
    let answer = all(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    timeout(PATIENCE, house.serving).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(house.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_waits_no_longer_than_a_request_may_take() {
    let limits = HttpLimits { request_timeout: Duration::from_millis(300), ..Default::default() };
    let house = open(limits).await;
    let head = house.head(Scope::Signal, "POST /v1/groups/web/signals");
    let mut stuck = house.connect().await;
    stuck.write_all(format!("{head}content-length: 9\r\n").as_bytes()).await.unwrap();
    house.stop.cancel();
    timeout(PATIENCE, house.serving).await.expect("it stops all the same").unwrap();
    assert_eq!(all(&mut stuck).await, "");
}
