//! Where the controller meets the world. At any port call the machine may crash: the call then
//! never returns, and whoever polls gives the future up, as a process does that ends. Or
//! something else happens there: it pauses, or another one is started.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::time::Timer;

/// What happens at a port call.
pub type Event = Box<dyn FnOnce() + Send>;

pub struct Gate {
    /// What runs the futures that sleep.
    timer: Option<Arc<Timer>>,
    /// Port calls left until the crash; [`NEVER`] of them while none comes.
    crash: AtomicU32,
    crashed: AtomicBool,
    /// The same for the event.
    happens: AtomicU32,
    event: Mutex<Option<Event>>,
}

const NEVER: u32 = u32::MAX;

impl Gate {
    pub fn new(timer: Option<Arc<Timer>>) -> Self {
        let never = || AtomicU32::new(NEVER);
        let (crashed, event) = (AtomicBool::new(false), Mutex::new(None));
        Self { timer, crash: never(), crashed, happens: never(), event }
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
    }

    /// Every port passes here, before and after it does what it does.
    pub async fn pass(&self) {
        if due(&self.happens) {
            self.happens.store(NEVER, Ordering::Relaxed);
            let event = self.event.lock().unwrap().take();
            if let Some(event) = event {
                event();
            }
        }
        if due(&self.crash) {
            self.crashed.store(true, Ordering::Relaxed);
            pending::<()>().await;
        }
    }

    /// Runs to the end, or to the crash. Without a timer nothing waits for anything else.
    pub fn run<T>(&self, mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
        if let Some(timer) = &self.timer {
            return timer.run(poll_fn(|context| match future.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.crashed.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }));
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
