//! A call by hand, for senders that are a script: curl, and openssl where the body is signed.

use std::fmt::Write as _;

use super::paste::{Sender, shell};
use crate::config::source::{Encoding, Hash, Hmac, Proof};

impl Sender<'_> {
    pub(super) fn curl(&self, headers: &[(&str, &str)], body: &str) -> String {
        let mut text = String::new();
        let mut own: Vec<String> = Vec::new();
        match self.proof {
            Some(Proof::Hmac(how)) => {
                let _ = writeln!(text, "body={}", shell(body));
                text += &signature(how);
                own = signed(how);
            }
            Some(Proof::Basic { username, .. }) => {
                own.push(format!("-u {}", shell(&format!("{username}:SECRET"))));
            }
            Some(Proof::Certificate { .. }) => {
                own.push("--cert client.pem --key client-key.pem".to_owned());
            }
            None | Some(Proof::Bearer(_)) => {
                own.push("-H 'Authorization: Bearer SECRET'".to_owned());
            }
            Some(Proof::Ed25519 { .. } | Proof::Url(_)) => {}
        }
        own.extend(headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")));
        match (self.proof, body) {
            (Some(Proof::Hmac(_)), _) => own.push("--data \"$body\"".to_owned()),
            (_, "") => {}
            (_, body) => own.push(format!("--data {}", shell(body))),
        }
        own.push(shell(&self.url));
        text + "curl --silent --show-error --fail-with-body -X POST \\\n  " + &own.join(" \\\n  ")
    }
}

/// The lines of a shell that sign `$body`.
fn signature(how: &Hmac) -> String {
    let hash = match how.hash {
        Hash::Sha256 => "sha256",
        Hash::Sha512 => "sha512",
    };
    let secret = if how.secret_base64 {
        "printf %s 'SECRET' | sed 's/^whsec_//' | base64 -d"
    } else {
        "printf %s 'SECRET'"
    };
    let (raw, written) = match how.encoding {
        Encoding::Hex => ("-r", "cut -d ' ' -f 1"),
        Encoding::Base64 => ("-binary", "base64 -w 0"),
    };
    let stamps = [(&how.id, "id=$(openssl rand -hex 16)"), (&how.timestamp, "at=$(date +%s)")];
    let mut text = String::new();
    for (_, line) in stamps.iter().filter(|(name, _)| name.is_some()) {
        let _ = writeln!(text, "{line}");
    }
    let parts = [how.id.as_ref().map(|_| "$id"), how.timestamp.as_ref().map(|_| "$at")];
    let parts: Vec<&str> = parts.into_iter().flatten().chain(["$body"]).collect();
    let content = parts.join(&how.between.to_string());
    let _ = writeln!(text, "key=$({secret} | od -An -v -t x1 | tr -d ' \\n')");
    let _ = writeln!(
        text,
        "signature=$(printf %s \"{content}\" | openssl dgst -{hash} -mac HMAC -macopt \
         \"hexkey:$key\" {raw} | {written})"
    );
    text
}

/// The headers that go with it.
fn signed(how: &Hmac) -> Vec<String> {
    let one = |name: &str, value: &str| format!("-H \"{name}: {value}\"");
    let stamps = [(&how.id, "$id"), (&how.timestamp, "$at")];
    let stamps = stamps.into_iter().filter_map(|(name, value)| Some(one(name.as_ref()?, value)));
    let header = how.headers.first().map_or("", String::as_str);
    stamps.chain([one(header, &format!("{}$signature", how.prefix))]).collect()
}
