//! Signatures as their senders document them.

use std::path::Path;

use axum::http::{HeaderMap, HeaderName};
use novascale::config::secret::SecretEnv;
use novascale::config::{Config, Env};
use novascale::domain::time::Wall;
use novascale::http::source::door::{Entry, Shown, Stranger, enter};
use novascale::http::source::keys::Sources;

use super::{Letter, PEER, deliver};
use crate::http::face::Face;

fn letter(headers: &[(&str, &str)], body: &str) -> Letter {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let (path, headers) = ("/v1/webhooks/s".to_owned(), headers.collect());
    Letter { method: "POST", path, headers, body: body.as_bytes().to_vec() }
}

/// The signature that the libraries of Standard Webhooks are tested with
/// (standard-webhooks/standard-webhooks `libraries/`): of 2021, and so stale but for its time.
#[tokio::test]
async fn the_test_vector_of_standard_webhooks_holds() {
    let face = Face::new();
    let section = "[source.s]\nformat = \"standard_webhooks\"\ngroup = \"web\"\n\
                   [[source.s.auth]]\nhmac = { env = \"KEY\" }\n";
    face.speaks(section, &[("KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let vector = letter(
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ],
        "{\"test\": 2432232314}",
    );
    assert_eq!(deliver(&face, &vector, PEER).await.0, 401, "it is years old");
    // The face's clock cannot go back, so the door is asked itself.
    let group = "[cloud]\nuse = \"sandbox\"\n[group.web]\nmin = 0\nmax = 8\nflavor = \"f\"\n\
                 image = \"i\"\nnetworks = \"auto\"\n";
    let home = tempfile::tempdir().unwrap();
    let secrets = [("KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    let env = Env::new(secrets, None, home.path().to_owned());
    let text = format!("{group}{section}");
    let config = Config::parse(&text, Path::new("scaling.toml"), &env).unwrap().config;
    let sources = Sources::read(&config.sources, &SecretEnv::new(env));
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, value.as_slice().try_into().unwrap());
    }
    let at = |secs: i64| {
        let wall = Wall((1_614_265_330 + secs) * 1000);
        let shown = Shown { headers: &headers, url: None, certificate: &[], wall };
        enter(sources.get("s").unwrap(), &shown)
    };
    let Ok(Entry::Signed(promises)) = at(10) else { panic!("the headers are right") };
    assert!(promises[0].holds(&vector.body));
    assert!(!promises[0].holds(b"{\"test\": 2432232315}"));
    assert_eq!(promises[0].repeats().as_deref(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    assert!(matches!(at(301), Err(Stranger::Stale)) && matches!(at(-301), Err(Stranger::Stale)));
}

/// RFC 4231 § 4.3, as GitHub and Grafana write it.
#[tokio::test]
async fn hex_signatures_are_read_as_github_and_grafana_write_them() {
    let body = "what do ya want for nothing?";
    let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    for (format, preset, header, value) in [
        ("generic", "github", "x-hub-signature-256", format!("sha256={tag}")),
        ("grafana", "", "x-grafana-alerting-signature", tag.to_owned()),
        ("grafana", "", "x-grafana-alert-signature", tag.to_owned()),
    ] {
        let face = Face::new();
        let preset =
            if preset.is_empty() { String::new() } else { format!("preset = \"{preset}\"\n") };
        let section = format!(
            "[source.s]\nformat = \"{format}\"\ngroup = \"web\"\n[[source.s.auth]]\n\
             hmac = {{ env = \"KEY\" }}\n{preset}"
        );
        face.speaks(&section, &[("KEY", "Jefe")]);
        // Let in, and then found to be no message.
        let (status, answer) = deliver(&face, &letter(&[(header, &value)], body), PEER).await;
        assert_ne!(status, 401, "{header}: {answer}");
        let other = letter(&[(header, &value)], "what do ya want for nothing!");
        assert_eq!(deliver(&face, &other, PEER).await.0, 401, "{header}");
    }
}

/// Both spellings at once are no signature of Grafana's.
#[tokio::test]
async fn two_spellings_at_once_are_refused() {
    let face = Face::new();
    let section = "[source.s]\nformat = \"grafana\"\ngroup = \"web\"\n[[source.s.auth]]\n\
                   hmac = { env = \"KEY\" }\n";
    face.speaks(section, &[("KEY", "Jefe")]);
    let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let both = [("x-grafana-alerting-signature", tag), ("x-grafana-alert-signature", tag)];
    let letter = letter(&both, "what do ya want for nothing?");
    assert_eq!(deliver(&face, &letter, PEER).await.0, 401);
}
