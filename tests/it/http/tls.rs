//! TLS on the listener for senders, over real connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use novascale::config::http::{HttpLimits, TlsFiles};
use novascale::http::tls::Certificates;
use reqwest::{Certificate, Client, Identity};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::face::Face;
use super::sources::{alerts, section};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/tls", name].iter().collect()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

struct House {
    face: Face,
    certificates: Certificates,
    port: u16,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    files: TempDir,
}

async fn open(limits: HttpLimits) -> House {
    let files = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| std::fs::copy(data(from), files.path().join(to)).unwrap();
    put("localhost.pem", "certificate.pem");
    put("server.key", "key.pem");
    let certificates = Certificates::open(TlsFiles {
        certificate: files.path().join("certificate.pem"),
        key: files.path().join("key.pem"),
        client_ca: Some(data("client-ca.pem")),
    })
    .unwrap();
    let face = Face::with(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let router = (face.webhook.clone(), Some(certificates.current()));
    let counters = face.counters.clone();
    let serving =
        tokio::spawn(novascale::http::serve(listener, router, limits, counters, stop.clone()));
    House { face, certificates, port, stop, serving, files }
}

/// Somebody who believes our authority, and shows this certificate.
fn client(certificate: Option<&str>) -> Client {
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&read("ca.pem")).unwrap()])
        .resolve("elsewhere.test", ([127, 0, 0, 1], 0).into());
    let client = match certificate {
        None => client,
        Some(name) => {
            let pem = [read(name), read("client.key")].concat();
            client.identity(Identity::from_pem(&pem).unwrap())
        }
    };
    client.build().unwrap()
}

impl House {
    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

#[tokio::test]
async fn a_certificate_shows_who_sends() {
    let house = open(HttpLimits::default()).await;
    let section = section("alertmanager")
        .replace("bearer = { env = \"TOKEN\" }", "certificate = \"monitor.test\"");
    house.face.speaks(&section, &[]);
    let body = r#"{"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "A"},
        "startsAt": "2026-11-23T11:58:00Z", "fingerprint": "f"}]}"#;
    let send = |certificate: Option<&'static str>| {
        let request = client(certificate).post(house.url("/v1/webhooks/s")).body(body);
        async move { request.send().await.map(|answer| answer.status().as_u16()) }
    };
    assert_eq!(send(Some("client-other.pem")).await.unwrap(), 401, "of another name");
    assert_eq!(send(None).await.unwrap(), 401, "of none");
    assert!(send(Some("client-foreign.pem")).await.is_err(), "of an authority that is not ours");
    assert!(alerts(&house.face, "web").await.is_empty());
    assert_eq!(send(Some("client.pem")).await.unwrap(), 202);
    assert_eq!(alerts(&house.face, "web").await.len(), 1);
    house.stop.cancel();
    house.serving.await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_counts_without_a_restart_and_a_broken_one_never() {
    let mut house = open(HttpLimits::default()).await;
    let path = house.files.path().join("certificate.pem");
    let healthy = |host: &str| {
        let request = client(None).get(format!("https://{host}:{}/healthz", house.port));
        async move { request.send().await.is_ok_and(|answer| answer.status() == 200) }
    };
    assert!(healthy("localhost").await && !healthy("elsewhere.test").await);
    let broken: [&dyn Fn(&Path); 3] = [
        &|path| std::fs::write(path, "no certificate").unwrap(),
        &|path| assert_ne!(std::fs::copy(data("client.pem"), path).unwrap(), 0),
        &|path| std::fs::remove_file(path).unwrap(),
    ];
    for break_it in broken {
        break_it(&path);
        house.certificates.look();
        assert!(healthy("localhost").await, "the one before goes on serving");
    }
    std::fs::copy(data("elsewhere.test.pem"), &path).unwrap();
    house.certificates.look();
    assert!(!healthy("localhost").await && healthy("elsewhere.test").await);
}

#[tokio::test]
async fn whoever_begins_no_handshake_is_not_waited_for() {
    let soon = Duration::from_millis(200);
    let house = open(HttpLimits { header_timeout: soon, ..HttpLimits::default() }).await;
    let silent = TcpStream::connect(("127.0.0.1", house.port)).await.unwrap();
    let mut byte = [0];
    let ended = async {
        loop {
            silent.readable().await.unwrap();
            match silent.try_read(&mut byte) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it is cut off");
}

#[tokio::test]
async fn plain_http_is_no_way_in() {
    let house = open(HttpLimits::default()).await;
    let plain = format!("http://127.0.0.1:{}/healthz", house.port);
    assert!(Client::new().get(plain).send().await.is_err());
}
