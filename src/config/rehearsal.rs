//! What the embedded cloud may be made to do wrong: names, how much of each, and how both are
//! written.
//!
//! The command line, the configuration, the embedded cloud's own endpoint and the simulation all
//! mean the same by a name. What a fault does lies in `cloud/sandbox/faults/`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::read::{nearest, parse_span};

/// How much of a fault there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How often it strikes, in percent.
    Share,
    /// How long it lasts, each time; or in percent how often it strikes, and then it lasts as long
    /// as is drawn between these, in seconds.
    Span(u64, u64),
    /// How many of what its meaning names.
    Amount,
}

macro_rules! faults {
    ($($name:ident $word:literal $unit:expr, $meaning:literal;)*) => {
        /// Something that a cloud does wrong, or people in it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($name),* }

        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, everywhere.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// How much of it there may be.
            pub fn unit(self) -> Unit {
                match self { $(Self::$name => $unit),* }
            }

            /// What it does, in words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

use Unit::{Amount, Share, Span};

faults! {
    SlowCalls "slow-calls" Span(1, 59), "a call waits, before or after it is carried out";
    CallsDropped "calls-dropped" Share, "a connection closes unanswered, its call carried out or not";
    CallsBusy "calls-busy" Share, "429; Retry-After in seconds, as a date, absurd, or none";
    ProxyPages "proxy-pages" Share, "a proxy's HTML page answers, its call carried out or not";
    BrokenJson "broken-json" Share, "an answer breaks off in the middle";
    TokenDies "token-dies" Share, "the token of a call dies at once: 401";
    VersionWrong "version-wrong" Share, "an answer of Nova's is in another microversion than was asked";
    SignInFails "sign-in-fails" Share, "a step of signing in fails";
    KeysRotated "keys-rotated" Share, "a secret is refused at signing in, as after a rotation";
    TokensShort "tokens-short" Span(5, 60), "a token lives only so long";
    CatalogMoved "catalog-moved" Share, "a catalog names another host";
    ListFails "list-fails" Share, "a listing of servers fails: 5xx, a page, half an answer, a reset";
    ListLags "list-lags" Share, "a listing lacks servers, above all those of the last 90 s";
    TagFilterIgnored "tag-filter-ignored" Share, "a listing ignores the tag that was asked for";
    PagesWrong "pages-wrong" Share, "pages of two servers that repeat, end early or lead nowhere";
    CellDown "cell-down" Amount, "of 100 servers so many lie in a cell that cannot be reached";
    GetFails "get-fails" Share, "looking at one server fails";
    ResolveFails "resolve-fails" Share, "a look-up fails: flavors, images, networks, keys";
    CreateLost "create-lost" Share, "a create is lost on its way";
    CreateReplyLost "create-reply-lost" Share, "a create is carried out, its answer lost";
    CreateLate "create-late" Span(1, 240), "a create goes unanswered, and is carried out later";
    CreateBusy "create-busy" Share, "a create is answered with 429";
    CreateDenied "create-denied" Share, "a create is answered with 403";
    CreateRefused "create-refused" Share, "a create is answered with 400";
    NoHost "no-host" Share, "no host for a create: all its servers go to ERROR";
    ZoneFull "zone-full" Share, "the same for a create that names a zone";
    FlavorGone "flavor-gone" Share, "the flavor of a create does not exist";
    ImageGone "image-gone" Share, "the image of a create does not exist";
    SmallQuota "small-quota" Amount, "the quota is so many instances";
    BuildSlow "build-slow" Span(60, 400), "a build takes so much longer";
    BuildNever "build-never" Share, "a build never ends";
    BuildError "build-error" Share, "a build ends in ERROR";
    BuildShutoff "build-shutoff" Share, "a build ends in SHUTOFF";
    BuildUnknown "build-unknown" Share, "a build ends in UNKNOWN";
    DeleteLost "delete-lost" Share, "a delete is lost on its way";
    DeleteReplyLost "delete-reply-lost" Share, "a delete is carried out, its answer lost";
    DeleteConflict "delete-conflict" Share, "a delete is answered with 409";
    DeleteDenied "delete-denied" Share, "a delete is answered with 403";
    DeleteHangs "delete-hangs" Share, "a delete is taken and makes no progress until it is asked again";
    DeleteSoft "delete-soft" Share, "a delete only puts the server aside, for ten minutes";
    Vanish "vanish" Share, "at a listing a server vanishes";
    Stopped "stopped" Share, "at a listing a server is stopped by hand";
    Untagged "untagged" Share, "at a listing a server loses its tags";
    TaggedByHand "tagged-by-hand" Share, "at a listing somebody's own server gets a group's tag; at most two";
    Renamed "renamed" Share, "at a listing a server is renamed";
    Kept "kept" Share, "at a listing a server is locked or protected, or let go again";
}

/// How much of one fault there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    Percent(u8),
    Lasting(Duration),
    Amount(u32),
}

/// The faults that are on, with how much of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes(pub BTreeMap<Fault, Strength>);

/// Why a fault cannot be had as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    #[error("there is no fault {word:?}{meant}", word = .0, meant = meant(.0))]
    Unknown(String),
    #[error("{word} is given no strength: write {word}={example}",
        word = .0.word(), example = .0.example())]
    Bare(Fault),
    #[error("{text:?} is no strength of {word}: write {word}={example}, {form}",
        word = fault.word(), example = fault.example(), form = fault.form())]
    Strength { fault: Fault, text: String },
}

