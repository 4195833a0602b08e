//! Reads the freeze file on a thread of its own: whoever asks waits [`WITHIN`] at most, and where
//! a read hangs, as on a network disk that is gone, nobody waits for it a second time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::domain::time::Wall;
use crate::store::freeze_file::{FreezeFile, Look, Said};

/// How long a look may keep whoever asked: it is a few bytes of a disk that the state lies on.
const WITHIN: Duration = Duration::from_secs(1);

type Read = Box<dyn Fn() -> Look + Send>;

pub(super) struct Reader {
    path: String,
    asks: Mutex<Sender<SyncSender<Look>>>,
    /// How many looks have ended.
    ended: Arc<AtomicU64>,
    /// How many had when somebody last waited in vain: as long as it is the same number, the look
    /// of that time still hangs.
    hung_after: AtomicU64,
}

impl Reader {
    pub(super) fn start(file: FreezeFile) -> Self {
        let path = file.path().display().to_string();
        Self::of(path, Box::new(move || file.look()))
    }

    fn of(path: String, read: Read) -> Self {
        let (ended, hung_after) = (Arc::<AtomicU64>::default(), AtomicU64::new(u64::MAX));
        let (asks, asked) = channel();
        let count = Arc::clone(&ended);
        let thread = thread::Builder::new().name("freeze file".to_owned());
        // Where no thread can be had, every look says so.
        let _started = thread.spawn(move || answer(&asked, &read, &count));
        Self { path, asks: Mutex::new(asks), ended, hung_after }
    }

    pub(super) fn look(&self) -> Look {
        let before = self.ended.load(Ordering::SeqCst);
        if self.hung_after.load(Ordering::SeqCst) == before {
            return self.unread();
        }
        let (answer, answered) = sync_channel(1);
        let asked = self.asks.lock().unwrap_or_else(PoisonError::into_inner).send(answer);
        asked.ok().and_then(|()| answered.recv_timeout(WITHIN).ok()).unwrap_or_else(|| {
            self.hung_after.store(before, Ordering::SeqCst);
            self.unread()
        })
    }

    fn unread(&self) -> Look {
        let fault = format!("it could not be read within {} s", WITHIN.as_secs());
        Look { said: Said::Unclear(fault), since: Wall(i64::MAX), path: self.path.clone() }
    }
}

fn answer(asked: &Receiver<SyncSender<Look>>, read: &Read, ended: &AtomicU64) {
    for asker in asked {
        let look = read();
        ended.fetch_add(1, Ordering::SeqCst);
        // Who asked may have given up.
        let _heard = asker.send(look);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_read_that_hangs_holds_every_group_and_is_waited_for_once() {
        let (go, gate) = mpsc::channel::<()>();
        let nothing = || Look { said: Said::Nothing, since: Wall(0), path: String::new() };
        let hangs = Box::new(move || {
            let _until = gate.recv();
            nothing()
        });
        let reader = Reader::of("/state/freeze".to_owned(), hangs);
        let held = |look: &Look| matches!(look.said, Said::Unclear(_));
        assert!(held(&reader.look()));
        let began = Instant::now();
        assert!((0..100).all(|_| held(&reader.look())));
        assert!(began.elapsed() < WITHIN, "nobody waits a second time");
        drop(go);
        while held(&reader.look()) {
            thread::yield_now();
        }
        assert_eq!(reader.look(), nothing());
    }
}
