//! Looks whether a secret can be had, so that a wrong path shows now and not at the first sign-in.
//! What was read is dropped at once.

use super::super::fault::{Sink, Spot};
use super::super::file::SecretText;
use super::super::options::Options;
use super::super::read::At;
use super::super::secret::Secret;
use super::{Around, at_most_one};

/// Where a secret is, by what was written.
pub(super) fn secret(at: &At<SecretText>, around: Around<'_>, sink: &mut Sink) -> Option<Secret> {
    let table = &at.value.0;
    let given = [&table.file, &table.env, &table.credential];
    at_most_one(&given.map(|at| at.as_ref().map(|at| &at.spot)), sink);
    if let Some(named) = table.file.as_ref().or(table.env.as_ref())
        && named.trim().is_empty()
    {
        sink.fault(&named.spot, format!("`{}` is empty", named.spot.key));
        return None;
    }
    if let Some(file) = &table.file {
        return Some(Secret::File(around.env.path(file, around.base)));
    }
    if let Some(env) = &table.env {
        return Some(Secret::Env(env.value.clone()));
    }
    let Some(credential) = &table.credential else {
        let fault = sink.fault(&at.spot, format!("`{}` says no place", at.spot.key));
        fault.for_want().hint("write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }");
        return None;
    };
    if credential.contains('/') || credential.starts_with('.') || credential.is_empty() {
        let reason = format!("`{}` is not a credential's name", credential.spot.key);
        sink.fault(&credential.spot, reason).hint("it is the name given to LoadCredential=");
        return None;
    }
    Some(Secret::Credential(credential.value.clone()))
}

/// What no sign-in can succeed with is refused. A place that this user may not look into is only
/// pointed at: the daemon may run as another.
pub(super) fn judge(
    options: &Options,
    name: &str,
    secret: &Secret,
    around: Around<'_>,
    sink: &mut Sink,
) {
    let env = around.env.secrets();
    if let Err(error) = secret.read(&env) {
        let why = format!("cannot be had: {}", error.whole());
        if error.may_pass() {
            options.warn(name, &why, sink).hint("the daemon must be able to read it");
        } else {
            options.fault(name, &why, sink);
        }
    }
    // systemd hands credentials out readable by the unit alone.
    if let (Secret::File(_), Some(path)) = (secret, secret.file(&env))
        && readable_by_others(&path)
    {
        let why = format!("lies in {}, which others than its owner can read", path.display());
        let hint = format!("chmod 600 {}", path.display());
        options.warn(name, &why, sink).hint(hint);
    }
}

/// The same for a setting that is written in the file and nowhere else.
pub(super) fn judge_at(spot: &Spot, secret: &Secret, around: Around<'_>, sink: &mut Sink) {
    let env = around.env.secrets();
    if let Err(error) = secret.read(&env) {
        let reason = format!("`{}` cannot be had: {}", spot.key, error.whole());
        if error.may_pass() {
            sink.warn(spot, reason).hint("the daemon must be able to read it");
        } else {
            sink.fault(spot, reason);
        }
    }
    if let (Secret::File(_), Some(path)) = (secret, secret.file(&env))
        && readable_by_others(&path)
    {
        let path = path.display();
        let reason = format!("`{}` lies in {path}, which others than its owner can read", spot.key);
        sink.warn(spot, reason).hint(format!("chmod 600 {path}"));
    }
}

#[cfg(unix)]
fn readable_by_others(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let open = |meta: std::fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o044 != 0;
    std::fs::metadata(path).is_ok_and(open)
}

#[cfg(not(unix))]
fn readable_by_others(_: &std::path::Path) -> bool {
    false
}
