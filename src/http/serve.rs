//! A listener: connections in, bounded in number, in the time and size of their headers,
//! in how long an answer waits to be taken, and ended in order when we stop.
//!
//! `axum::serve` waits for headers without a limit, so connections are served with hyper
//! itself, on sockets with limits of their own. After the last answer a connection is closed the way RFC 9112 § 9.6 asks for:
//! our side first, then what the sender still sends is read and dropped for a moment; a
//! sender in the middle of a body that is too large hears the 413 and not a reset.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error::TURNED_AWAY;
use super::impatient::Impatient;
use super::limit::Peer;
use super::tls::{self, Current};
use crate::config::http::HttpLimits;
use crate::telemetry::{Counters, count};

mod room;

use room::{Room, Seat};

/// The names in the certificate of a client, which are verified; inserted by the listener.
#[derive(Debug, Clone, Default)]
pub struct Certificate(pub Arc<[String]>);

/// No client of ours sends more headers, or longer ones.
pub const HEADERS_MOST: usize = 64;
pub const HEADER_BYTES_MOST: usize = 16 * 1024;

/// After our last word, how long and how much of what is still sent is read and dropped.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// Pause after a failed accept: out of descriptors, say; trying at once would spin.
const AFTER_ACCEPT_FAILED: Duration = Duration::from_millis(100);

/// Serves, with TLS if there is something for it, until `shutdown` is cancelled; then takes no new connection, lets requests under
/// way end within the request timeout, and closes what is left. It returns once the last
/// connection is gone.
pub async fn serve(
    listener: TcpListener,
    (router, tls): (Router, Option<Current>),
    limits: HttpLimits,
    counters: Counters,
    shutdown: CancellationToken,
) {
    let (stop, end) = (shutdown.clone(), CancellationToken::new());
    let house = House { router, tls, limits, stop, end };
    let tracker = TaskTracker::new();
    let room = Room::new(limits.connections, limits.connections_per_address);
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
            Ok((stream, peer)) => match room.seat(peer.ip()) {
                Some((seat, gone)) => {
                    counters.add(count::TURNED_AWAY, &[], gone);
                    tracker.spawn(house.clone().receive(stream, peer, seat));
                }
                None => turn_away(&stream, &counters),
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
    tls: Option<Current>,
    limits: HttpLimits,
    /// No new request on any connection.
    stop: CancellationToken,
    /// Close at once.
    end: CancellationToken,
}

impl House {
    async fn receive(self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        let (end, room_needed) = (self.end.clone(), seat.end.clone());
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = room_needed.cancelled() => {}
            () = self.greet(stream, peer, &seat) => {}
        }
    }

    /// The handshake, if there is to be one, within the time for headers.
    async fn greet(self, stream: TcpStream, peer: SocketAddr, seat: &Seat) {
        let Some(tls) = &self.tls else {
            let who = Arrived { peer, certificate: Arc::default() };
            return self.converse(stream, who, seat).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&*tls.borrow()));
        match timeout(self.limits.header_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let certificate = shown.map(tls::names).unwrap_or_default().into();
                self.converse(stream, Arrived { peer, certificate }, seat).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer, error = %error, "a TLS handshake failed");
            }
            Err(_) => tracing::debug!(peer = %peer, "a TLS handshake took too long"),
        }
    }

    async fn converse<S>(self, stream: S, who: Arrived, seat: &Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Arrived { peer, certificate } = who;
        let busy = Arc::clone(&seat.busy);
        let router = self.router.clone();
        let service = TowerToHyperService::new(tower::service_fn(
            move |request: hyper::Request<Incoming>| {
                let mut request: Request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                request.extensions_mut().insert(Certificate(Arc::clone(&certificate)));
                let at_work = AtWork::begin(&busy);
                let answered = router.clone().oneshot(request);
                // hyper wants a future that may be moved.
                Box::pin(async move {
                    let answered = answered.await;
                    drop(at_work);
                    answered
                })
            },
        ));
        let io = TokioIo::new(Impatient::new(stream, self.limits, Arc::clone(&seat.busy)));
        let mut talk = http1::Builder::new()
            .header_read_timeout(None)
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

/// Who a connection is with.
struct Arrived {
    peer: SocketAddr,
    certificate: Arc<[String]>,
}

/// A request is under way for as long as this lives, answered or given up.
struct AtWork(Arc<AtomicBool>);

impl AtWork {
    fn begin(busy: &Arc<AtomicBool>) -> Self {
        busy.store(true, Ordering::Release);
        Self(Arc::clone(busy))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Ends our side, then hears the sender out for a moment. With TLS our end is something to send,
/// which a peer that takes nothing would never let go out.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut dropped = 0;
    let mut buffer = [0; 4096];
    let hear_out = async {
        if stream.shutdown().await.is_err() {
            return;
        }
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
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::*;

    /// A TLS stream whose peer takes nothing: its closing words do not get out.
    struct Stuck;

    impl AsyncRead for Stuck {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_who_does_not_take_our_last_word() {
        let ended = timeout(10 * LINGER, linger(Stuck)).await;
        assert!(ended.is_ok(), "it waits for ever");
    }

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
