//! Who is let in, by each way to prove who sends.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use novascale::domain::time::Clock as _;
use novascale::http::limit::Peer;
use novascale::http::tokens::Scope;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Face, alerts};

mod forged;
mod limits;
mod presets;

/// A way to prove who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Bearer,
    Basic,
    Plain,
    Github,
    Grafana,
    GrafanaTimed,
    Standard,
    Ed25519,
    Url,
    /// No entry: our own token of scope signal.
    Own,
}

pub const WAYS: [Way; 10] = [
    Way::Bearer,
    Way::Basic,
    Way::Plain,
    Way::Github,
    Way::Grafana,
    Way::GrafanaTimed,
    Way::Standard,
    Way::Ed25519,
    Way::Url,
    Way::Own,
];

impl Way {
    /// The entry of this way whose secret is the variable's value.
    fn entry(self, secret: &str, public: &str) -> String {
        let env = format!("{{ env = \"{secret}\" }}");
        let words = match self {
            Self::Bearer => format!("bearer = {env}"),
            Self::Basic => format!("basic = {env}\nusername = \"monitor\""),
            Self::Plain => format!("hmac = {env}\nheader = \"X-Signature\"\npreset = \"plain\""),
            Self::Github => format!("hmac = {env}\npreset = \"github\""),
            Self::Grafana => format!("hmac = {env}\npreset = \"grafana\""),
            Self::GrafanaTimed => {
                format!("hmac = {env}\npreset = \"grafana\"\ntimestamp_header = \"X-Timestamp\"")
            }
            Self::Standard => format!("hmac = {env}"),
            Self::Ed25519 => format!("ed25519 = \"whpk_{public}\""),
            Self::Url => format!("url = {env}"),
            Self::Own => return String::new(),
        };
        format!("[[source.s.auth]]\n{words}\n")
    }

    /// Where it is shown; nothing if it is the address.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Bearer | Self::Basic | Self::Own => Some("authorization"),
            Self::Plain => Some("x-signature"),
            Self::Github => Some("x-hub-signature-256"),
            Self::Grafana | Self::GrafanaTimed => Some("x-grafana-alerting-signature"),
            Self::Standard | Self::Ed25519 => Some("webhook-signature"),
            Self::Url => None,
        }
    }

    pub fn is_signed(self) -> bool {
        !matches!(self, Self::Bearer | Self::Basic | Self::Url | Self::Own)
    }

    /// The header of the signed time.
    pub fn timestamp(self) -> Option<&'static str> {
        match self {
            Self::GrafanaTimed => Some("x-timestamp"),
            Self::Standard | Self::Ed25519 => Some("webhook-timestamp"),
            _ => None,
        }
    }

    pub fn has_id(self) -> bool {
        matches!(self, Self::Standard | Self::Ed25519)
    }
}

/// A source whose senders prove themselves in one way, with either of two live secrets.
pub struct Door {
    pub face: Face,
    pub way: Way,
    secrets: [String; 2],
    pairs: [Ed25519KeyPair; 2],
}

/// A request that can be forged.
#[derive(Clone)]
pub struct Letter {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// What is signed with the body.
#[derive(Clone, Copy)]
pub struct Stamp<'a> {
    pub id: &'a str,
    /// Seconds from the clock of the one who reads it.
    pub off: i64,
}

impl Door {
    pub fn new(way: Way) -> Self {
        Self::of(way, Face::new())
    }

    pub fn of(way: Way, face: Face) -> Self {
        let pairs = [0, 1].map(|_| Ed25519KeyPair::generate().unwrap());
        let secret = |n: usize| match way {
            Way::Standard => {
                format!("whsec_{}", STANDARD.encode([7 + u8::try_from(n).unwrap(); 32]))
            }
            Way::Own => face.token(Scope::Signal),
            _ => format!("open-sesame-{n}"),
        };
        let secrets = [0, 1].map(secret);
        let public = |n: usize| STANDARD.encode(pairs[n].public_key().as_ref());
        let entries = way.entry("NEW", &public(0)) + &way.entry("OLD", &public(1));
        let section =
            format!("[source.s]\nformat = \"standard_webhooks\"\ngroup = \"web\"\n{entries}");
        face.speaks(&section, &[("NEW", &secrets[0]), ("OLD", &secrets[1])]);
        Self { face, way, secrets, pairs }
    }

    /// A request as its sender makes it.
    pub fn letter(&self, secret: usize, stamp: Stamp<'_>, body: &[u8]) -> Letter {
        let mut path = "/v1/webhooks/s".to_owned();
        if self.way == Way::Url {
            path = format!("{path}/{}", self.secrets[secret]);
        }
        let now = self.face.clock.now().wall.0 / 1000 + stamp.off;
        let timed =
            self.way.timestamp().map(|name| (name.to_owned(), now.to_string().into_bytes()));
        let id = self.way.has_id().then(|| ("webhook-id".to_owned(), stamp.id.as_bytes().to_vec()));
        let shown = self
            .way
            .header()
            .map(|name| (name.to_owned(), self.shown(secret, (stamp.id, now), body).into_bytes()));
        let headers = shown.into_iter().chain(timed).chain(id).collect();
        Letter { method: "POST", path, headers, body: body.to_vec() }
    }

