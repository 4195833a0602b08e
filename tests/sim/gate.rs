//! Where the controller meets the world. At any port call the machine may crash: the call then
//! never returns, and whoever polls gives the future up, as a process does that ends.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::time::Timer;

#[derive(Default)]
pub struct Gate {
    /// What runs the futures that sleep.
    timer: Option<Arc<Timer>>,
    /// Port calls left until the crash.
    left: Mutex<Option<u32>>,
    crashed: AtomicBool,
}

impl Gate {
    pub fn new(timer: Option<Arc<Timer>>) -> Self {
        Self { timer, ..Self::default() }
    }

    /// The machine crashes at this port call, counted from here.
    pub fn crash_at(&self, call: Option<u32>) {
        *self.left.lock().unwrap() = call;
        self.crashed.store(false, Ordering::Relaxed);
    }

    /// Every port passes here, before and after it does what it does.
    pub async fn pass(&self) {
        let over = {
            let mut left = self.left.lock().unwrap();
            match left.as_mut() {
                Some(0) => true,
                Some(n) => {
                    *n -= 1;
                    false
                }
                None => false,
            }
        };
        if over {
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
