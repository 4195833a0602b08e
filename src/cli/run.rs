//! `novascale run`, and `novascale` alone: the daemon. It ends on SIGTERM or SIGINT, when
//! what is in flight is finished or recorded; a second signal ends it at once, which is
//! safe, for every call stands in the journal before it is made. SIGHUP makes it read its
//! configuration again, but where it says that the terminal was closed it is a stop.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use super::Global;
use super::check::load;
use super::exit::{Error, Exit, chain};
use super::output::Output;
use crate::app;
use crate::config::{Config, Env, Loaded};
use crate::telemetry::log::{LogFormat, LogOptions};

#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Options of `run`")]
pub struct Args {
    /// How log lines are written: text or json
    #[arg(long, value_name = "FORMAT", hide_short_help = true)]
    pub log: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug, trace
    ///
    /// Or directives for single parts, as `warn,novascale=debug`. If it is not given:
    /// $RUST_LOG, else info; with --quiet warn, with --verbose debug.
    #[arg(long, value_name = "LEVEL", hide_short_help = true)]
    pub log_level: Option<String>,
}

impl Args {
    /// These, and where they say nothing, the others.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self { log: self.log.or(other.log), log_level: self.log_level.or(other.log_level) }
    }

    pub(super) fn log_options(&self, output: Output, env: &Env) -> LogOptions {
        let wish = match (output.quiet, output.verbose) {
            (true, _) => Some("warn"),
            (false, true) => Some("debug"),
            (false, false) => None,
        };
        LogOptions {
            format: self.log.unwrap_or_default(),
            level: self.log_level.clone().or(wish.map(str::to_owned)),
            rust_log: env.var("RUST_LOG").map(str::to_owned),
            color: output.colour.wish(),
        }
    }
}

pub(super) fn run(args: &Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let env = Env::from_process();
    let Some(loaded) = load(global.config(), &env, output) else { return Ok(Exit::Config) };
    let named = global.daemon.state_dir.as_ref().map(|dir| env.cwd().join(dir));
    let log = args.log_options(output, &env);
    let again = {
        let (file, named) = (global.config().to_owned(), named.clone());
        let read = move || Ok(at(named.as_ref(), Config::load(&file, &env)?));
        app::Again { read: Arc::new(read), hangup: Arc::default() }
    };
    let options = app::Options { loaded: at(named.as_ref(), loaded), again, log };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("cannot start a runtime", &error))?;
    let ended = runtime.block_on(until_signalled(options));
    // A configuration on a file system that hangs may still be read: nobody waits for that.
    runtime.shutdown_background();
    ended
}

/// The configuration with the state directory that the command line names, if it names one.
fn at(named: Option<&PathBuf>, mut loaded: Loaded) -> Loaded {
    if let Some(dir) = named {
        loaded.config.controller.state_dir.clone_from(dir);
    }
    loaded
}

async fn until_signalled(options: app::Options) -> Result<Exit, Error> {
    let mut signals = Signals::new().map_err(|error| failed("cannot wait for signals", &error))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let reload = signals.hangups(Arc::clone(&options.again.hangup));
    let daemon = app::run(options, async { drop(stopped.await) });
    tokio::select! {
        biased;
        ended = daemon => ended.map(|()| Exit::Done).map_err(|error| ended_badly(&error)),
        () = reload => Ok(Exit::Done),
        () = signals.twice(stop) => Err(Error::new(Exit::Failed, "stopped at the second signal")
            .hint("what was in flight is in the journal: the next start recovers it")),
    }
}

fn ended_badly(error: &app::Error) -> Error {
    match error {
        // Only the command line and RUST_LOG say how to log.
        app::Error::Log(error) => Error::new(Exit::Usage, chain(error)),
        app::Error::State { .. }
        | app::Error::Garbled { .. }
        | app::Error::Store(_)
        | app::Error::Client(_)
        | app::Error::Sandbox(_)
        | app::Error::Tls(_)
        | app::Error::Tokens(_)
        | app::Error::Listen { .. } => failed("novascale did not start", error),
        app::Error::Ended(_) => failed("novascale stopped", error),
    }
}

fn failed(what: &str, error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Failed, format!("{what}: {}", chain(error)))
}

/// Signals that come so soon after the first belong to it: `timeout` signals its child and then
/// the whole group, and a shell does much the same at its end.
const BURST: Duration = Duration::from_secs(1);

/// The signals that mean something to us: the first two mean "stop".
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None where whoever started us wants it ignored, as `nohup` does.
    hangup: Option<Signal>,
    /// The terminal that we were started from was closed: nobody is there any more.
    closed: Arc<Notify>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose()?;
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt, hangup, closed: Arc::default() })
    }

    /// Passes the first on and returns at the second, past the first one's burst.
    async fn twice(&mut self, stop: oneshot::Sender<()>) {
        self.next().await;
        // If nobody listens the daemon has ended already.
        let _ = stop.send(());
        let burst = async {
            loop {
                self.next().await;
            }
        };
        // Its end is the time's: the loop has none.
        let _over = tokio::time::timeout(BURST, burst).await;
        self.next().await;
    }

    fn next(&mut self) -> impl Future<Output = ()> + '_ {
        let Self { terminate, interrupt, closed, .. } = self;
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = closed.notified() => {}
            }
        }
    }

    /// Passes each SIGHUP on: to whoever reloads; or, if it says that our terminal was closed, to
    /// those who wait for a stop. It never ends.
    fn hangups(&mut self, reload: Arc<Notify>) -> impl Future<Output = ()> + use<> {
        let (hangup, closed) = (self.hangup.take(), Arc::clone(&self.closed));
        let attended = has_terminal();
        async move {
            let Some(mut hangup) = hangup else { return std::future::pending().await };
            while hangup.recv().await.is_some() {
                let meant = if attended && !has_terminal() { &closed } else { &reload };
                meant.notify_one();
            }
            std::future::pending().await
        }
    }
}

/// Whether we have a terminal that is open. Source: tty(4); after a hang-up there is none.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

/// Whether SIGHUP was ignored when we were started. Source: proc_pid_status(5), `SigIgn`, a mask
/// in which signal 1 is the lowest bit. Where there is no /proc it counts as not ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| mask.trim_end().ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']))
}
