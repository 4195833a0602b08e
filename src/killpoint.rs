//! Points at which a debug build can be told to die, so that tests kill it at every step.
//!
//! With `NOVASCALE_KILL_AT=launch.answered` in its environment the process sends itself SIGKILL
//! when it comes to that point, with `:2` behind the name when it comes there for the second
//! time. It may be killed anywhere at any time, so a point changes nothing of what the program
//! does; it only says where. In a release build there are none: `reached` is empty and the
//! variable is not read. `tests/it/stories/kills.rs` dies at each of [`ALL`].

/// Every point: its name, and what has been done by then. Their order is a process's life.
pub const ALL: [(&str, &str); 54] = [
    ("start.held", "the state directory is held, nothing in it was opened"),
    ("start.drawn", "the install id is drawn, there is no database"),
    ("start.made", "a new database is complete, but not at its place"),
    ("start.embedded", "the embedded cloud runs, nobody has asked it"),
    ("start.listening", "the listeners are open, no loop runs"),
    ("start.looping", "the loops run, the command line cannot find them"),
    ("start.announced", "the command line can find the daemon"),
    ("commit.acquire", "the lease is written, not committed"),
    ("committed.acquire", "the lease is durable, nobody has it"),
    ("commit.mark", "the clocks are written, not committed"),
    ("committed.mark", "the clocks are durable"),
    ("commit.sweep", "retention has removed rows, not committed"),
    ("committed.sweep", "what retention removed is gone"),
    ("commit.note", "a decision without a new intent is written, not committed"),
    ("committed.note", "such a decision is durable"),
    ("commit.bind", "the project of the first sign-in is written, not committed"),
    ("committed.bind", "it is durable, nobody was asked in it"),
    ("admit.taken", "a command is read, nothing of it is stored"),
    ("commit.admit", "it is written, not committed"),
    ("committed.admit", "it is durable, nobody knows"),
    ("admit.kept", "it is durable, neither answered nor acted on"),
    ("commit.freeze", "a freeze of everything is written, not committed"),
    ("committed.freeze", "it is durable, nobody knows"),
    ("pass.decided", "a plan is made, its intents are not recorded"),
    ("commit.record", "the intents are written, not committed"),
    ("committed.record", "the intents are durable, the pass does not know"),
    ("pass.recorded", "the pass knows, no call was made"),
    ("launch.begun", "a launch's turn has come"),
    ("launch.resolved", "its names are ids, it is not sent"),
    ("link.create", "its answer is here, not understood"),
    ("launch.answered", "it is understood, not stored"),
    ("terminate.begun", "a delete's turn has come, its server was not looked at"),
    ("terminate.permitted", "the server may be deleted, nothing is sent"),
    ("link.delete", "the answer to the delete is here, not understood"),
    ("terminate.answered", "it is understood, not stored"),
    ("adopt.begun", "an adoption's turn has come, its server was not looked at"),
    ("adopt.permitted", "the server may be adopted, nothing is sent"),
    ("link.tag", "the answer to the group's tag is here, not understood"),
    ("link.metadata", "the answer to the marks is here, not understood"),
    ("link.untag", "the answer to the former tag's end is here, not understood"),
    ("adopt.answered", "it is understood, not stored"),
    ("commit.settle", "what became of a call is written, not committed"),
    ("committed.settle", "it is durable, the pass does not know"),
    ("pass.settled", "the pass knows"),
    ("reload.read", "a new configuration is read and valid, the old loops run"),
    ("reload.parted", "loops were told to end, no new one runs"),
    ("reload.turned", "the new loops run, nobody is told"),
    ("embedded.acted", "the embedded cloud has done it, nothing is saved"),
    ("embedded.written", "its state is written aside, not in place"),
    ("embedded.saved", "its state is saved, the change is not answered"),
    ("stop.begun", "it was told to stop, calls are under way"),
    ("stop.ended", "the loops have ended, the store is open"),
    ("stop.closed", "the store is closed, the command line still finds the daemon"),
    ("stop.done", "only the lock is still held"),
];

/// The process has come to this point.
#[cfg(debug_assertions)]
pub(crate) fn reached(point: &str) {
    reached_in(point, "");
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn reached(_point: &str) {}

/// The same for a point whose name is made of a stage, as `commit.`, and of what goes through it.
#[cfg(debug_assertions)]
pub(crate) fn reached_in(stage: &str, what: &str) {
    use rustix::process::{Signal, getpid, kill_process};

    if order::ends_at(stage, what) {
        // Where it cannot be sent, the test that waits for the end says so.
        let _sent = kill_process(getpid(), Signal::KILL);
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn reached_in(_stage: &str, _what: &str) {}

/// What the environment orders.
#[cfg(debug_assertions)]
mod order {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    const VARIABLE: &str = "NOVASCALE_KILL_AT";

    static ORDER: LazyLock<Option<Order>> =
        LazyLock::new(|| std::env::var(VARIABLE).ok().map(|text| Order::read(&text)));

    struct Order {
        point: String,
        /// How many times it passes the point before it ends there.
        spared: AtomicU32,
    }

    impl Order {
        fn read(text: &str) -> Self {
            let (point, time) = text.split_once(':').unwrap_or((text, "1"));
            let time: u32 = time.parse().unwrap_or(1);
            Self { point: point.to_owned(), spared: AtomicU32::new(time.saturating_sub(1)) }
        }
    }

    pub(super) fn ends_at(stage: &str, what: &str) -> bool {
        let Some(order) = &*ORDER else { return false };
        let here = order.point.strip_prefix(stage) == Some(what);
        let one_less = |n: u32| n.checked_sub(1);
        here && order.spared.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
    }
}
