//! The network: reqwest with our manners.
//!
//! TLS is verified against the system's certificates, the `cacert` file and, where the
//! system has none, Mozilla's. Redirects are never followed here: reqwest would send
//! `X-Auth-Token` to the new host. Nothing is repeated, not even what HTTP/2 declares safe.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};

use super::{BODY_MOST, Request, Response, Transport, TransportError, timed_out, too_long};
use crate::config::cloud::Tls;
use crate::config::host::{link_local, loopback};

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections are dropped before the other side does so: Apache keeps them for 5 s
/// (`KeepAliveTimeout`), and a POST on one that just closed is a create nobody knows about.
const IDLE: Duration = Duration::from_secs(4);

/// HTTP over the network.
#[derive(Clone)]
pub struct Http {
    /// Proxies from the environment apply.
    outside: Client,
    /// This machine, never through a proxy.
    inside: Client,
    /// The most that is read of one answer.
    most: usize,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot read the certificates of `cacert`, {path}")]
    CaCert { path: String, source: std::io::Error },
    #[error("`cacert`, {path}, holds no PEM certificate that can be read")]
    CaCertFormat { path: String, source: Option<reqwest::Error> },
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

impl Http {
    /// Reads `cacert` and builds the client. `insecure` is warned of.
    pub fn new(tls: &Tls) -> Result<Self, HttpError> {
        let extra = extra_roots(tls)?;
        if tls.insecure {
            tracing::warn!(
                "cloud.insecure = true: certificates are NOT verified; anybody on the way can \
                 read the client secret and act on the project. Use cloud.cacert instead."
            );
        }
        let roots = Roots::choose(extra);
        let outside = roots.client(tls, |b| b)?;
        let inside = roots.client(tls, ClientBuilder::no_proxy)?;
        Ok(Self { outside, inside, most: BODY_MOST })
    }

    /// The same, for shorter answers.
    #[must_use]
    pub fn at_most(self, bytes: usize) -> Self {
        Self { most: bytes, ..self }
    }
}

fn extra_roots(tls: &Tls) -> Result<Vec<Certificate>, HttpError> {
    let Some(file) = &tls.cacert else { return Ok(Vec::new()) };
    let path = file.display().to_string();
    let pem =
        std::fs::read(file).map_err(|source| HttpError::CaCert { path: path.clone(), source })?;
    let roots = Certificate::from_pem_bundle(&pem)
        .map_err(|source| HttpError::CaCertFormat { path: path.clone(), source: Some(source) })?;
    if roots.is_empty() {
        return Err(HttpError::CaCertFormat { path, source: None });
    }
    Ok(roots)
}

/// Which certificates are trusted.
enum Roots {
    /// The system's, and these.
    System(Vec<Certificate>),
    /// These alone, Mozilla's among them.
    Own(Vec<Certificate>),
}

impl Roots {
    /// Where the system has no certificates (a slim container image) a client that asks
    /// for them cannot be built; Mozilla's take their place.
    fn choose(extra: Vec<Certificate>) -> Self {
        if Client::builder().build().is_ok() {
            return Self::System(extra);
        }
        tracing::info!("the system has no CA certificates: Mozilla's are used");
        let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let mozilla = mozilla.filter_map(|der| Certificate::from_der(der).ok());
        Self::Own(extra.into_iter().chain(mozilla).collect())
    }

    fn client(
        &self,
        tls: &Tls,
        own: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, HttpError> {
        let builder = Client::builder()
            .user_agent(concat!("novascale/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(NoLinkLocal))
            .tls_danger_accept_invalid_certs(tls.insecure);
        let builder = match self {
            Self::System(extra) => builder.tls_certs_merge(extra.iter().cloned()),
            Self::Own(all) => builder.tls_certs_only(all.iter().cloned()),
        };
        own(builder).build().map_err(HttpError::Client)
    }
}

/// A name that leads to a link-local address leads nowhere: what `guard` refuses by
/// number must not be had by name.
struct NoLinkLocal;

impl Resolve for NoLinkLocal {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| !link_local(a.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{} leads to link-local addresses only", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let client = if loopback(&request.url) { &self.inside } else { &self.outside };
        let limit = request.timeout;
        let mut sent = client.request(request.method, request.url).headers(request.headers);
        sent = sent.timeout(limit);
        if !request.body.is_empty() {
            sent = sent.body(request.body);
        }
        let mut answer = sent.send().await.map_err(|e| failure(&e, limit))?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| failure(&e, limit))? {
            if body.len() + chunk.len() > self.most {
                return Err(too_long(self.most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body })
    }
}

fn failure(error: &reqwest::Error, limit: Duration) -> TransportError {
    if error.is_connect() {
        return TransportError::Unreached(causes(error));
    }
    if error.is_timeout() {
        return timed_out(limit);
    }
    if error.is_builder() {
        return TransportError::Unreached(causes(error));
    }
    TransportError::Unclear(causes(error))
}

/// The innermost causes, which say more than reqwest's own words; those would repeat the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(e) = cause {
        let text = e.to_string();
        if said.iter().all(|s| !s.contains(&text)) {
            said.push(text);
        }
        cause = e.source();
    }
    if said.is_empty() { "the request failed".to_owned() } else { said.join(": ") }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use reqwest::Method;
    use reqwest::header::{CONTENT_LENGTH, HeaderValue};
    use url::Url;

    use super::*;

    /// Answers one connection with these bytes, and gives back what it was sent.
    fn once(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
                let n = stream.read(&mut buffer).unwrap();
                asked.extend_from_slice(&buffer[..n]);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(asked).unwrap()
        };
        (port, std::thread::spawn(serve))
    }

    async fn send(port: u16, method: Method) -> Result<Response, TransportError> {
        let url = Url::parse(&format!("http://127.0.0.1:{port}/v3")).unwrap();
        let request = Request::new(method, url, Duration::from_secs(5))
            .header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Http::new(&Tls::default()).unwrap().send(request).await
    }

    #[tokio::test]
    async fn an_empty_post_says_its_length_and_who_asks() {
        let (port, served) = once(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(send(port, Method::POST).await.unwrap().status, 204);
        let asked = served.join().unwrap().to_ascii_lowercase();
        assert!(asked.contains("\r\ncontent-length: 0\r\n"), "{asked}");
        assert!(asked.contains("\r\nuser-agent: novascale/"), "{asked}");
        assert!(!asked.contains("accept-language"), "{asked}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let (port, served) = once(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        );
        assert_eq!(send(port, Method::GET).await.unwrap().status, 302);
        served.join().unwrap();
    }

    #[tokio::test]
    async fn a_refused_connection_was_never_reached_and_a_torn_answer_is_unclear() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(matches!(send(port, Method::POST).await, Err(TransportError::Unreached(_))));

        let (port, served) = once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"server");
        assert!(matches!(send(port, Method::POST).await, Err(TransportError::Unclear(_))));
        served.join().unwrap();
        let (port, served) = once(b"");
        assert!(matches!(send(port, Method::POST).await, Err(TransportError::Unclear(_))));
        served.join().unwrap();
    }

    #[test]
    fn a_cacert_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let tls = Tls { cacert: Some(file.clone()), insecure: false };
        assert!(matches!(Http::new(&tls), Err(HttpError::CaCert { .. })));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(matches!(Http::new(&tls), Err(HttpError::CaCertFormat { .. })));
    }
}
