//! Which microversion is spoken with a region's Nova, and whether an answer kept to it.
//!
//! A version is pinned, never "the newest": answers change shape and strictness grows. What
//! must not happen is that a region ignores the header: then tag filters are dropped without
//! a word and a listing shows everybody's servers. So the header of each answer is checked.
//! Source: nova/api/openstack/rest_api_version_history.rst.

use std::fmt;

use reqwest::header::HeaderValue;

use super::call::Call;
use super::error::unreadable;
use super::transport::Response;
use super::wire::VersionRange;
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};

/// As `2.75`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Microversion(pub u16, pub u16);

/// What is asked where it is offered: from 2.75 on, unknown query parameters are refused
/// instead of ignored.
const WANTED: Microversion = Microversion(2, 75);

/// The least that will do: tags at create. A crash between a create and a later tagging
/// would leave servers that nobody knows.
const LEAST: Microversion = Microversion(2, 52);

/// `policy` of a server group in place of `policies`.
pub(super) const GROUP_POLICY: Microversion = Microversion(2, 64);

/// `volume_type` in a block device mapping.
pub(super) const VOLUME_TYPE: Microversion = Microversion(2, 67);

impl Microversion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }

    /// What to speak with a Nova of this range; a region that is too old is refused by name.
    pub(super) fn choose(range: &VersionRange, region: &Region) -> Result<Self, Failure> {
        let (newest, oldest) = (Self::parse(&range.version), Self::parse(&range.min_version));
        let refuse = |why: String| {
            Failure::new(FailureKind::Refused, why)
                .hint("Choose another region: servers must carry their tags from the first moment.")
        };
        match newest {
            Some(newest) if oldest.is_some_and(|oldest| oldest > WANTED) => Err(refuse(format!(
                "region {region} offers Nova from {} to {newest} only, novascale speaks {WANTED}",
                range.min_version
            ))),
            Some(newest) if newest >= LEAST => Ok(newest.min(WANTED)),
            _ => Err(refuse(format!(
                "region {region} offers Nova up to microversion {:?}, novascale needs {LEAST}",
                range.version
            ))),
        }
    }

    /// Adds both headers: the present one, and the one that proxies may still look for.
    pub(super) fn on(self, call: Call) -> Call {
        let header = |text: String| HeaderValue::from_str(&text);
        let (Ok(now), Ok(then)) = (header(format!("compute {self}")), header(self.to_string()))
        else {
            return call;
        };
        call.header("openstack-api-version", now).header("x-openstack-nova-api-version", then)
    }

    /// Whether the answer was made in this version.
    pub(super) fn check(self, call: &Call, answer: &Response) -> Result<(), Failure> {
        let said = answer.header("openstack-api-version").unwrap_or_default();
        let spoken = said.split(',').find_map(|part| part.trim().strip_prefix("compute "));
        if spoken.and_then(Self::parse) == Some(self) {
            return Ok(());
        }
        let said = if said.is_empty() { "none" } else { said };
        let why = format!("it was asked in microversion {self} and says {said}");
        Err(unreadable(call, answer, why).hint(
            "Without its microversion Nova ignores tag filters: nothing is done on such an answer.",
        ))
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_version_or_the_newest_that_will_do() {
        let choose = |newest: &str, oldest: &str| {
            let range = VersionRange { version: newest.into(), min_version: oldest.into() };
            Microversion::choose(&range, &Region::new("GRA11").unwrap())
        };
        assert_eq!(choose("2.103", "2.1").unwrap(), WANTED);
        assert_eq!(choose("2.72", "2.1").unwrap(), Microversion(2, 72));
        assert_eq!(choose("2.52", "2.1").unwrap(), LEAST);
        for (newest, oldest) in [("2.38", "2.1"), ("", ""), ("2.103", "2.90")] {
            let failure = choose(newest, oldest).unwrap_err();
            assert!(failure.message.contains("GRA11"), "{failure}");
        }
    }
}
