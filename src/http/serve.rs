//! A listener: connections in, bounded in number, in the time and size of their headers,
//! in how long an answer waits to be taken, and ended in order when we stop.
//!
//! `axum::serve` waits for headers without a limit, so connections are served with hyper
//! itself. After the last answer a connection is closed the way RFC 9112 § 9.6 asks for:
//! our side first, then what the sender still sends is read and dropped for a moment; a
//! sender in the middle of a body that is too large hears the 413 and not a reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error::TURNED_AWAY;
use super::impatient::Impatient;
use super::limit::Peer;
use crate::config::http::HttpLimits;
use crate::telemetry::{Counters, count};

/// No client of ours sends more headers, or longer ones.
pub const HEADERS_MOST: usize = 64;
pub const HEADER_BYTES_MOST: usize = 16 * 1024;

/// After our last word, how long and how much of what is still sent is read and dropped.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Pause after a failed accept: out of descriptors, say; trying at once would spin.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is cancelled; then takes no new connection, lets requests under
/// way end within the request timeout, and closes what is left. It returns once the last
/// connection is gone.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    counters: Counters,
    shutdown: CancellationToken,
) {
    let house = House { router, limits, stop: shutdown.clone(), end: CancellationToken::new() };
    let (tracker, room) = (TaskTracker::new(), Arc::new(Semaphore::new(limits.connections)));
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        if trouble.news(accepted.as_ref().err()) {
            trouble.tell();
        }
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(place) => drop(tracker.spawn(house.clone().receive(stream, peer, place))),
                Err(_) => turn_away(&stream, &counters),
            },
            Err(error) if theirs(&error) => {}
            Err(_) => pause(&shutdown).await,
        }
    }
    drop(listener);
    tracker.close();
    if timeout(limits.request_timeout, tracker.wait()).await.is_err() {
        tracing::warn!("requests were still under way when novascale stopped");
        house.end.cancel();
        tracker.wait().await;
    }
}

/// Tells a connection that is one too many, as far as that is possible without waiting.
fn turn_away(stream: &TcpStream, counters: &Counters) {
    counters.add(count::TURNED_AWAY, &[], 1);
    // A fresh socket has room for a few bytes; if it has not, closing says it too.
    let _ = stream.try_write(TURNED_AWAY);
}

/// A sender that gives up while it is accepted is no trouble of ours.
fn theirs(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

async fn pause(shutdown: &CancellationToken) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = sleep(AFTER_ACCEPT_FAILED) => {}
    }
}

/// Why connections cannot be accepted, if so: told once, and once more when they can again.
#[derive(Debug, Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Whether accepting fares otherwise than before.
    fn news(&mut self, error: Option<&io::Error>) -> bool {
        let now = match error {
            Some(error) if theirs(error) => return false,
            other => other.map(ToString::to_string),
        };
        let news = self.0.is_some() != now.is_some();
        if news {
            self.0 = now;
        }
        news
    }

    fn tell(&self) {
        match &self.0 {
            Some(error) => tracing::error!(
                "connections cannot be accepted: {error}. If too many files are open, raise that \
                 limit or lower `http.limits.connections`"
            ),
            None => tracing::info!("connections are accepted again"),
        }
    }
}

/// What every connection of a listener shares.
#[derive(Clone)]
struct House {
    router: Router,
    limits: HttpLimits,
    /// No new request on any connection.
    stop: CancellationToken,
    /// Close at once.
    end: CancellationToken,
}

impl House {
    async fn receive(self, stream: TcpStream, peer: SocketAddr, _place: OwnedSemaphorePermit) {
        let end = self.end.clone();
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = self.converse(stream, peer) => {}
        }
    }

    async fn converse(self, stream: TcpStream, peer: SocketAddr) {
        let router = self.router.clone().map_request(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            request
        });
        let service = TowerToHyperService::new(router);
        let io = TokioIo::new(Impatient::new(stream, self.limits.request_timeout));
        let mut talk = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(HEADERS_MOST)
            .max_header_size(HEADER_BYTES_MOST)
            .serve_connection(io, service);
        let mut stopping = pin!(self.stop.cancelled());
        let mut told = false;
        let ended = poll_fn(|context| {
            if !told && stopping.as_mut().poll(context).is_ready() {
                told = true;
                std::pin::Pin::new(&mut talk).graceful_shutdown();
            }
            talk.poll_without_shutdown(context)
        })
        .await;
        if let Err(error) = ended {
            tracing::debug!(peer = %peer, error = %error, "a connection ended early");
        }
        linger(talk.into_parts().io.into_inner().into_inner()).await;
    }
}

/// Ends our side, then hears the sender out for a moment.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut dropped = 0;
    let mut buffer = [0; 4096];
    let hear_out = async {
        while dropped < LINGER_BYTES {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => dropped += n,
            }
        }
    };
    // Whoever goes on sending after that is cut off.
    let _ = timeout(LINGER, hear_out).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_accepted_is_told_once() {
        let (full, aborted) = (io::Error::other("full"), io::ErrorKind::ConnectionAborted.into());
        let mut trouble = Trouble::default();
        assert!(!trouble.news(None) && !trouble.news(Some(&aborted)));
        assert!(trouble.news(Some(&full)));
        for _ in 0..100 {
            assert!(!trouble.news(Some(&full)) && !trouble.news(Some(&aborted)));
        }
        assert!(trouble.news(None) && !trouble.news(None));
        assert!(trouble.news(Some(&full)));
    }
}
