//! Where the controller meets the world. At any port call the machine may crash: the call then
//! never returns, and whoever polls gives the future up, as a process does that ends.

use std::future::pending;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub struct Gate {
    /// Port calls left until the crash.
    left: Mutex<Option<u32>>,
    crashed: AtomicBool,
}

impl Gate {
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

    /// Runs to the end, or to the crash. Nothing in this world waits for anything else.
    pub fn run<T>(&self, mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
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
