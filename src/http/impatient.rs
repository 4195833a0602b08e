//! A socket that nobody holds for ever.
//!
//! hyper has one limit for the headers of a request and for the pause before the next one. A head
//! that trickles in shall end soon, while whoever speaks every few seconds is to find its
//! connection as it left it: a sender that speaks just as we close loses its request. And
//! hyper has none for a peer that takes no answer. So the limits are here, below hyper: a read that
//! waits too long for a head fails, one that waits too long for the next request ends as if the
//! peer had gone, and a write that makes no progress fails. Bodies are bounded elsewhere.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::config::http::HttpLimits;

/// A stream whose heads, pauses and writes have limits.
pub(super) struct Impatient<S> {
    stream: S,
    limits: HttpLimits,
    /// A request is under way; what is read then is its body.
    busy: Arc<AtomicBool>,
    heard: Heard,
    /// Runs while the peer says nothing; never reset for a later time before it has ended.
    silence: Option<Pin<Box<Sleep>>>,
    /// Runs while the peer takes nothing.
    untaken: Option<Pin<Box<Sleep>>>,
}

/// What the peer has said, and by when it has to go on.
#[derive(Debug, Clone, Copy)]
enum Heard {
    Nothing,
    PartOfHead(Instant),
    /// A request, which has been answered.
    Request,
    Pause(Instant),
}

impl<S> Impatient<S> {
    pub(super) fn new(stream: S, limits: HttpLimits, busy: Arc<AtomicBool>) -> Self {
        Self { stream, limits, busy, heard: Heard::Nothing, silence: None, untaken: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn hears(&mut self, some: bool) {
        if self.busy.load(Ordering::Acquire) {
            self.heard = Heard::Request;
        } else if some && !matches!(self.heard, Heard::PartOfHead(_)) {
            self.heard = Heard::PartOfHead(Instant::now() + self.limits.header_timeout);
        }
    }

    /// The peer says nothing: for how much longer it may.
    fn bears(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.busy.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let HttpLimits { header_timeout, idle_timeout, .. } = self.limits;
        let until = match self.heard {
            Heard::Nothing => Instant::now() + header_timeout,
            Heard::Request => Instant::now() + idle_timeout,
            Heard::PartOfHead(until) | Heard::Pause(until) => until,
        };
        let pauses = matches!(self.heard, Heard::Request | Heard::Pause(_));
        self.heard = if pauses { Heard::Pause(until) } else { Heard::PartOfHead(until) };
        ready!(self.comes(until, context));
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no whole head came");
        Poll::Ready(if pauses { Ok(()) } else { Err(late()) })
    }

    /// Until this time has come. The usual next limit is later than the one before, which costs
    /// nothing until that one has passed.
    fn comes(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.silence.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(context));
        if timer.deadline() < until {
            timer.as_mut().reset(until);
            return timer.as_mut().poll(context);
        }
        Poll::Ready(())
    }

    fn in_time(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if done.is_ready() {
            self.untaken = None;
            self.heard = Heard::Request;
            return done;
        }
        let limit = self.limits.request_timeout;
        let untaken = self.untaken.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(untaken.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            return self.bears(context);
        }
        self.hears(buffer.filled().len() > before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(75);

    fn ours() -> (Impatient<DuplexStream>, DuplexStream, Arc<AtomicBool>) {
        let (stream, peer) = duplex(64);
        let busy = Arc::<AtomicBool>::default();
        let limits =
            HttpLimits { header_timeout: HEAD, idle_timeout: IDLE, ..HttpLimits::default() };
        (Impatient::new(stream, limits, Arc::clone(&busy)), peer, busy)
    }

    /// How long one read took, and what came of it.
    async fn read(stream: &mut Impatient<DuplexStream>) -> (Duration, io::Result<usize>) {
        let began = Instant::now();
        let read = stream.read(&mut [0; 64]).await;
        (began.elapsed(), read)
    }

    /// Timers count in milliseconds.
    fn about(took: Duration, limit: Duration) -> bool {
        took >= limit && took <= limit + Duration::from_millis(2)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_one_time_however_it_trickles_in() {
        let (mut stream, mut peer, _) = ours();
        let began = Instant::now();
        for _ in 0..2 {
            let says = async {
                sleep(HEAD * 2 / 5).await;
                peer.write_all(b"G").await.unwrap();
            };
            let ((_, came), ()) = tokio::join!(read(&mut stream), says);
            assert_eq!(came.unwrap(), 1);
        }
        let (_, late) = read(&mut stream).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(about(began.elapsed(), HEAD), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_answered_may_pause_and_then_has_gone() {
        let (mut stream, mut peer, busy) = ours();
        for _ in 0..3 {
            peer.write_all(b"GET").await.unwrap();
            assert_eq!(read(&mut stream).await.1.unwrap(), 3);
            busy.store(true, Ordering::Release);
            busy.store(false, Ordering::Release);
            stream.write_all(b"200").await.unwrap();
            let pause = tokio::time::timeout(IDLE - HEAD, read(&mut stream));
            assert!(pause.await.is_err(), "a pause is no end");
        }
        let (took, gone) = read(&mut stream).await;
        assert!(about(took, HEAD), "{took:?}");
        assert_eq!(gone.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_a_head_has_its_time_again() {
        let (mut stream, mut peer, _) = ours();
        stream.write_all(b"200").await.unwrap();
        assert!(tokio::time::timeout(HEAD, read(&mut stream)).await.is_err());
        peer.write_all(b"G").await.unwrap();
        assert_eq!(read(&mut stream).await.1.unwrap(), 1);
        let (took, late) = read(&mut stream).await;
        assert!(late.is_err() && about(took, HEAD), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_elsewhere() {
        let (mut stream, mut peer, busy) = ours();
        peer.write_all(b"POST").await.unwrap();
        assert_eq!(read(&mut stream).await.1.unwrap(), 4);
        busy.store(true, Ordering::Release);
        assert!(tokio::time::timeout(10 * IDLE, read(&mut stream)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_let_go() {
        let (mut stream, _peer, _) = ours();
        let began = Instant::now();
        let untaken = stream.write_all(&[0; 65]).await;
        assert_eq!(untaken.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(about(began.elapsed(), HttpLimits::default().request_timeout));
    }
}
