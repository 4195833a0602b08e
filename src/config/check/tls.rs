//! How a cloud's certificates are verified.

use std::path::Path;

use super::super::cloud::{Interface, Tls};
use super::super::options::Origin;
use super::auth::Taker;

/// `insecure`, or `verify = false` as clouds.yaml has it, beats `cacert`.
/// Source: openstacksdk `openstack/config/cloud_region.py`, `get_requests_verify_args`.
pub(super) fn check(taker: &mut Taker<'_>) -> Tls {
    let verify = flag(taker, "verify").unwrap_or(true);
    let insecure = flag(taker, "insecure").unwrap_or(false) || !verify;
    if insecure {
        let name = if verify { "insecure" } else { "verify" };
        let why = "turns the verification of certificates off: \
                   whoever sits between here and the cloud can take the secrets";
        let fault = taker.options.warn(name, why, taker.sink);
        fault.hint("name the authority's certificate with cacert instead");
    } else {
        taker.view.show("insecure", false, "default");
    }
    for name in ["cert", "key"] {
        if taker.options.get(name).is_some() {
            let why = "asks for a client certificate, which novascale cannot present";
            taker.options.fault(name, why, taker.sink);
        }
    }
    let cacert = taker.text("cacert").filter(|_| !insecure).map(|text| {
        let written = taker.options.get("cacert").map(|given| &given.origin);
        let base = match written {
            Some(Origin::Written(_)) => taker.around.base,
            Some(Origin::Preset(_) | Origin::Clouds(_) | Origin::Variable(_)) | None => {
                taker.around.env.cwd()
            }
        };
        taker.around.env.path(&text, base)
    });
    if let Some(path) = &cacert
        && let Err(why) = certificates(path)
    {
        taker.options.fault("cacert", &why, taker.sink);
    }
    Tls { cacert, insecure }
}

/// Whether the file holds what the client will look for in it.
pub(super) fn certificates(path: &Path) -> Result<(), String> {
    let text = std::fs::read(path);
    let text = text.map_err(|error| format!("cannot be read: {}: {error}", path.display()))?;
    let mark = b"-----BEGIN CERTIFICATE-----";
    if text.windows(mark.len()).any(|window| window == mark) {
        return Ok(());
    }
    Err(format!("holds no certificate in PEM: {}", path.display()))
}

/// Both YAML's and people's words for yes and no.
fn flag(taker: &mut Taker<'_>, name: &str) -> Option<bool> {
    let text = taker.text(name)?;
    let origin = taker.options.get(name).map(|given| given.origin.describe()).unwrap_or_default();
    let value = match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => true,
        "false" | "no" | "off" | "0" => false,
        _ => {
            taker.options.fault(name, "is neither true nor false", taker.sink);
            return None;
        }
    };
    taker.view.show(name, value, origin);
    Some(value)
}

/// `publicURL` is the old name of `public`, and so on.
pub(super) fn interface(taker: &mut Taker<'_>) -> Interface {
    let Some(text) = taker.text("interface") else {
        taker.view.show("interface", "public", "default");
        return Interface::Public;
    };
    match text.strip_suffix("URL").unwrap_or(&text) {
        "public" => Interface::Public,
        "internal" => Interface::Internal,
        "admin" => Interface::Admin,
        _ => {
            let why = format!("is \"{text}\"");
            let fault = taker.options.fault("interface", &why, taker.sink);
            fault.hint("it is \"public\", \"internal\" or \"admin\"");
            Interface::Public
        }
    }
}