    /// What proves it, in its header.
    fn shown(&self, secret: usize, (id, at): (&str, i64), body: &[u8]) -> String {
        let text = &self.secrets[secret];
        let mac = |key: &[u8], before: String| {
            let content = [before.as_bytes(), body].concat();
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &content)
        };
        let hex = |before| {
            let tag = mac(text.as_bytes(), before);
            tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        match self.way {
            Way::Bearer | Way::Own => format!("Bearer {text}"),
            Way::Basic => format!("Basic {}", STANDARD.encode(format!("monitor:{text}"))),
            Way::Plain | Way::Grafana => hex(String::new()),
            Way::Github => format!("sha256={}", hex(String::new())),
            Way::GrafanaTimed => hex(format!("{at}:")),
            Way::Standard => {
                let key = STANDARD.decode(text.trim_start_matches("whsec_")).unwrap();
                format!("v1,{}", STANDARD.encode(mac(&key, format!("{id}.{at}."))))
            }
            Way::Ed25519 => {
                let content = [format!("{id}.{at}.").as_bytes(), body].concat();
                format!("v1a,{}", STANDARD.encode(self.pairs[secret].sign(&content)))
            }
            Way::Url => String::new(),
        }
    }

    pub async fn deliver(&self, letter: &Letter, peer: &str) -> (u16, Value) {
        deliver(&self.face, letter, peer).await
    }

    /// All that the store holds.
    pub async fn stored(&self) -> String {
        format!("{:#?}\n{:#?}", self.face.stored("web").await, self.face.stored("db").await)
    }
}

pub async fn deliver(face: &Face, letter: &Letter, peer: &str) -> (u16, Value) {
    let mut request = Request::builder().method(letter.method).uri(&letter.path);
    for (name, value) in &letter.headers {
        request = request.header(name, value.as_slice());
    }
    let request = request.extension(Peer(peer.parse().unwrap()));
    let request = request.body(Body::from(letter.body.clone())).unwrap();
    let response = face.webhook.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub const PEER: &str = "192.0.2.1:9";

pub fn body(status: &str) -> Vec<u8> {
    let data = json!({ "alert": "A", "status": status, "starts_at": "2026-11-23T11:58:00Z" });
    json!({ "type": "load", "data": data }).to_string().into_bytes()
}

#[tokio::test]
async fn who_proves_itself_is_let_in_with_any_live_secret() {
    for way in WAYS {
        let door = Door::new(way);
        for secret in [0, 1] {
            let status = ["firing", "resolved"][secret];
            let stamp = Stamp { id: ["msg_0", "msg_1"][secret], off: 0 };
            let letter = door.letter(secret, stamp, &body(status));
            let (code, answer) = door.deliver(&letter, PEER).await;
            assert_eq!(code, 202, "{way:?}: {answer}");
            assert_eq!(answer["groups"][0]["fresh"], true, "{way:?}: {answer}");
            let firing = alerts(&door.face, "web").await[0].2;
            assert_eq!(firing, status == "firing", "{way:?}");
        }
    }
}

#[tokio::test]
async fn clocks_may_be_five_minutes_apart() {
    for way in WAYS.into_iter().filter(|way| way.timestamp().is_some()) {
        let door = Door::new(way);
        for (n, (off, status)) in
            [(-300, 202), (300, 202), (-301, 401), (301, 401)].iter().enumerate()
        {
            let id = format!("msg_{n}");
            let letter = door.letter(0, Stamp { id: &id, off: *off }, &body("firing"));
            assert_eq!(door.deliver(&letter, PEER).await.0, *status, "{way:?} {off}");
        }
    }
}

#[tokio::test]
async fn any_of_several_ways_suffices() {
    let face = Face::new();
    let ways = [Way::Bearer, Way::Basic, Way::Url].map(|way| way.entry("NEW", ""));
    let section =
        format!("[source.s]\nformat = \"standard_webhooks\"\ngroup = \"web\"\n{}", ways.concat());
    face.speaks(&section, &[("NEW", "open-sesame-0")]);
    let pair = STANDARD.encode("monitor:open-sesame-0");
    let path = "/v1/webhooks/s".to_owned();
    let shown = [
        (path.clone(), vec![("authorization", "Bearer open-sesame-0".to_owned())], 202),
        (path.clone(), vec![("authorization", format!("Basic {pair}"))], 202),
        (format!("{path}/open-sesame-0"), vec![], 202),
        // One that is right suffices, whatever else is shown.
        (format!("{path}/open-sesame-0"), vec![("authorization", "Bearer x".to_owned())], 202),
        (path.clone(), vec![("authorization", "Bearer x".to_owned())], 401),
        (path, vec![], 401),
    ];
    for (path, headers, status) in shown {
        let headers =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        let headers = headers.collect();
        let letter = Letter { method: "POST", path, headers, body: body("firing") };
        assert_eq!(deliver(&face, &letter, PEER).await.0, status, "{:?}", letter.path);
    }
}

#[tokio::test]
async fn a_sender_whose_secret_cannot_be_read_now_is_to_come_again() {
    let face = Face::new();
    let entry = "[[source.s.auth]]\nbearer = ";
    let section = format!(
        "[source.s]\nformat = \"standard_webhooks\"\ngroup = \"web\"\n\
         {entry}{{ env = \"NEW\" }}\n{entry}{{ credential = \"old\" }}\n"
    );
    face.speaks(&section, &[("NEW", "open-sesame-0")]);
    for (token, status) in [("open-sesame-0", 202), ("open-sesame-1", 503)] {
        let shown = ("authorization".to_owned(), format!("Bearer {token}").into_bytes());
        let path = "/v1/webhooks/s".to_owned();
        let letter = Letter { method: "POST", path, headers: vec![shown], body: body("firing") };
        let (code, answer) = deliver(&face, &letter, PEER).await;
        assert_eq!(code, status, "{token}: {answer}");
    }
}
