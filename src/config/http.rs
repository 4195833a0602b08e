//! Where novascale listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Both listeners, and what they allow.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// Signals and commands, /healthz, /readyz.
    pub webhook: SocketAddr,
    /// The API, /metrics.
    pub admin: SocketAddr,
    /// Listening beyond loopback in plain http was allowed: TLS ends in front of us.
    pub behind_proxy: bool,
    /// The listener for senders speaks TLS with these.
    pub tls: Option<TlsFiles>,
    pub limits: HttpLimits,
}

impl Default for HttpSettings {
    /// Loopback only, on ports that nothing common listens on.
    fn default() -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let limits = HttpLimits::default();
        Self { webhook: at(7780), admin: at(7781), behind_proxy: false, tls: None, limits }
    }
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Ours, with those between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates of clients count; none, and no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// What one sender, or all of them, may use up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HttpLimits {
    pub body_bytes: usize,
    pub header_timeout: Duration,
    /// How long a connection is kept for its next request.
    pub idle_timeout: Duration,
    pub request_timeout: Duration,
    /// Samples and signals requests per second of one sender, and the burst.
    pub signals_per_second: u32,
    pub signals_burst: u32,
    pub commands_per_second: u32,
    pub failed_sign_ins_per_second: u32,
    pub failed_sign_ins_burst: u32,
    pub in_flight: usize,
    pub connections: usize,
    pub connections_per_address: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            request_timeout: Duration::from_secs(10),
            signals_per_second: 1000,
            signals_burst: 2000,
            commands_per_second: 10,
            failed_sign_ins_per_second: 1,
            failed_sign_ins_burst: 10,
            in_flight: 128,
            connections: 1024,
            connections_per_address: 32,
        }
    }
}
