//! Answers that get lost on a real connection: what was asked was done, and nobody said so.
//! Over sockets, for what is tested is also the HTTP client's own opinion on asking again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::Http;
use novascale::cloud::sandbox::Sandbox;
use novascale::cloud::sandbox::config::{Credentials, SandboxConfig};
use novascale::cloud::{Compute, Create, Resolve, Wanted};
use novascale::config::cloud::{Auth, CloudSettings, Domain, Limits, Password, Project, Tls, User};
use novascale::domain::group::Template;
use novascale::domain::id::{InstallId, LaunchId, Region};
use novascale::domain::outcome::FailureKind;
use novascale::domain::time::{Clock, Now, Steady, Wall};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::samples::{create, template};
use super::script::{given, group, settings, tags};

/// Stands still: nothing here waits.
struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { wall: Wall::parse("2026-01-02T03:00:00Z").unwrap(), steady: Steady(1_000_000) }
    }
}

/// What a front end does with the answer to a create that was carried out.
#[derive(Clone, Copy, Debug)]
enum Loses {
    /// It closes the connection.
    All,
    /// It sends the head and a part of the body.
    Rest,
    /// It closes the connection before it has read the request; nothing is carried out.
    Request,
}

/// A front end before the embedded cloud that keeps connections open.
struct Front {
    cloud: Router,
    loses: Loses,
    /// Creates that came, and the connections they came on, with how many requests came
    /// on each before.
    creates: AtomicUsize,
    before: Mutex<Vec<usize>>,
}

impl Front {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(Arc::clone(&self).converse(stream));
        }
    }

    async fn converse(self: Arc<Self>, mut stream: TcpStream) {
        for nth in 0.. {
            let Some(request) = read(&mut stream).await else { return };
            let create = request.method() == "POST" && request.uri().path().ends_with("/servers");
            if create {
                self.creates.fetch_add(1, Ordering::SeqCst);
                self.before.lock().unwrap().push(nth);
                if matches!(self.loses, Loses::Request) {
                    return;
                }
            }
            let answer = self.cloud.clone().oneshot(request).await.unwrap();
            if create {
                assert_eq!(answer.status(), 202);
            }
            let bytes = bytes(answer).await;
            match self.loses {
                Loses::All if create => return,
                Loses::Rest if create => {
                    stream.write_all(&bytes[..bytes.len() - 9]).await.unwrap();
                    return;
                }
                Loses::All | Loses::Rest | Loses::Request => {
                    stream.write_all(&bytes).await.unwrap();
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request<Body>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let mut request = Request::builder().method(first.next()?).uri(first.next()?);
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
        request = request.header(name, value);
    }
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok()?;
    }
    Some(request.body(Body::from(body)).unwrap())
}

async fn bytes(answer: Response<Body>) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut text = format!("HTTP/1.1 {}\r\n", head.status);
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "content-length") {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    if head.status != 204 {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    let mut bytes = format!("{text}\r\n").into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// The embedded cloud behind a front end, and a client that knows both only by address.
async fn behind(loses: Loses) -> (Arc<Front>, OpenStack, Region) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let credentials = Credentials {
        client_id: "client".into(),
        client_secret: "secret".to_owned().into(),
        username: "sandbox".into(),
        password: "password".to_owned().into(),
        application_credential: None,
    };
    let mut config = SandboxConfig::new(&format!("http://127.0.0.1:{port}"), credentials);
    config.rules.build_ms = 0..=0;
    let region = Region::new(config.region.as_str()).unwrap();
    let auth = Auth::Password(Password {
        auth_url: config.auth_url(),
        user: User::Name { name: "sandbox".into(), domain: Domain::Name("Default".into()) },
        password: given("password"),
        project: Project::Id(config.project_id.clone()),
    });
    let now = Arc::new(|| Still.now().wall.0);
    let sandbox = Sandbox::open(config, now, [7; 32], None).await.unwrap();
    let (creates, before) = (AtomicUsize::new(0), Mutex::default());
    let front = Arc::new(Front { cloud: sandbox.router(), loses, creates, before });
    tokio::spawn(Arc::clone(&front).serve(listener));
    let limits = Limits { read_per_second: 1000.0, ..Limits::default() };
    let settings = CloudSettings { region: Some(region.clone()), limits, ..settings(auth) };
    let http = Http::new(&Tls::default()).unwrap();
    (front, OpenStack::new(settings, Arc::new(http), Arc::new(Still)), region)
}

async fn request(client: &OpenStack, region: &Region) -> Create {
    let template =
        Arc::new(Template { flavors: vec!["d2-2".into()], key_name: None, ..template() });
    let (group, install) = (group(), InstallId::from_bits(0));
    let wanted =
        Wanted { group: &group, install: &install, region, template: &template, flavor: "d2-2" };
    let resolved = client.resolve(&wanted).await.unwrap();
    let launch = LaunchId::from_bits(1);
    let tags = vec!["asg=pool-a".into(), launch.tag()];
    Create { region: region.clone(), n: 3, tags, launch, resolved, template, ..create() }
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_asked_for_once() {
    for (loses, made) in [(Loses::All, 3), (Loses::Rest, 3), (Loses::Request, 0)] {
        let (front, client, region) = behind(loses).await;
        let request = request(&client, &region).await;
        let failure = client.create(&request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unclear, "{loses:?}: {failure}");
        let listed = client.list(&region, &tags(&["asg=pool-a"])).await.unwrap();
        assert_eq!(listed.len(), made, "{loses:?}");
        assert_eq!(front.creates.load(Ordering::SeqCst), 1, "{loses:?}: it was sent again");
        let before = front.before.lock().unwrap().clone();
        assert!(before[0] > 0, "{loses:?}: it came on a connection that had been used");
    }
}
