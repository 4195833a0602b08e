//! `novascale sandbox`: the embedded cloud alone, on a fixed port of this machine, with faults on
//! request. It ends on SIGTERM and SIGINT.

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::check::shown;
use super::exit::{Error, Exit, chain};
use super::output::{Answer, BOLD, Column, Line, Output, PLAIN, paint, table};
use super::{Global, run};
use crate::app;
use crate::app::alone::{Alone, Found};
use crate::config::cloud::{Cloud, SandboxSettings};
use crate::config::rehearsal::{Fault, Unit, Wishes};
use crate::config::{Config, Env, Loaded};

/// Beside the daemon's own.
const PORT: u16 = 7790;

/// What is read where there is no file.
const PLAINLY: &str = "[cloud]\nuse = \"sandbox\"\n";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The port on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    pub port: u16,

    /// What it does wrong, as list-fails=20,build-slow=60s
    #[arg(long, value_name = "NAME=STRENGTH,...")]
    pub faults: Option<Wishes>,

    /// Roll the same dice for faults again
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Show all faults with their meaning, and end
    #[arg(long)]
    pub list_faults: bool,

    #[command(flatten)]
    pub run: run::Args,
}

pub(super) fn run(args: &Args, global: &Global, output: Output) -> Result<Exit, Error> {
    if args.list_faults {
        return Ok(output.answer(&all_faults()));
    }
    let env = Env::from_process();
    let Some(loaded) = configured(global, &env, output) else { return Ok(Exit::Config) };
    let mut settings = settings(loaded.config.cloud);
    settings.port = args.port;
    settings.faults = args.faults.clone().unwrap_or(settings.faults);
    settings.fault_seed = args.seed.or(settings.fault_seed);
    let given = global.daemon.state_dir.as_ref().map(|dir| env.cwd().join(dir));
    let root = given.unwrap_or(loaded.config.controller.state_dir);
    let alone = Alone { root, settings, log: args.run.log_options(output, &env) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("cannot start a runtime", &error))?;
    runtime.block_on(until_signalled(alone, output))
}

/// The file that is named, or lies here, as far as it matters; without one, what holds of itself.
fn configured(global: &Global, env: &Env, output: Output) -> Option<Loaded> {
    let file = global.config();
    if global.config.is_some() || env.cwd().join(file).exists() {
        return shown(Config::load_embedded(file, env), output);
    }
    Config::parse(PLAINLY, file, env).ok()
}

/// Those of the file; one that uses another cloud has none.
fn settings(cloud: Cloud) -> SandboxSettings {
    match cloud {
        Cloud::Sandbox(settings) => settings,
        Cloud::OpenStack(_) => SandboxSettings::default(),
    }
}

async fn until_signalled(alone: Alone, output: Output) -> Result<Exit, Error> {
    let wait = |kind| signal(kind).map_err(|error| failed("cannot wait for signals", &error));
    let (mut terminate, mut interrupt) =
        (wait(SignalKind::terminate())?, wait(SignalKind::interrupt())?);
    let signalled = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let tell = |found: &Found| _ = output.answer(&where_it_is(found));
    let ended = app::alone::run(alone, tell, signalled).await;
    ended.map(|()| Exit::Done).map_err(|error| ended_badly(&error))
}

fn ended_badly(error: &app::Error) -> Error {
    let failed = failed("the embedded cloud did not run", error);
    let taken = matches!(error, app::Error::Listen { .. });
    if taken { failed.hint("or name another port with --port") } else { failed }
}

fn failed(what: &str, error: &dyn std::error::Error) -> Error {
    Error::new(Exit::Failed, format!("{what}: {}", chain(error)))
}

fn where_it_is(found: &Found) -> Answer {
    let Found { url, clouds_yaml, fault_token } = found;
    let (yaml, token) = (clouds_yaml.display(), fault_token.display());
    let text = format!(
        "The embedded cloud listens on {url}\n\n\
         Sign in:  OS_CLIENT_CONFIG_FILE={yaml} openstack --os-cloud sandbox server list\n\
         Faults:   curl -H \"Authorization: Bearer $(cat {token})\" {url}/faults"
    );
    let json = json!({
        "url": url, "clouds_yaml": clouds_yaml, "cloud": "sandbox", "fault_token": fault_token,
    });
    Answer::new(text, json)
}

fn all_faults() -> Answer {
    let columns = [Column::Text("FAULT"), Column::Text("STRENGTH"), Column::Text("MEANING")];
    let line = |fault: &Fault| {
        let takes = match fault.unit() {
            Unit::Share => "percent",
            Unit::Span(..) => "time, percent",
            Unit::Amount => "number",
        };
        let cells = [fault.word(), takes, fault.meaning()].map(str::to_owned);
        Line { style: PLAIN, cells: cells.to_vec() }
    };
    let lines: Vec<Line> = Fault::ALL.iter().map(line).collect();
    let head = paint(BOLD, "What the embedded cloud can be made to do wrong");
    let each = Fault::ALL.iter().map(
        |fault| json!({ "name": fault.word(), "meaning": fault.meaning(), "takes": fault.form() }),
    );
    let json = json!({ "faults": each.collect::<Vec<_>>() });
    Answer::new(format!("{head}\n\n{}", table(&columns, &lines)), json)
}
