//! Whether a sender is who it says: by its headers before the body is read, by the raw bytes of
//! the body where they are signed. Everything secret is compared in constant time.

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::keys::{Key, Keyed, digest, hex_digest};
use crate::config::source::{self, Encoding};
use crate::domain::time::Wall;

/// How far a signed timestamp may be from our clock.
/// Source: standard-webhooks `spec/standard-webhooks.md`, and its libraries.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// Signatures that one header may carry: one for each live secret of the sender.
const SIGNATURES_MOST: usize = 16;
/// The longest id of a message.
const ID_MOST: usize = 200;

/// What a sender shows before its body is read.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub headers: &'a HeaderMap,
    /// The last part of the address, behind the source's name.
    pub url: Option<&'a str>,
    /// The names in the certificate that the connection was made with.
    pub certificate: &'a [String],
    pub wall: Wall,
}

/// What is known at the door.
pub enum Entry<'k> {
    /// The sender is known, whatever the body says.
    Known,
    /// The body has to bear these out, one of them.
    Signed(Vec<Signed<'k>>),
}

/// A key that the body may be signed with, and what the headers say of the signature.
pub struct Signed<'k> {
    key: &'k Key,
    signatures: Vec<Vec<u8>>,
    /// Stands before the body in what is signed.
    before: Vec<u8>,
    pub id: Option<String>,
    /// Without an id the signature itself tells repetitions.
    timed: bool,
}

/// Why nobody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Nothing was shown that this source asks for.
    Nothing,
    /// Something was, and it is not right.
    Wrong,
    /// The signed time is too far from now.
    Stale,
}

/// What holds of the headers alone.
pub fn enter<'k>(keyed: &'k Keyed, shown: &Shown<'_>) -> Result<Entry<'k>, Stranger> {
    let mut known = false;
    let (mut signed, mut why) = (Vec::new(), Stranger::Nothing);
    for key in &keyed.keys {
        // All are tried, for the time to tell nothing of which one fits.
        match attempt(key, shown) {
            Ok(Attempt::Fits) => known = true,
            Ok(Attempt::Body(promise)) => signed.push(*promise),
            Err(Stranger::Nothing) => {}
            Err(other) => why = other,
        }
    }
    match (known, signed.is_empty()) {
        (true, _) => Ok(Entry::Known),
        (false, false) => Ok(Entry::Signed(signed)),
        (false, true) => Err(why),
    }
}

enum Attempt<'k> {
    Fits,
    Body(Box<Signed<'k>>),
}

fn attempt<'k>(key: &'k Key, shown: &Shown<'_>) -> Result<Attempt<'k>, Stranger> {
    let same = |held: &[u8; 32], presented: &[u8]| -> Result<Attempt<'k>, Stranger> {
        let fits: bool = digest(presented).ct_eq(held).into();
        if fits { Ok(Attempt::Fits) } else { Err(Stranger::Wrong) }
    };
    match key {
        Key::Bearer(held) => same(held, authorization(shown.headers, "Bearer ")?),
        Key::Basic(held) => {
            let pair = STANDARD.decode(authorization(shown.headers, "Basic ")?);
            same(held, &pair.map_err(|_| Stranger::Wrong)?)
        }
        Key::Url(held) => same(held, shown.url.ok_or(Stranger::Nothing)?.as_bytes()),
        Key::Certificate(name) => {
            let fits = shown.certificate.iter().any(|shown| shown == name);
            let why =
                if shown.certificate.is_empty() { Stranger::Nothing } else { Stranger::Wrong };
            if fits { Ok(Attempt::Fits) } else { Err(why) }
        }
        Key::Hmac { how, .. } => {
            let text = signature_header(how, shown.headers)?;
            let several = |text: &str| match how.several {
                true => text.split(' ').map(str::to_owned).collect(),
                false => vec![text.to_owned()],
            };
            let signatures = decoded(several(text), &how.prefix, how.encoding)?;
            let parts = Stamps { id: how.id.as_deref(), timestamp: how.timestamp.as_deref() };
            parts.promise((key, signatures), how.between, shown).map(Attempt::Body)
        }
        Key::Ed25519(_) => {
            let text = one(shown.headers, "webhook-signature")?;
            let all = text.split(' ').map(str::to_owned).collect();
            let signatures = decoded(all, "v1a,", Encoding::Base64)?;
            let parts = Stamps { id: Some("webhook-id"), timestamp: Some("webhook-timestamp") };
            parts.promise((key, signatures), '.', shown).map(Attempt::Body)
        }
    }
}

