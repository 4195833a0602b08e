//! The command line: what was typed, who answers it, and with which exit code.
//!
//! `run` is the daemon itself, `check`, `schedule` and `source` read its configuration, `sandbox`
//! is a cloud; every other command asks a running daemon by HTTP, with the token of the scope that the
//! command needs, and prints the answer. A command decides nothing and never prompts. It
//! returns an answer (the same facts for people and for programs) or an error with
//! its exit code, and this module prints either: data on stdout, all else on stderr.
//!
//! One file holds one command. [`exit`] has the codes, `daemon` finds the daemon,
//! `client` talks to it, `view` has the shapes of its answers, `output` prints.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod adopt;
pub mod alert;
pub mod check;
mod client;
pub mod daemon;
pub mod exit;
pub mod explain;
pub mod freeze;
pub mod history;
pub mod output;
pub mod pause;
pub mod pin;
pub mod plan;
pub mod reload;
pub mod reserve;
pub mod run;
pub mod sandbox;
pub mod scale;
pub mod schedule;
pub mod servers;
pub mod signal;
pub mod source;
pub mod status;
mod view;
pub mod when;

use client::Client;
use exit::{Error, Exit};
use output::{Answer, Output};

use crate::config::{DEFAULT_FILE, Env};

/// The commit is set by whoever builds packages, as `NOVASCALE_COMMIT`.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("NOVASCALE_COMMIT") {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

const EXAMPLES: &str = "  novascale signal web requests 540      tell the group `web` its load
  novascale scale web +2 --reason sale   ask for two servers more";

/// What short help has room for: with all of it, it fills a screen and no more.
const SHORTLY: &str = "Example (`--help` has more, and lists the exit codes):
  novascale signal web requests 540      tell the group `web` its load";

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed
  64  the command line is wrong
  69  the daemon is unavailable
  75  busy: try again later
  77  not permitted: the token, or the rights of its file
  78  the configuration is invalid
  With `plan --detailed-exitcode`: 0 no change, 1 any error but 64, 2 changes";

/// Keeps fleets of OpenStack Nova servers at the size that their load asks for
#[derive(Debug, Parser)]
#[command(
    name = "novascale",
    version = VERSION.as_str(),
    max_term_width = 100,
    subcommand_help_heading = "Commands (`run` if none is given)",
    after_help = SHORTLY,
    after_long_help = format!("{EXIT_CODES}\n\nExamples:\n{EXAMPLES}")
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub run: run::Args,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Read instead of ./scaling.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "NOVASCALE_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,

    /// How data is printed: table or json
    #[arg(
        short = 'f',
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub output: output::Format,

    /// When to colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_short_help = true,
        hide_possible_values = true
    )]
    pub color: output::Colour,

    /// Print data and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Show each request; for `run`, log in detail
    #[arg(short, long, global = true)]
    pub verbose: bool,

    #[command(flatten)]
    pub daemon: daemon::Where,
}

impl Global {
    fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon, with the embedded cloud if configured
    Run(run::Args),
    /// Check the configuration and show all its faults
    Check(check::Args),
    /// Show when windows of capacity open next, or a cron expression fires
    Schedule(schedule::Args),
    /// Set up a sender of webhooks, or try what a payload becomes
    #[command(subcommand)]
    Source(source::Command),
    /// Run the embedded cloud alone, and rehearse an outage on it
    Sandbox(sandbox::Args),
    #[command(flatten)]
    Ask(Ask),
}

/// What a running daemon is asked.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Show how the groups fare
    Status(status::Args),
    /// List a group's servers
    Servers(servers::Args),
    /// Say why a group has the size it has, and why nothing happens
    Explain(explain::Args),
    /// Tell what changed a group's size, and who ordered what
    History(history::Args),
    /// Show what the next pass would do, without doing it
    Plan(plan::Args),
    /// Send one sample of a signal
    Signal(signal::Args),
    /// Tell that an alert fires, or is resolved
    Alert(alert::Args),
    /// Set or change a group's base
    Scale(scale::Args),
    /// Reserve capacity for a time
    Reserve(reserve::Args),
    /// End a reservation
    Release(reserve::ReleaseArgs),
    /// Put a number in place of all claims
    Pin(pin::Args),
    /// Let the claims count again
    Unpin(pin::UnpinArgs),
    /// Have the daemon read its configuration again
    Reload(reload::Args),
    /// Change nothing of a group, or of every one, until `unfreeze`
    Freeze(freeze::Args),
    /// Let what was frozen, or stopped by the meltdown guard, go on
    Unfreeze(freeze::UnfreezeArgs),
    /// Let processes rest: launch, terminate, heal, schedule, alarm
    Pause(pause::Args),
    /// Let what was paused go on
    Resume(pause::ResumeArgs),
    /// Take over servers that are not the group's own
    Adopt(adopt::Args),
}

impl Ask {
    /// `plan --detailed-exitcode` knows one code for all errors, as terraform does.
    fn blamed(&self, error: Error) -> Error {
        if matches!(self, Self::Freeze(_)) && error.exit == Exit::Unavailable {
            return error.hint(freeze::BY_HAND);
        }
        let strict = matches!(self, Self::Plan(plan::Args { detailed_exitcode: true, .. }));
        if strict { Error { exit: Exit::Failed, ..error } } else { error }
    }
}

/// Does what the command line says and tells how the program ends.
pub fn main<I, T>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let exit = match parsed(arguments) {
        Ok(cli) => perform(&cli),
        Err(error) => misused(&error),
    };
    ExitCode::from(exit.code())
}

