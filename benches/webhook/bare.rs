//! The same server without store and without parsing: the same listener, limits, sign-in and reading
//! of the body, and then it says 202.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use novascale::clock::System;
use novascale::config::HttpSettings;
use novascale::config::http::HttpLimits;
use novascale::control::handle::Handle;
use novascale::domain::freeze::NoBrake;
use novascale::domain::id::InstallId;
use novascale::domain::time::{Clock, Steady};
use novascale::http::reload::{Desk, Standing};
use novascale::http::tokens::{Scope, Tokens, token_file};
use novascale::http::{App, Parts, bare, serve};
use novascale::store::freeze_file::FreezeFile;
use novascale::store::memory::Memory;
use novascale::telemetry::Counters;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Tells the child what it is, and where its files lie.
const PLACE: &str = "NOVASCALE_BENCH_BARE";

/// A process of its own, as novascale has one.
pub struct Server {
    child: Child,
    place: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .env(PLACE, place.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        crate::harness::until("the bare server to listen", || {
            let text = std::fs::read_to_string(address(place.path()));
            let text = text.map_err(|error| error.to_string())?;
            text.parse::<SocketAddr>().map(|_| ()).map_err(|error| error.to_string())
        });
        Self { child, place }
    }

    pub fn address(&self) -> SocketAddr {
        std::fs::read_to_string(address(self.place.path())).unwrap().parse().unwrap()
    }

    pub fn token_file(&self) -> PathBuf {
        token_file(self.place.path(), Scope::Signal)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn address(place: &Path) -> PathBuf {
    place.join("address")
}

/// Serves for ever, if this process is the child.
pub fn serve_if_asked() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (limits, counters) = (super::limits(), Counters::default());
        let app = app(&place, limits, counters.clone());
        // It is there once all the rest is.
        let beside = place.join("address.new");
        std::fs::write(&beside, listener.local_addr().unwrap().to_string()).unwrap();
        std::fs::rename(beside, address(&place)).unwrap();
        let router = bare(&app, post(async || (StatusCode::ACCEPTED, "{\"taken\":true}")));
        serve(listener, (router, None), limits, counters, CancellationToken::new()).await;
    });
}

/// Without groups, and with a store that nobody asks.
fn app(place: &Path, limits: HttpLimits, counters: Counters) -> App {
    let store = Memory::new(InstallId::from_bits(1));
    let clock: Arc<dyn Clock> = Arc::new(System::new(Steady(0)));
    let (ask, standing) = (mpsc::channel(1).0, Standing::taken(clock.now().wall));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    App::new(Parts {
        handle: watch::channel(Handle::new(Vec::new(), Vec::new())).1,
        reload: Desk { ask, standing: watch::channel(standing).1 },
        lease: store.acquire("the benchmark"),
        store: Arc::new(store),
        clock,
        settings: HttpSettings {
            webhook: nowhere,
            admin: nowhere,
            behind_proxy: false,
            tls: None,
            limits,
        },
        overdue: Duration::from_secs(180),
        tokens: Tokens::open(place).unwrap(),
        sources: watch::channel(Arc::default()).1,
        brake: Arc::new(NoBrake),
        freeze_file: FreezeFile::of(place),
        counters,
        calls: Box::new(Vec::new),
        breakers: Box::new(Vec::new),
    })
}
