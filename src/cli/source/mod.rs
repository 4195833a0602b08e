//! `novascale source`: senders that speak a format of their own. It reads the configuration and
//! asks nobody.

use std::path::Path;

use super::check;
use super::exit::{Error, Exit};
use super::output::Output;
use crate::config::source::Source;
use crate::config::{Config, Env};
use crate::domain::time::Wall;

mod curl;
mod paste;
pub mod trial;
pub mod url;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what a payload would become, and change nothing
    Test(trial::Args),
    /// Print the sender's configuration, ready to paste
    Url(url::Args),
}

pub(super) fn run(what: &Command, file: &Path, now: Wall, output: Output) -> Result<Exit, Error> {
    let Some(loaded) = check::load(file, &Env::from_process(), output) else {
        return Ok(Exit::Config);
    };
    let config = &loaded.config;
    let answer = match what {
        Command::Test(args) => trial::run(args, config, named(&args.name, config, file)?, now),
        Command::Url(args) => url::run(args, config, named(&args.name, config, file)?),
    };
    answer.map(|answer| output.answer(&answer))
}

fn named<'c>(name: &str, config: &'c Config, file: &Path) -> Result<&'c Source, Error> {
    let found = config.sources.iter().find(|source| source.name.as_str() == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
        let hint = match all.as_slice() {
            [] => "it has no [source.NAME] at all; docs/sources.md shows some".to_owned(),
            all => format!("its sources are {}", all.join(", ")),
        };
        Error::new(Exit::Failed, format!("{} has no source {name}", file.display())).hint(hint)
    })
}