fn parsed<I, T>(arguments: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let matches = Cli::command().try_get_matches_from(arguments)?;
    settled(Cli::from_arg_matches(&matches)?, &matches)
}

/// `novascale --log json run` and `novascale run --log json` mean the same; before
/// any other command the daemon's options mean nothing, and nothing means an option that
/// finds a daemon to a command that asks none.
fn settled(mut cli: Cli, matches: &ArgMatches) -> Result<Cli, clap::Error> {
    match cli.command.take() {
        None => {}
        Some(Command::Run(args)) => cli.run = args.or(cli.run.clone()),
        Some(other) if cli.run == run::Args::default() => cli.command = Some(other),
        Some(_) => return Err(conflict("--log and --log-level belong to `novascale run`")),
    }
    // What a variable says is for all commands of a shell, and here for none.
    let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let asks = matches!(cli.command, Some(Command::Ask(_)));
    if !asks && (typed("url") || typed("token_file")) {
        let words = "--url and --token-file name a daemon to ask; this command asks none";
        return Err(conflict(words));
    }
    Ok(cli)
}

fn conflict(words: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ArgumentConflict, words)
}

/// Help and version are what was asked for; anything else is a usage error, whose
/// code is `sysexits.h`'s, since clap's own 2 means "changes" here.
fn misused(error: &clap::Error) -> Exit {
    // Where the stream is closed nobody can be told.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn perform(cli: &Cli) -> Exit {
    let Global { output: format, color: colour, quiet, verbose, .. } = cli.global;
    let output = Output { format, colour, quiet, verbose };
    let done = match &cli.command {
        None | Some(Command::Run(_)) => run::run(&cli.run, &cli.global, output),
        Some(Command::Check(args)) => check::run(args, cli.global.config(), output),
        Some(Command::Schedule(args)) => {
            schedule::run(args, cli.global.config(), crate::app::now(), output)
        }
        Some(Command::Source(what)) => {
            source::run(what, cli.global.config(), crate::app::now(), output)
        }
        Some(Command::Sandbox(args)) => sandbox::run(args, &cli.global, output),
        Some(Command::Ask(what)) => {
            let answer = ask(what, &cli.global, output).map_err(|error| what.blamed(error));
            answer.map(|answer| output.answer(&answer))
        }
    };
    done.unwrap_or_else(|error| output.error(&error))
}

/// One question to the daemon.
fn ask(what: &Ask, global: &Global, output: Output) -> Result<Answer, Error> {
    let daemon =
        daemon::Daemon::find(&global.daemon, global.config.as_deref(), &Env::from_process())?;
    let client = Client::new(daemon, output)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Error::new(Exit::Failed, format!("cannot start a runtime: {error}")))?;
    runtime.block_on(answer(what, &client))
}

async fn answer(what: &Ask, client: &Client) -> Result<Answer, Error> {
    match what {
        Ask::Status(args) => status::run(args, client).await,
        Ask::Servers(args) => servers::run(args, client).await,
        Ask::Explain(args) => explain::run(args, client).await,
        Ask::History(args) => history::run(args, client).await,
        Ask::Plan(args) => plan::run(args, client).await,
        Ask::Signal(args) => signal::run(args, client).await,
        Ask::Alert(args) => alert::run(args, client).await,
        Ask::Scale(args) => scale::run(args, client).await,
        Ask::Reserve(args) => reserve::reserve(args, client).await,
        Ask::Release(args) => reserve::release(args, client).await,
        Ask::Pin(args) => pin::pin(args, client).await,
        Ask::Unpin(args) => pin::unpin(args, client).await,
        Ask::Reload(args) => reload::run(args, client).await,
        Ask::Freeze(args) => freeze::freeze(args, client).await,
        Ask::Unfreeze(args) => freeze::unfreeze(args, client).await,
        Ask::Pause(args) => pause::pause(args, client).await,
        Ask::Resume(args) => pause::resume(args, client).await,
        Ask::Adopt(args) => adopt::run(args, client).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::LogFormat;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        super::parsed(line.split(' '))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn alone_it_runs_the_daemon() {
        for line in ["novascale --log json", "novascale run --log json", "novascale --log json run"]
        {
            let cli = parsed(line).unwrap();
            assert!(cli.command.is_none(), "{line}");
            assert_eq!(cli.run.log, Some(LogFormat::Json), "{line}");
        }
        assert!(parsed("novascale --log json status").is_err());
        for refused in ["--url http://[::1]:1", "run --token-file x", "--token-file x check"] {
            assert!(parsed(&format!("novascale {refused}")).is_err(), "{refused}");
        }
        assert!(parsed("novascale --url http://[::1]:1 status").is_ok());
    }

    #[test]
    fn a_minus_is_a_change_and_no_option() {
        for (line, change) in [
            ("novascale scale web -1", scale::Change::Adjust(-1)),
            ("novascale scale web -10% --reason quiet", scale::Change::Percent(-10.0)),
            ("novascale scale --reason quiet web -1", scale::Change::Adjust(-1)),
            ("novascale scale web +3 -f json", scale::Change::Adjust(3)),
        ] {
            let cli = parsed(line).unwrap();
            let Some(Command::Ask(Ask::Scale(args))) = cli.command else { panic!("{line}") };
            assert_eq!(args.change, change, "{line}");
        }
        assert!(parsed("novascale scale web --reason").is_err());
    }
}
