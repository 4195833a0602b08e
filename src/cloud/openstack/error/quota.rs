//! Quotas, as refusals word them, and how many servers would still fit.

use super::envelope::Told;

/// Whether the answer says that a quota is used up.
/// Source: nova/exception.py TooManyInstances, GroupMemberLimitExceeded, PortLimitExceeded;
/// oslo.limit ProjectOverLimit; neutron-lib exceptions OverQuota.
pub(super) fn says(told: &Told) -> bool {
    let words = &told.message;
    words.starts_with("Quota exceeded")
        || words.contains("Maximum number of ports exceeded")
        || words.contains("is over a limit for")
        || words.contains("is over limit of")
        || told.kind == "OverQuota"
}

/// How many of `asked` servers the numbers of the refusal leave room for: the least over
/// all resources it names, always fewer than asked. None if it names no numbers.
pub(super) fn fits(words: &str, asked: Option<u32>) -> Option<u32> {
    let asked = asked.filter(|n| *n > 0)?;
    let resources = project_quota(words).or_else(|| unified_limits(words))?;
    let room = resources.iter().filter_map(|resource| resource.fits(asked)).min()?;
    Some(room.min(asked - 1))
}

/// One resource of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resource {
    /// For all servers of the request together.
    requested: u64,
    used: u64,
    limit: u64,
}

impl Resource {
    fn fits(self, asked: u32) -> Option<u32> {
        let each = self.requested.div_ceil(u64::from(asked)).max(1);
        u32::try_from(self.limit.saturating_sub(self.used) / each).ok()
    }
}

/// `Quota exceeded for cores, ram: Requested 8, 4096, but already used 34, 0 of 36, 2048 cores, ram`
fn project_quota(words: &str) -> Option<Vec<Resource>> {
    let (_, rest) = words.split_once("Requested ")?;
    let (requested, rest) = rest.split_once(", but already used ")?;
    let (used, limits) = rest.split_once(" of ")?;
    let (requested, used, limits) = (numbers(requested), numbers(used), numbers(limits));
    let same = requested.len() == used.len() && used.len() == limits.len();
    if requested.is_empty() || !same {
        return None;
    }
    let each = requested.into_iter().zip(used).zip(limits);
    Some(each.map(|((requested, used), limit)| Resource { requested, used, limit }).collect())
}

/// The numbers at the beginning of a comma-separated list, up to the first that is none:
/// `36, 20 cores, instances` is 36 and 20.
fn numbers(list: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for item in list.split(',') {
        let item = item.trim();
        let digits = item.split(' ').next().unwrap_or_default();
        match digits.parse() {
            Ok(number) => found.push(number),
            Err(_) => break,
        }
        if digits.len() < item.len() {
            break;
        }
    }
    found
}

/// `[Resource servers is over limit of 20 due to current usage 20 and delta 1, Resource …]`
fn unified_limits(words: &str) -> Option<Vec<Resource>> {
    let after = |text: &str, mark: &str| -> Option<u64> {
        let (_, rest) = text.split_once(mark)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    let each = words.split("Resource ").skip(1).map(|text| {
        let limit = after(text, "over limit of ")?;
        let used = after(text, "current usage ")?;
        let requested = after(text, "delta ")?;
        Some(Resource { requested, used, limit })
    });
    let all: Vec<Resource> = each.collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_the_least_over_all_resources() {
        for (words, asked, expected) in [
            (
                "Quota exceeded for cores, instances: Requested 20, 10, but already used 4, 2 of \
                 20, 5 cores, instances",
                10,
                Some(3),
            ),
            ("Quota exceeded for cores: Requested 8, but already used 2 of 9 cores", 4, Some(3)),
            ("Quota exceeded for cores: Requested 2, but already used 34 of 34 cores", 1, Some(0)),
            (
                "Quota exceeded for instances, ram: Requested 3, 21000, but already used 0, 0 of \
                 10, 14000 instances, ram",
                3,
                Some(2),
            ),
            (
                "Quota exceeded for instances: Requested 2, but already used 9 of 5 instances",
                2,
                Some(0),
            ),
            (
                "Quota exceeded for instances: Requested 2, but already used 0 of 50 instances",
                2,
                Some(1),
            ),
            (
                "Project p is over a limit for [Resource servers is over limit of 20 due to \
                 current usage 18 and delta 5, Resource class:VCPU is over limit of 40 due to \
                 current usage 30 and delta 20]",
                5,
                Some(2),
            ),
            ("Quota exceeded, too many servers in group", 5, None),
            ("Quota exceeded for x: Requested many, but already used 1 of 2 x", 5, None),
            ("Quota exceeded for a, b: Requested 1, 2, but already used 1 of 2 a, b", 5, None),
        ] {
            assert_eq!(fits(words, Some(asked)), expected, "{words}");
        }
        assert_eq!(fits("Requested 2, but already used 0 of 1 x", None), None);
    }
}
