//! Names and identifiers, each a type of its own, valid once made. Cloning one copies no text.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid identifier: what it was meant to be, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {rule}")]
pub struct InvalidId {
    pub what: &'static str,
    pub text: String,
    pub rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The rule that every value of this type keeps, as a phrase.
            pub const RULE: &'static str = $rule;

            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if Self::is_valid(&text) {
                    Ok(Self(text.into()))
                } else {
                    let text = text.chars().take(80).collect();
                    Err(InvalidId { what: $what, text, rule: $rule })
                }
            }

            /// Whether a text keeps the rule.
            pub fn is_valid(text: &str) -> bool {
                let valid: fn(&str) -> bool = $valid;
                valid(text)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// The name of a group, as in `[group.NAME]`.
    GroupName,
    "group name",
    "1 to 40 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit",
    |t| short(t, 40)
        && t.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
);

text_id!(
    /// The name of a source, as in `[source.NAME]`.
    SourceName,
    "source name",
    "1 to 40 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit",
    |t| short(t, 40)
        && t.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
);

text_id!(
    /// A Nova server tag. Nova allows 60 characters without `/` and `,`; filters
    /// are checked as regular expressions, hence the narrower alphabet.
    Tag,
    "tag",
    "1 to 60 of A-Z, a-z, 0-9, '_', '.', '=', ':' and '-'",
    |t| short(t, 60) && t.chars().all(|c| c.is_ascii_alphanumeric() || "_.=:-".contains(c))
);

impl Tag {
    /// The tag that a group has if its settings name none.
    pub fn of_group(group: &GroupName) -> Result<Self, InvalidId> {
        Self::new(format!("{GROUP_TAG_PREFIX}{group}"))
    }

    /// Tags are compared without case, as Nova's database may compare them.
    pub fn same(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

text_id!(
    /// Nova's id of one server. The alphabet is narrow because the id goes into URLs.
    ServerId,
    "server id",
    "1 to 64 of A-Z, a-z, 0-9, '-' and '_'",
    |t| short(t, 64) && t.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
);

text_id!(
    /// The name of a signal, as `requests` or `queue.depth`.
    SignalName,
    "signal name",
    "1 to 64 of A-Z, a-z, 0-9, '_', '.', ':' and '-'",
    |t| short(t, 64) && t.chars().all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
);

text_id!(
    /// The name of an alert, as `QueueHigh`: what its sender calls it.
    AlertName,
    "alert name",
    "1 to 128 printable characters that neither begin nor end with a blank",
    |t| (1..=128).contains(&t.chars().count())
        && t.trim() == t
        && !t.chars().any(char::is_control)
);

text_id!(
    /// A region's id, compared exactly as the catalog spells it.
    Region,
    "region",
    "1 to 64 printable characters without blanks",
    |t| short(t, 64) && t.chars().all(|c| c.is_ascii_graphic())
);

text_id!(
    /// An availability zone's name.
    Zone,
    "availability zone",
    "1 to 64 printable characters without blanks and ':'",
    |t| short(t, 64) && t.chars().all(|c| c.is_ascii_graphic() && c != ':')
);

text_id!(
    /// Which novascale installation launched a server: 32 hexadecimal digits.
    InstallId,
    "install id",
    "32 of 0-9 and a-f",
    |t| hexadecimal(t, 32)
);

text_id!(
    /// The idempotency key that Nova lacks: unique for each create call, carried
    /// by every server that the call made. 32 hexadecimal digits.
    LaunchId,
    "launch id",
    "32 of 0-9 and a-f",
    |t| hexadecimal(t, 32)
);

text_id!(
    /// One line of the journal. 32 hexadecimal digits.
    IntentId,
    "intent id",
    "32 of 0-9 and a-f",
    |t| hexadecimal(t, 32)
);

text_id!(
    /// Who holds a reservation.
    Owner,
    "owner",
    "1 to 64 printable characters",
    |t| short(t, 64) && t.trim() == t && t.chars().all(|c| !c.is_control())
);

text_id!(
    /// A digest of what a group's servers are made from.
    TemplateHash,
    "template hash",
    "16 of 0-9 and a-f",
    |t| hexadecimal(t, 16)
);

fn short(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest
}

/// By bytes: every pass asks it of every server.
fn hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl LaunchId {
    /// From 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// The tag that every server of this launch carries from its first instant.
    pub fn tag(&self) -> String {
        format!("{LAUNCH_TAG_PREFIX}{}", self.0)
    }
}

impl IntentId {
    /// From 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// The bits again: what back-off takes its jitter from.
    pub fn bits(&self) -> u128 {
        u128::from_str_radix(&self.0, 16).unwrap_or(0)
    }
}

impl TemplateHash {
    /// From a digest's first 64 bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(format!("{bits:016x}").into())
    }
}

impl InstallId {
    /// From 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }
}

/// What a group's own tag begins with, before its name.
pub const GROUP_TAG_PREFIX: &str = "novascale:";

/// What the launch tag begins with; 17 + 32 characters, below Nova's 60.
pub const LAUNCH_TAG_PREFIX: &str = "novascale:launch:";

/// The metadata keys that mark a server as ours.
pub mod mark {
    pub const INSTALL: &str = "novascale:install";
    pub const GROUP: &str = "novascale:group";
    pub const LAUNCH: &str = "novascale:launch";
    pub const TEMPLATE: &str = "novascale:template";
    /// Set by people: any value but `false`, `no`, `0` and nothing protects the server.
    pub const PROTECT: &str = "novascale:protect";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rule() {
        assert!(GroupName::new("web-1.a_b").is_ok());
        for bad in ["", "Web", "-web", "we b", "wé", &"a".repeat(41)] {
            assert!(GroupName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["a/b", "a,b", "a(b", &"t".repeat(61)] {
            assert!(Tag::new(bad).is_err(), "{bad:?}");
        }
        assert!(ServerId::new("../x").is_err());
        assert!(Tag::new("Web").is_ok_and(|t| t.same("wEB")));
    }

    #[test]
    fn a_launch_tag_is_a_valid_tag() {
        let launch = LaunchId::from_bits(7);
        assert!(Tag::new(launch.tag()).is_ok());
        assert_eq!(IntentId::from_bits(u128::MAX).bits(), u128::MAX);
    }

    #[test]
    fn invalid_text_does_not_deserialize() {
        assert!(serde_json::from_str::<ServerId>("\"a b\"").is_err());
        assert!(serde_json::from_str::<ServerId>("\"a-b\"").is_ok());
    }
}
