//! Senders: each has one connection, and waits for its answer before it sends again. They work on
//! the same machine as the server, so they do as little as they can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::bodies::{Kind, Target};

#[derive(Clone, Copy)]
pub struct Load {
    pub kind: Kind,
    pub senders: usize,
    pub lasts: Duration,
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
    pub fn at_most(self, target: &Arc<Target>) -> Seen {
        self.run(target, None)
    }

    /// At this rate in all. A wait begins when the request was due, so that what is answered late
    /// counts for all that had to wait behind it.
    pub fn paced(self, target: &Arc<Target>, per_second: f64) -> Seen {
        self.run(target, Some(Duration::from_secs_f64(self.senders as f64 / per_second)))
    }

    fn run(self, target: &Arc<Target>, every: Option<Duration>) -> Seen {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let began = Instant::now();
        let waits = runtime.block_on(async {
            // Each a task of its own: polled by one, some would starve while others are answered fast.
            let mut senders = JoinSet::new();
            for n in 0..self.senders {
                let sender = Sender { kind: self.kind, n, nth: 0, made: Vec::new() };
                senders.spawn(self.send(Arc::clone(target), sender, every));
            }
            senders.join_all().await
        });
        let lasted = began.elapsed();
        let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
        waits.sort_unstable();
        Seen { per_second: waits.len() as f64 / lasted.as_secs_f64(), waits }
    }

    async fn send(
        self,
        target: Arc<Target>,
        mut sender: Sender,
        every: Option<Duration>,
    ) -> Vec<Duration> {
        let mut stream = TcpStream::connect(target.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut answer, mut waits) = (Vec::new(), Vec::new());
        let began = Instant::now();
        // Not all of them at the same instant.
        let share = sender.n as f64 / self.senders as f64;
        let mut due = began + every.map_or(Duration::ZERO, |every| every.mul_f64(share));
        while began.elapsed() < self.lasts {
            if let Some(every) = every {
                sleep_until(due.into()).await;
                due += every;
            } else {
                due = Instant::now();
            }
            let due = every.map_or(due, |every| due - every);
            stream.write_all(sender.next(&target)).await.unwrap();
            taken(&mut stream, &mut answer).await;
            waits.push(due.elapsed());
        }
        waits
    }
}

/// Requests that were made once are sent in turn, each with other values than the one before.
const MADE: usize = 8;

struct Sender {
    kind: Kind,
    n: usize,
    nth: usize,
    made: Vec<Vec<u8>>,
}

impl Sender {
    fn next(&mut self, target: &Target) -> &[u8] {
        let place = if self.kind.timeless() { self.nth % MADE } else { 0 };
        if self.made.len() <= place {
            self.made.push(Vec::new());
        }
        if self.made[place].is_empty() || !self.kind.timeless() {
            self.made[place] = self.kind.request(target, (self.n, self.nth));
        }
        self.nth += 1;
        &self.made[place]
    }
}

/// Reads an answer, which has to be 202.
async fn taken(stream: &mut TcpStream, answer: &mut Vec<u8>) {
    const LENGTH: &[u8] = b"content-length: ";
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await.unwrap();
        assert!(read > 0, "the connection was closed: {}", String::from_utf8_lossy(answer));
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = &answer[..end];
        assert!(head.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(answer));
        let at = head.windows(LENGTH.len()).position(|part| part == LENGTH).expect("a length");
        let digits = head[at + LENGTH.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |n, digit| 10 * n + usize::from(digit - b'0'));
        if answer.len() >= end + 4 + length {
            return;
        }
    }
}
