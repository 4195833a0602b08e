//! Where novascale listens, and what senders may use up.

use std::net::SocketAddr;

use super::super::fault::Sink;
use super::super::file::{HttpLimitsText, HttpText, TlsText};
use super::super::http::{HttpLimits, HttpSettings, TlsFiles};
use super::super::read::At;
use super::range::{self, SECOND};
use super::{Around, is_path};

/// Signals and commands are small; more in one body is a mistake or an attack.
const BODY_MOST: u32 = 16 * 1024 * 1024;

pub(super) fn check(text: &At<HttpText>, around: Around<'_>, sink: &mut Sink) -> HttpSettings {
    let default = HttpSettings::default();
    let webhook = address(text.webhook.as_ref(), default.webhook, sink);
    let admin = address(text.admin.as_ref(), default.admin, sink);
    let behind_proxy = text.behind_proxy.as_ref().is_some_and(|b| b.value);
    let tls = text.tls.as_ref().and_then(|at| self::tls(at, around, sink));
    let listeners = [(&text.webhook, webhook, text.tls.is_some()), (&text.admin, admin, false)];
    for (at, address, secured) in listeners {
        if let Some(at) = at
            && !address.ip().is_loopback()
            && !behind_proxy
            && !secured
        {
            let key = &at.spot.key;
            let reason = format!("`{key}` would take plain http from other machines");
            let hint = "let a proxy end TLS in front and set behind_proxy = true in [http], \
                        listen on 127.0.0.1, or for senders give [http.tls] a certificate";
            sink.fault(&at.spot, reason).hint(hint);
        }
    }
    if webhook == admin && webhook.port() != 0 {
        let spot = text.admin.as_ref().or(text.webhook.as_ref()).map_or(&text.spot, |at| &at.spot);
        let reason = format!("`http.webhook` and `http.admin` are both {webhook}");
        sink.fault(spot, reason).hint("give each a port of its own");
    }
    let limits = text.limits.as_ref();
    let limits = limits.map_or_else(|| default.limits, |limits| check_limits(limits, sink));
    HttpSettings { webhook, admin, behind_proxy, tls, limits }
}

/// The files; what they hold is judged where it is used.
fn tls(text: &At<TlsText>, around: Around<'_>, sink: &mut Sink) -> Option<TlsFiles> {
    let mut path = |at: Option<&At<String>>| {
        let at = at.filter(|at| is_path(at, sink))?;
        let path = around.env.path(at, around.base);
        if let Err(error) = std::fs::File::open(&path) {
            let reason = format!("`{}` cannot be read: {}: {error}", at.spot.key, path.display());
            // The daemon may run as another user.
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                sink.warn(&at.spot, reason);
            } else {
                sink.fault(&at.spot, reason);
            }
        }
        Some(path)
    };
    let (certificate, key) = (path(text.certificate.as_ref()), path(text.key.as_ref()));
    let client_ca = path(text.client_ca.as_ref());
    for (name, there) in [("certificate", text.certificate.is_some()), ("key", text.key.is_some())]
    {
        if !there {
            sink.missing(&text.spot, name).hint("a file in PEM");
        }
    }
    Some(TlsFiles { certificate: certificate?, key: key?, client_ca })
}

fn address(at: Option<&At<String>>, default: SocketAddr, sink: &mut Sink) -> SocketAddr {
    let Some(at) = at else { return default };
    at.value.parse().unwrap_or_else(|_| {
        let reason = format!("`{}` is not an address to listen on", at.spot.key);
        sink.fault(&at.spot, reason)
            .hint(format!("write an IP address and a port, as \"{default}\""));
        default
    })
}

fn check_limits(text: &HttpLimitsText, sink: &mut Sink) -> HttpLimits {
    let mut limits = HttpLimits::default();
    for (at, rate, most) in [
        (&text.signals_per_second, &mut limits.signals_per_second, 1_000_000),
        (&text.signals_burst, &mut limits.signals_burst, 1_000_000),
        (&text.commands_per_second, &mut limits.commands_per_second, 10_000),
        (&text.failed_sign_ins_per_second, &mut limits.failed_sign_ins_per_second, 1000),
        (&text.failed_sign_ins_burst, &mut limits.failed_sign_ins_burst, 1000),
    ] {
        *rate = range::number(at.as_ref(), *rate, 1..=most, sink);
    }
    for (at, size, within) in [
        (&text.body_bytes, &mut limits.body_bytes, 256..=BODY_MOST),
        (&text.in_flight, &mut limits.in_flight, 1..=65_536),
        (&text.connections, &mut limits.connections, 1..=65_536),
        (&text.connections_per_address, &mut limits.connections_per_address, 1..=65_536),
    ] {
        let default = u32::try_from(*size).unwrap_or(u32::MAX);
        *size = range::number(at.as_ref(), default, within, sink) as usize;
    }
    for (at, timeout, most) in [
        (&text.header_timeout, &mut limits.header_timeout, 60 * SECOND),
        (&text.idle_timeout, &mut limits.idle_timeout, 600 * SECOND),
        (&text.request_timeout, &mut limits.request_timeout, 300 * SECOND),
    ] {
        *timeout = range::span(at.as_ref(), *timeout, SECOND..=most, sink);
    }
    if let Some(at) = &text.signals_burst
        && limits.signals_burst < limits.signals_per_second
    {
        let reason = "`http.limits.signals_burst` is below `http.limits.signals_per_second`";
        sink.fault(&at.spot, reason);
    }
    limits
}