fn meant(word: &str) -> String {
    let known: Vec<&str> = Fault::ALL.iter().map(|fault| fault.word()).collect();
    let near = nearest_of(word, &known);
    let near = near.map(|near| format!(": did you mean {near}?"));
    near.unwrap_or_else(|| ": `novascale sandbox --list-faults` shows all".to_owned())
}

/// Settings are written with `_`, faults with `-`.
fn nearest_of<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let underscored: Vec<String> = known.iter().map(|word| word.replace('-', "_")).collect();
    let spelled: Vec<&str> = underscored.iter().map(String::as_str).collect();
    let found = nearest(word, &spelled)?;
    spelled.iter().position(|word| *word == found).and_then(|at| known.get(at)).copied()
}

impl Fault {
    /// # Errors
    /// [`WishError::Unknown`], with the name that was probably meant.
    pub fn named(word: &str) -> Result<Self, WishError> {
        let found = Self::ALL.iter().copied().find(|fault| fault.word() == word);
        found.ok_or_else(|| WishError::Unknown(word.to_owned()))
    }

    /// A strength as it may be written.
    pub fn example(self) -> &'static str {
        match self.unit() {
            Share => "20",
            Span(..) => "60s",
            Amount => "5",
        }
    }

    /// What may be written for a strength.
    pub fn form(self) -> &'static str {
        match self.unit() {
            Share => "in percent, 0 to 100",
            Span(..) => "a span of time up to a day, or in percent how often",
            Amount => "a number up to 10000",
        }
    }

    /// # Errors
    /// [`WishError::Strength`] for what this fault cannot have.
    pub fn strength(self, text: &str) -> Result<Strength, WishError> {
        let refused = || WishError::Strength { fault: self, text: text.to_owned() };
        let text = text.trim();
        let number: Option<u32> = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
        match (self.unit(), number) {
            (Amount, Some(n)) if n <= 10_000 && !text.ends_with('%') => Ok(Strength::Amount(n)),
            (Share | Span(..), Some(n @ 0..=100)) => {
                u8::try_from(n).map(Strength::Percent).map_err(|_| refused())
            }
            (Span(..), None) => parse_span(text)
                .filter(|span| *span <= Duration::from_secs(86_400))
                .map(Strength::Lasting)
                .ok_or_else(refused),
            (Amount | Share | Span(..), _) => Err(refused()),
        }
    }
}

