//! What a file means: defaults, ranges, names, and what fits together.
//!
//! Every part is judged even where another was refused, so that all faults come at once; a
//! refused value is replaced by its default only to let its neighbours be judged. Whoever calls
//! looks into the [`Sink`] before anything of it is used.

use std::path::Path;

use super::cloud::Cloud;
use super::env::Env;
use super::fault::{Sink, Spot};
use super::file::{CloudText, ControllerText, File, HttpText};
use super::paths;
use super::read::At;
use super::view::CloudView;
use super::{Config, Controller};
use crate::domain::id::InstallId;

mod auth;
mod behaviour;
mod cloud;
mod endpoint;
mod group;
mod http;
mod policy;
mod pull;
mod range;
mod schedule;
mod secrets;
mod source;
mod step;
mod template;
mod tls;

/// What the judgement rests on besides the file.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) env: &'a Env,
    /// The file's directory: relative paths in it start here.
    pub(super) base: &'a Path,
}

/// The whole file's meaning; none if there is no telling which cloud is meant.
pub(super) fn check(
    file: At<File>,
    around: Around<'_>,
    sink: &mut Sink,
) -> Option<(Config, CloudView)> {
    let At { value: file, spot: root } = file;
    let controller = file.controller.map_or_else(ControllerText::empty, |c| c.value);
    let controller = self::controller(&controller, around, sink);
    let http = file.http.unwrap_or_else(|| absent(HttpText::empty(), "http"));
    let http = http::check(&http, around, sink);
    let cloud = file.cloud.unwrap_or_else(|| absent(CloudText::empty(), "cloud"));
    let cloud = cloud::check(&cloud, around, sink);
    let call_timeout = cloud.call_timeout;
    let groups = file.group.map(|g| g.value.0).unwrap_or_default();
    if groups.is_empty() {
        let fault = sink.warn(&root, "no group is configured, so there is nothing to do");
        fault.hint("add a section [group.NAME]");
    }
    let region_keys = group::region_keys(&groups, cloud.region.as_ref());
    let setting = group::Setting { around, region: cloud.region, call_timeout };
    let groups = group::check(&groups, &setting, sink);
    let sources = file.source.map(|s| s.value.0).unwrap_or_default();
    let client_ca = http.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let setting = source::Setting { around, groups: &groups, client_ca };
    let sources = source::check(&sources, &setting, sink);
    let pulls = file.signal.map(|s| s.value.0).unwrap_or_default();
    let pulls = pull::check(&pulls, &setting, sink);
    let (mut cloud, view) = cloud.cloud?;
    match &mut cloud {
        Cloud::Sandbox(settings) => settings.region_keys = region_keys,
        Cloud::OpenStack(settings) => settings.region_keys = region_keys,
    }
    Some((Config { controller, cloud, http, sources, pulls, groups }, view))
}

fn controller(text: &ControllerText, around: Around<'_>, sink: &mut Sink) -> Controller {
    let written = text.state_dir.as_ref().filter(|at| is_path(at, sink));
    let written = written.map(|dir| around.env.path(dir, around.base));
    let state_dir = paths::state_root(written.as_deref(), around.base, around.env);
    if let (Some(at), Some(written)) = (&text.state_dir, written)
        && written != state_dir
    {
        let dir = state_dir.display();
        let reason = format!("`controller.state_dir` does not count: $STATE_DIRECTORY is {dir}");
        sink.warn(&at.spot, reason);
    }
    let id = text.id.as_ref().and_then(|id| range::id::<InstallId>(id, sink));
    Controller { state_dir, id }
}

/// Refuses what no file can be called.
fn is_path(at: &At<String>, sink: &mut Sink) -> bool {
    let why = if at.value.trim().is_empty() {
        "is empty"
    } else if at.value.contains('\0') {
        "holds a NUL, which no path can"
    } else {
        return true;
    };
    sink.fault(&at.spot, format!("`{}` {why}", at.spot.key)).hint("write a path");
    false
}

/// A section that the file does not have.
fn absent<T>(value: T, key: &str) -> At<T> {
    At { value, spot: Spot { key: key.to_owned(), span: 0..0 } }
}

/// Refuses all but one of settings that exclude each other.
fn at_most_one(given: &[Option<&Spot>], sink: &mut Sink) {
    let given: Vec<&Spot> = given.iter().copied().flatten().collect();
    if let [first, others @ ..] = given.as_slice() {
        for other in others {
            let reason = format!("`{}` and `{}` exclude each other", first.key, other.key);
            sink.fault(other, reason).hint("keep one of them");
        }
    }
}
