//! Where the controller meets the world. At any port call the machine may crash: the call then
//! never returns, and whoever polls gives the future up, as a process does that ends. Or
//! something else happens there: it pauses, or another one is started. All that the controller
//! has under way stands still until that is over.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::time::Timer;

/// What happens at a port call.
pub type Event = Pin<Box<dyn Future<Output = ()> + Send>>;

pub struct Gate {
    /// What runs the futures that sleep.
    timer: Option<Arc<Timer>>,
    /// Port calls left until the crash; [`NEVER`] of them while none comes.
    crash: AtomicU32,
    crashed: AtomicBool,
    /// The same for the event.
    happens: AtomicU32,
    event: Mutex<Option<Event>>,
    /// The event that happens now, where futures wait for one another.
    interlude: Mutex<Option<Event>>,
}

const NEVER: u32 = u32::MAX;

impl Gate {
    pub fn new(timer: Option<Arc<Timer>>) -> Self {
        let never = || AtomicU32::new(NEVER);
        let (crashed, event, interlude) = Default::default();
        Self { timer, crash: never(), crashed, happens: never(), event, interlude }
    }

    /// The machine crashes at this port call, counted from here.
    pub fn crash_at(&self, call: u32) {
        self.crash.store(call, Ordering::Relaxed);
    }

    /// This happens at that port call.
    pub fn at(&self, call: u32, event: Event) {
        *self.event.lock().unwrap() = Some(event);
        self.happens.store(call, Ordering::Relaxed);
    }

    /// Nothing happens at port calls any more.
    pub fn quiet(&self) {
        self.crash.store(NEVER, Ordering::Relaxed);
        self.happens.store(NEVER, Ordering::Relaxed);
        self.crashed.store(false, Ordering::Relaxed);
        *self.event.lock().unwrap() = None;
        *self.interlude.lock().unwrap() = None;
    }

    /// Every port passes here, before and after it does what it does.
    pub async fn pass(&self) {
        if due(&self.happens) {
            self.happens.store(NEVER, Ordering::Relaxed);
            let event = self.event.lock().unwrap().take();
            if let Some(event) = event {
                self.happen(event).await;
            }
        }
        if due(&self.crash) {
            self.crashed.store(true, Ordering::Relaxed);
            pending::<()>().await;
        }
    }

    /// Without a timer there is only the one call under way. With one there may be others: they
    /// are kept from going on by whoever polls.
    async fn happen(&self, event: Event) {
        if self.timer.is_none() {
            return event.await;
        }
        *self.interlude.lock().unwrap() = Some(event);
        let mut handed_over = false;
        poll_fn(|context| {
            if std::mem::replace(&mut handed_over, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// What happens in between comes to its end first.
    fn poll<T>(
        &self,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        loop {
            let interlude = self.interlude.lock().unwrap().take();
            if let Some(mut interlude) = interlude
                && interlude.as_mut().poll(context).is_pending()
            {
                *self.interlude.lock().unwrap() = Some(interlude);
                return Poll::Pending;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(done) => return Poll::Ready(Some(done)),
                Poll::Pending if self.crashed.load(Ordering::Relaxed) => return Poll::Ready(None),
                Poll::Pending if self.interlude.lock().unwrap().is_none() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }

    /// Runs to the end, or to the crash. Without a timer nothing waits for anything else.
    pub fn run<T>(&self, mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
        if let Some(timer) = &self.timer {
            return timer.run(poll_fn(|context| self.poll(&mut future, context)));
        }
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return Some(done),
                Poll::Pending if self.crashed.load(Ordering::Relaxed) => return None,
                Poll::Pending => {}
            }
        }
        panic!("a future waits for something that no port does");
    }
}

/// Counts down; true at every call from the last one on.
fn due(left: &AtomicU32) -> bool {
    let n = left.load(Ordering::Relaxed);
    if n != NEVER && n > 0 {
        left.store(n - 1, Ordering::Relaxed);
    }
    n == 0
}