impl Strength {
    /// Whether the fault is off. A quota of nothing is a fault: only the others are off at 0.
    pub fn is_off(self, fault: Fault) -> bool {
        match self {
            Self::Percent(n) => n == 0,
            Self::Lasting(span) => span.is_zero(),
            Self::Amount(n) => n == 0 && fault != Fault::SmallQuota,
        }
    }

    /// As it is written in JSON.
    pub fn json(self) -> Value {
        match self {
            Self::Percent(n) => json!(n),
            Self::Amount(n) => json!(n),
            Self::Lasting(_) => json!(self.to_string()),
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(n) => write!(f, "{n} %"),
            Self::Amount(n) => write!(f, "{n}"),
            Self::Lasting(span) if span.subsec_millis() == 0 => write!(f, "{}s", span.as_secs()),
            Self::Lasting(span) => write!(f, "{}ms", span.as_millis()),
        }
    }
}

impl Wishes {
    /// `list-fails=20,build-slow=60s`.
    ///
    /// # Errors
    /// The first fault that cannot be had as it is written.
    pub fn parse(text: &str) -> Result<Self, WishError> {
        let mut wishes = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (word, strength) = part.split_once('=').unwrap_or((part, ""));
            let fault = Fault::named(word.trim())?;
            if strength.is_empty() {
                return Err(WishError::Bare(fault));
            }
            wishes.put(fault, fault.strength(strength)?);
        }
        Ok(wishes)
    }

    /// One member of a JSON object or of a table: a number, or a text.
    ///
    /// # Errors
    /// [`WishError`]: as above.
    pub fn read(&mut self, word: &str, strength: &Value) -> Result<(), WishError> {
        let fault = Fault::named(word)?;
        let text = strength.as_str().map_or_else(|| strength.to_string(), str::to_owned);
        self.0.insert(fault, fault.strength(&text)?);
        Ok(())
    }

    /// Puts one, or takes it away if it is off.
    pub fn put(&mut self, fault: Fault, strength: Strength) {
        if strength.is_off(fault) {
            self.0.remove(&fault);
        } else {
            self.0.insert(fault, strength);
        }
    }
}

impl fmt::Display for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(fault, strength)| format!("{} {strength}", fault.word()));
        write!(f, "{}", each.collect::<Vec<_>>().join(", "))
    }
}

impl std::str::FromStr for Wishes {
    type Err = WishError;

    fn from_str(text: &str) -> Result<Self, WishError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        Wishes::parse(text).map_or_else(|why| why.to_string(), |wishes| wishes.to_string())
    }

    #[test]
    fn faults_are_written_with_percent_spans_and_amounts() {
        let text = "build-slow=60s, list-fails=20,small-quota=0,no-host=0,create-late=30%";
        assert_eq!(said(text), "list-fails 20 %, create-late 30 %, small-quota 0, build-slow 60s");
        assert_eq!(said(""), "");
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_what_was_meant() {
        for (text, words) in [
            ("list-fail=20", "there is no fault \"list-fail\": did you mean list-fails?"),
            ("zebra=1", "novascale sandbox --list-faults"),
            ("list-fails", "write list-fails=20"),
            ("list-fails=200", "\"200\" is no strength of list-fails"),
            ("list-fails=60s", "in percent, 0 to 100"),
            ("build-slow=soon", "a span of time up to a day"),
            ("build-slow=2d", "up to a day"),
            ("small-quota=-1", "a number up to 10000"),
        ] {
            assert!(said(text).contains(words), "{text}: {}", said(text));
        }
    }

    #[test]
    fn names_are_apart_and_say_what_they_do() {
        for (at, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(Fault::ALL.iter().position(|f| f.word() == fault.word()), Some(at));
            assert_eq!(Fault::named(fault.word()), Ok(*fault));
            assert!(fault.strength(fault.example()).is_ok(), "{fault:?}");
            assert!(fault.meaning().len() <= 80, "{fault:?} is longer than its line");
        }
    }
}
