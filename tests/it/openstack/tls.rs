//! Whom we believe: over real connections, for the judgement is the TLS library's.

use std::path::PathBuf;
use std::sync::Arc;

use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::Http;
use novascale::config::cloud::{Auth, CloudSettings, Domain, Password, Project, Tls, User};
use novascale::domain::outcome::{Failure, FailureKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::script::{Paused, given, settings};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/tls", name].iter().collect()
}

/// A Keystone that knows no page, behind this certificate; its port on `localhost`.
async fn keystone(certificate: &str) -> u16 {
    let chain = CertificateDer::pem_file_iter(data(certificate)).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(data("server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever does not believe us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut asked = Vec::new();
            while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
                if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let answer =
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _client_may_be_gone = stream.write_all(answer).await;
        }
    });
    port
}

async fn sign_in(certificate: &str, tls: Tls) -> Failure {
    let port = keystone(certificate).await;
    let auth = Auth::Password(Password {
        auth_url: format!("https://localhost:{port}/v3"),
        user: User::Name { name: "u".into(), domain: Domain::Name("Default".into()) },
        password: given("password"),
        project: Project::Id("p".into()),
    });
    let http = Http::new(&tls).unwrap();
    let settings = CloudSettings { tls, ..settings(auth) };
    let client = OpenStack::new(settings, Arc::new(http), Paused::new());
    client.sign_in().await.expect_err("nobody signs in here")
}

fn trusting(file: &str) -> Tls {
    Tls { cacert: Some(data(file)), insecure: false }
}

const INSECURE: Tls = Tls { cacert: None, insecure: true };

#[tokio::test]
async fn a_certificate_of_nobody_known_is_refused_and_the_remedy_named() {
    let failure = sign_in("localhost.pem", Tls::default()).await;
    assert_eq!(failure.kind, FailureKind::Unreached, "{failure}");
    assert!(failure.message.contains("https://localhost:"), "{failure}");
    let hint = failure.hint.unwrap();
    assert!(hint.contains("cloud.cacert") && hint.contains("cloud.insecure"), "{hint}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_whoever_issued_it() {
    let failure = sign_in("elsewhere.test.pem", trusting("ca.pem")).await;
    assert_eq!(failure.kind, FailureKind::Unreached, "{failure}");
    assert!(failure.hint.unwrap().contains("another host's"));
}

#[tokio::test]
async fn an_authority_that_is_named_is_believed_and_so_is_anybody_without_verification() {
    for (certificate, tls) in [
        ("localhost.pem", trusting("ca.pem")),
        ("localhost.pem", INSECURE),
        ("elsewhere.test.pem", INSECURE),
    ] {
        let failure = sign_in(certificate, tls.clone()).await;
        assert_eq!(failure.status, Some(404), "{certificate} {tls:?}: {failure}");
    }
}
