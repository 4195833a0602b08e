//! Senders: each has one connection, and waits for its answer before it sends again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::bodies::Kind;

pub struct Load {
    pub kind: Kind,
    pub senders: usize,
    pub lasts: Duration,
    pub token: String,
}

/// What the senders saw.
pub struct Seen {
    pub per_second: f64,
    /// In order.
    waits: Vec<Duration>,
}

impl Seen {
    /// Milliseconds within which this share was answered.
    pub fn within(&self, share: f64) -> f64 {
        let at = ((self.waits.len() - 1) as f64 * share) as usize;
        self.waits[at].as_secs_f64() * 1e3
    }
}

impl Load {
    /// As fast as they are answered.
    pub fn at_most(&self, address: SocketAddr) -> Seen {
        self.run(address, None)
    }

    /// At this rate in all. A wait begins when the request was due, so that what is answered late
    /// counts for all that had to wait behind it.
    pub fn paced(&self, address: SocketAddr, per_second: f64) -> Seen {
        self.run(address, Some(Duration::from_secs_f64(self.senders as f64 / per_second)))
    }

    fn run(&self, address: SocketAddr, every: Option<Duration>) -> Seen {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let began = Instant::now();
        let senders = (0..self.senders).map(|n| self.send(address, n, every));
        let waits = runtime.block_on(join_all(senders));
        let lasted = began.elapsed();
        let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
        waits.sort_unstable();
        Seen { per_second: waits.len() as f64 / lasted.as_secs_f64(), waits }
    }

    async fn send(&self, address: SocketAddr, n: usize, every: Option<Duration>) -> Vec<Duration> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        let mut waits = Vec::new();
        let began = Instant::now();
        // Not all of them at the same instant.
        let share = n as f64 / self.senders as f64;
        let mut due = began + every.map_or(Duration::ZERO, |every| every.mul_f64(share));
        while began.elapsed() < self.lasts {
            if let Some(every) = every {
                sleep_until(due.into()).await;
                due += every;
            } else {
                due = Instant::now();
            }
            let due = every.map_or(due, |every| due - every);
            self.kind.request(&mut request, &self.token, (n, waits.len()));
            stream.write_all(&request).await.unwrap();
            taken(&mut stream, &mut answer).await;
            waits.push(due.elapsed());
        }
        waits
    }
}

/// Reads an answer, which has to be 202.
async fn taken(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await.unwrap();
        assert!(read > 0, "the connection was closed: {}", String::from_utf8_lossy(answer));
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("http/1.1 202"), "{}", String::from_utf8_lossy(answer));
        let length = text.split("content-length: ").nth(1).expect("a length");
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if answer.len() >= head + 4 + length {
            return;
        }
    }
}
