//! The same server without store and without parsing: it reads the body and says 202.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;

/// Tells the child what it is, and where to write its address.
const PLACE: &str = "NOVASCALE_BENCH_BARE";

/// A process of its own, as novascale has one.
pub struct Server {
    child: Child,
    place: tempfile::TempPath,
}

impl Server {
    pub fn start() -> Self {
        let place = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let child = Command::new(std::env::current_exe().unwrap())
            .env(PLACE, &place)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        crate::harness::until("the bare server to listen", || {
            let text = std::fs::read_to_string(&place).map_err(|error| error.to_string())?;
            text.parse::<SocketAddr>().map(|_| ()).map_err(|error| error.to_string())
        });
        Self { child, place }
    }

    pub fn address(&self) -> SocketAddr {
        std::fs::read_to_string(&self.place).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Serves for ever, if this process is the child.
pub fn serve_if_asked() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        std::fs::write(place, listener.local_addr().unwrap().to_string()).unwrap();
        let take = |body: Bytes| async move {
            let told = format!("{{\"taken\":{}}}", body.len());
            (StatusCode::ACCEPTED, told)
        };
        axum::serve(listener, Router::new().fallback(any(take))).await.unwrap();
    });
}
