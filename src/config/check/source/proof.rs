//! How a source proves who it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::super::fault::Sink;
use super::super::super::file::{ProofText, SecretText, SourceText};
use super::super::super::read::At;
use super::super::super::secret::Secret;
use super::super::super::source::{Encoding, Format, Hash, Hmac, Proof};
use super::super::{at_most_one, range, secrets};
use super::{Setting, spot};

/// Live secrets of one source: one in use, one that comes, one that goes, and some to spare.
const PROOFS_MOST: usize = 8;

pub(super) fn check(
    text: &At<SourceText>,
    format: Option<Format>,
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Vec<Proof> {
    let Some(all) = &text.auth else { return Vec::new() };
    if all.value.len() > PROOFS_MOST {
        sink.fault(&all.spot, format!("`{}` has more than {PROOFS_MOST} entries", all.spot.key));
    }
    let mut taker = Taker { format, setting, sink };
    all.value.iter().filter_map(|text| taker.one(text)).collect()
}

struct Taker<'a> {
    format: Option<Format>,
    setting: &'a Setting<'a>,
    sink: &'a mut Sink,
}

impl Taker<'_> {
    fn one(&mut self, text: &At<ProofText>) -> Option<Proof> {
        let ways = [
            spot(&text.bearer),
            spot(&text.basic),
            spot(&text.hmac),
            spot(&text.ed25519),
            spot(&text.url),
            spot(&text.certificate),
        ];
        at_most_one(&ways, self.sink);
        self.belongs(text);
        if let Some(at) = &text.bearer {
            return Some(Proof::Bearer(self.secret(at)?));
        }
        if let Some(at) = &text.basic {
            return self.basic(text, at);
        }
        if let Some(at) = &text.hmac {
            return Some(Proof::Hmac(Box::new(self.hmac(text, at)?)));
        }
        if let Some(at) = &text.ed25519 {
            return self.ed25519(at);
        }
        if let Some(at) = &text.url {
            return Some(Proof::Url(self.secret(at)?));
        }
        if let Some(at) = &text.certificate {
            if !self.setting.client_ca {
                let reason = format!("`{}` can be shown by nobody", at.spot.key);
                self.sink.warn(&at.spot, reason).hint(
                    "give [http.tls] a client_ca: without one no sender is asked for a certificate",
                );
            }
            return Some(Proof::Certificate { name: range::name(at, self.sink)? });
        }
        let reason = format!("`{}` says no way to prove who sends", text.spot.key);
        self.sink.fault(&text.spot, reason).for_want().hint(
            "one of bearer, basic, hmac, ed25519, url, certificate; without any entry the token of \
             scope signal counts",
        );
        None
    }

    /// Refuses settings of another way.
    fn belongs(&mut self, text: &ProofText) {
        let (hmac, basic) = (text.hmac.is_some(), text.basic.is_some());
        let settings = [
            (spot(&text.username), basic, "basic"),
            (spot(&text.preset), hmac, "hmac"),
            (spot(&text.secret_base64), hmac, "hmac"),
            (spot(&text.algorithm), hmac, "hmac"),
            (spot(&text.header), hmac, "hmac"),
            (spot(&text.prefix), hmac, "hmac"),
            (spot(&text.encoding), hmac, "hmac"),
            (spot(&text.id_header), hmac, "hmac"),
            (spot(&text.timestamp_header), hmac, "hmac"),
            (spot(&text.between), hmac, "hmac"),
        ];
        for (spot, fits, with) in settings {
            if let (Some(spot), false) = (spot, fits) {
                self.sink.fault(spot, format!("`{}` goes with `{with}`", spot.key));
            }
        }
    }

    fn secret(&mut self, at: &At<SecretText>) -> Option<Secret> {
        let secret = secrets::secret(at, self.setting.around, self.sink)?;
        secrets::judge_at(&at.spot, &secret, self.setting.around, self.sink);
        Some(secret)
    }

    fn basic(&mut self, text: &At<ProofText>, at: &At<SecretText>) -> Option<Proof> {
        let password = self.secret(at);
        let Some(username) = &text.username else {
            self.sink.missing(&text.spot, "username");
            return None;
        };
        let username_text = range::name(username, self.sink)?;
        if username_text.contains(':') {
            let reason = format!("`{}` holds a colon, which no user name may", username.spot.key);
            self.sink.fault(&username.spot, reason);
            return None;
        }
        Some(Proof::Basic { username: username_text, password: password? })
    }

    fn ed25519(&mut self, at: &At<String>) -> Option<Proof> {
        let bare = at.value.strip_prefix("whpk_").unwrap_or(&at.value);
        let key = STANDARD.decode(bare).ok().and_then(|bytes| bytes.try_into().ok());
        if key.is_none() {
            let reason = format!("`{}` is no public key", at.spot.key);
            self.sink.fault(&at.spot, reason).hint("32 bytes in base64, behind whpk_ or not");
        }
        key.map(|key| Proof::Ed25519 { key })
    }

    fn hmac(&mut self, text: &At<ProofText>, at: &At<SecretText>) -> Option<Hmac> {
        let secret = self.secret(at)?;
        let mut hmac = self.preset(text, secret)?;
        if let Some(at) = &text.secret_base64 {
            hmac.secret_base64 = at.value;
        }
        if let Some(at) = &text.algorithm {
            hmac.hash = self.word(at, &[("sha256", Hash::Sha256), ("sha512", Hash::Sha512)])?;
        }
        if let Some(at) = &text.encoding {
            let known = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
            hmac.encoding = self.word(at, &known)?;
        }
        if let Some(at) = &text.header {
            hmac.headers = at.value.0.iter().filter_map(|at| self.header(at)).collect();
        }
        if let Some(at) = &text.prefix {
            hmac.prefix.clone_from(&at.value);
        }
        if let Some(at) = &text.id_header {
            hmac.id = self.header(at);
        }
        if let Some(at) = &text.timestamp_header {
            hmac.timestamp = self.header(at);
        }
        if let Some(at) = &text.between {
            hmac.between = self.between(at)?;
        }
        if hmac.headers.is_empty() {
            self.sink.missing(&text.spot, "header").hint("the header that carries the signature");
            return None;
        }
        self.judge_replay(at, &hmac);
        Some(hmac)
    }

    /// Whoever has seen a signed call of a trigger can make it again once its id is forgotten.
    fn judge_replay(&mut self, at: &At<SecretText>, hmac: &Hmac) {
        if !self.format.is_some_and(Format::orders) || hmac.timestamp.is_some() {
            return;
        }
        let when = if hmac.id.is_some() { "a day later" } else { "at any time" };
        let key = &at.spot.key;
        let reason = format!(
            "a call that `{key}` signs orders again if somebody who saw it sends it {when}"
        );
        self.sink.warn(&at.spot, reason).hint(
            "have the time signed with the body and name its header, timestamp_header = \"…\"; \
             preset = \"standard_webhooks\" has it",
        );
    }

    /// What the format, or a preset that is named, signs with.
    fn preset(&mut self, text: &ProofText, secret: Secret) -> Option<Hmac> {
        let known = [("plain", Preset::Plain), ("github", Preset::Github)];
        let known: Vec<(&str, Preset)> = known
            .into_iter()
            .chain([("grafana", Preset::Grafana), ("standard_webhooks", Preset::Standard)])
            .collect();
        let preset = match (&text.preset, self.format) {
            (Some(at), _) => self.word(at, &known)?,
            (None, Some(Format::Grafana)) => Preset::Grafana,
            (None, Some(Format::StandardWebhooks)) => Preset::Standard,
            (None, _) => Preset::Plain,
        };
        Some(preset.hmac(secret))
    }

    fn word<T: Copy>(&mut self, at: &At<String>, known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(word, _)| *word == at.value).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            let reason = format!("`{}` must be one of {}", at.spot.key, words.join(", "));
            self.sink.fault(&at.spot, reason);
        }
        found
    }

    fn header(&mut self, at: &At<String>) -> Option<String> {
        let name = at.value.to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !name.is_empty() && name.chars().all(fits) {
            return Some(name);
        }
        self.sink.fault(&at.spot, format!("`{}` is no header's name", at.spot.key));
        None
    }

    fn between(&mut self, at: &At<String>) -> Option<char> {
        let mut chars = at.value.chars();
        if let (Some(one), None) = (chars.next(), chars.next()) {
            return Some(one);
        }
        self.sink.fault(&at.spot, format!("`{}` must be one character", at.spot.key));
        None
    }
}