/// The one Authorization header, if it is of this scheme.
fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h [u8], Stranger> {
    let text = one(headers, AUTHORIZATION.as_str())?.as_bytes();
    let (head, rest) = text.split_at_checked(scheme.len()).ok_or(Stranger::Nothing)?;
    if head.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.is_empty() {
        Ok(rest.trim_ascii())
    } else {
        Err(Stranger::Nothing)
    }
}

/// The text of a header that stands there once.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Stranger> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Stranger::Nothing),
        (Some(value), None) => value.to_str().map_err(|_| Stranger::Wrong),
        (Some(_), Some(_)) => Err(Stranger::Wrong),
    }
}

fn signature_header<'h>(how: &source::Hmac, headers: &'h HeaderMap) -> Result<&'h str, Stranger> {
    let present = how.headers.iter().filter(|name| headers.contains_key(name.as_str()));
    let present: Vec<&String> = present.collect();
    match present.as_slice() {
        [] => Err(Stranger::Nothing),
        [name] => one(headers, name),
        _ => Err(Stranger::Wrong),
    }
}

/// Those that are written as they should be, with this prefix.
fn decoded(all: Vec<String>, prefix: &str, how: Encoding) -> Result<Vec<Vec<u8>>, Stranger> {
    let all = all.iter().take(SIGNATURES_MOST).filter_map(|text| text.strip_prefix(prefix));
    let all: Vec<Vec<u8>> = all
        .filter_map(|text| match how {
            Encoding::Hex => unhex(text),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        })
        .collect();
    if all.is_empty() { Err(Stranger::Wrong) } else { Ok(all) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

/// Which headers are signed with the body.
struct Stamps<'a> {
    id: Option<&'a str>,
    timestamp: Option<&'a str>,
}

impl Stamps<'_> {
    fn promise<'k>(
        &self,
        (key, signatures): (&'k Key, Vec<Vec<u8>>),
        between: char,
        shown: &Shown<'_>,
    ) -> Result<Box<Signed<'k>>, Stranger> {
        let mut before = Vec::new();
        let mut id = None;
        if let Some(name) = self.id {
            let text = one(shown.headers, name).map_err(|_| Stranger::Wrong)?;
            // What is signed has to come apart in one way only.
            if text.is_empty() || text.len() > ID_MOST || text.contains(between) {
                return Err(Stranger::Wrong);
            }
            id = Some(text.to_owned());
            before.extend_from_slice(text.as_bytes());
            before.extend_from_slice(between.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if let Some(name) = self.timestamp {
            let text = one(shown.headers, name).map_err(|_| Stranger::Wrong)?;
            fresh(text, shown.wall)?;
            before.extend_from_slice(text.as_bytes());
            before.extend_from_slice(between.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let timed = self.timestamp.is_some();
        Ok(Box::new(Signed { key, signatures, before, id, timed }))
    }
}

/// Seconds since 1970, near enough to now.
fn fresh(text: &str, wall: Wall) -> Result<(), Stranger> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let secs = text.parse::<i64>().ok().filter(|_| digits).ok_or(Stranger::Wrong)?;
    let at = secs.checked_mul(1000).map(Wall).ok_or(Stranger::Stale)?;
    let off = at.since(wall).max(wall.since(at));
    if off <= TOLERANCE { Ok(()) } else { Err(Stranger::Stale) }
}

impl Signed<'_> {
    /// Whether the body bears the signature out.
    pub fn holds(&self, body: &[u8]) -> bool {
        match self.key {
            Key::Hmac { key, .. } => {
                // Once, however many signatures a stranger sends: the body may be large.
                let mut context = hmac::Context::with_key(key);
                context.update(&self.before);
                context.update(body);
                let right = context.sign();
                self.signatures.iter().any(|shown| right.as_ref().ct_eq(shown.as_slice()).into())
            }
            Key::Ed25519(key) => {
                let content = [self.before.as_slice(), body].concat();
                self.signatures.iter().any(|shown| key.verify(&content, shown).is_ok())
            }
            Key::Bearer(_) | Key::Basic(_) | Key::Url(_) | Key::Certificate(_) => false,
        }
    }

    /// By which a repetition is known: its id; or its signature, if that is good for this time
    /// alone.
    pub fn repeats(&self) -> Option<String> {
        let signature = || {
            let first = self.signatures.first().filter(|_| self.timed)?;
            Some(hex_digest(first))
        };
        self.id.clone().or_else(signature)
    }
}
