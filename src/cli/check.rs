//! `novascale check`: reads the configuration as `run` would, and shows all its faults
//! at once. It calls nobody: names that only the cloud knows are tried by `run`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::exit::{Error, Exit};
use super::output::{Answer, BOLD, Column, Line, Output, PLAIN, paint, table};
use crate::config::view::{CloudView, SettingView};
use crate::config::{Config, Env, Faults, Loaded};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also show the cloud's settings as resolved from all their sources, without secrets
    #[arg(long)]
    pub show_cloud: bool,
}

pub(super) fn run(args: &Args, file: &Path, output: Output) -> Result<Exit, Error> {
    let loaded = match Config::load(file, &Env::from_process()) {
        Ok(loaded) => loaded,
        Err(faults) => {
            output.report(&faults.render(true));
            let json = json!({ "file": file, "valid": false, "faults": faults });
            return Ok(output.json_only(json, Exit::Config));
        }
    };
    let (text, json) = (text(args, file, &loaded), valid(args, file, &loaded));
    warn(&loaded, output);
    Ok(output.answer(&Answer::new(text, json)))
}

/// The configuration, or nothing once its faults were shown.
pub(super) fn load(file: &Path, env: &Env, output: Output) -> Option<Loaded> {
    shown(Config::load(file, env), output)
}

pub(super) fn shown(loaded: Result<Loaded, Faults>, output: Output) -> Option<Loaded> {
    match loaded {
        Ok(loaded) => {
            warn(&loaded, output);
            Some(loaded)
        }
        Err(faults) => {
            output.report(&faults.render(true));
            None
        }
    }
}

fn warn(loaded: &Loaded, output: Output) {
    for warning in &loaded.warnings {
        output.note(&warning.render(true));
    }
}

fn valid(args: &Args, file: &Path, loaded: &Loaded) -> Value {
    let groups = loaded.config.groups.iter().map(|group| {
        json!({
            "name": group.name, "tag": group.tag, "region": group.region,
            "min": group.bounds.min, "max": group.bounds.max,
        })
    });
    let mut json = json!({
        "file": file, "valid": true, "faults": [], "warnings": loaded.warnings,
        "groups": groups.collect::<Vec<_>>(),
    });
    if args.show_cloud {
        json["cloud"] = json!(loaded.cloud);
    }
    json
}

fn text(args: &Args, file: &Path, loaded: &Loaded) -> String {
    let groups = &loaded.config.groups;
    let mut text = format!("{} is valid.", file.display());
    if groups.is_empty() {
        text += " It has no groups.";
    } else {
        let columns = [
            Column::Text("GROUP"),
            Column::Number("MIN"),
            Column::Number("MAX"),
            Column::Text("REGION"),
            Column::Text("TAG"),
        ];
        let lines = groups.iter().map(|group| Line {
            style: PLAIN,
            cells: vec![
                group.name.to_string(),
                group.bounds.min.to_string(),
                group.bounds.max.to_string(),
                group.region.to_string(),
                group.tag.to_string(),
            ],
        });
        text += &format!("\n\n{}", table(&columns, &lines.collect::<Vec<_>>()));
    }
    if args.show_cloud {
        let CloudView { name, settings } = &loaded.cloud;
        text += &format!("\n\n{}\n{}", paint(BOLD, &format!("Cloud {name}")), cloud(settings));
    }
    text
}

fn cloud(settings: &BTreeMap<String, SettingView>) -> String {
    let columns = ["SETTING", "VALUE", "FROM"].map(Column::Text);
    let lines = settings.iter().map(|(name, setting)| {
        let value = setting.value.as_str().map(str::to_owned);
        let value = value.unwrap_or_else(|| setting.value.to_string());
        Line { style: PLAIN, cells: vec![name.clone(), value, setting.origin.clone()] }
    });
    table(&columns, &lines.collect::<Vec<_>>())
}