#[derive(Clone, Copy)]
enum Preset {
    Plain,
    Github,
    Grafana,
    Standard,
}

impl Preset {
    /// Sources: GitHub's "Validating webhook deliveries"; grafana/alerting `http/hmac.go` (the
    /// header's default) and Grafana's provisioning examples (the other spelling);
    /// standard-webhooks/standard-webhooks `spec/standard-webhooks.md`.
    fn hmac(self, secret: Secret) -> Hmac {
        let plain = Hmac {
            secret,
            secret_base64: false,
            hash: Hash::Sha256,
            headers: Vec::new(),
            prefix: String::new(),
            encoding: Encoding::Hex,
            several: false,
            id: None,
            timestamp: None,
            between: ':',
        };
        match self {
            Self::Plain => plain,
            Self::Github => Hmac {
                headers: vec!["x-hub-signature-256".to_owned()],
                prefix: "sha256=".to_owned(),
                ..plain
            },
            Self::Grafana => Hmac {
                headers: vec![
                    "x-grafana-alerting-signature".to_owned(),
                    "x-grafana-alert-signature".to_owned(),
                ],
                ..plain
            },
            Self::Standard => Hmac {
                secret_base64: true,
                headers: vec!["webhook-signature".to_owned()],
                prefix: "v1,".to_owned(),
                encoding: Encoding::Base64,
                several: true,
                id: Some("webhook-id".to_owned()),
                timestamp: Some("webhook-timestamp".to_owned()),
                between: '.',
                ..plain
            },
        }
    }
}
