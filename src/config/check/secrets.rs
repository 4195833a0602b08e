//! Looks whether a secret can be had, so that a wrong path shows now and not at the first sign-in.
//! What was read is dropped at once.

use super::super::fault::Sink;
use super::super::options::Options;
use super::super::secret::{Secret, SecretError};
use super::Around;

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
        let why = format!("cannot be had: {}", chain(&error));
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

fn chain(error: &SecretError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
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
