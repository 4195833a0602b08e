//! The laws of this cloud: how long things take, how much fits, how long a token lives.

use std::ops::RangeInclusive;

use super::quota::Quota;

/// What the caller may choose. Times are milliseconds, both ends included; each event draws its
/// own.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// From the 202 of a create to ACTIVE.
    pub build_ms: RangeInclusive<u64>,
    /// From the 204 of a delete to 404.
    pub delete_ms: RangeInclusive<u64>,
    /// Reboot, start, stop and rebuild.
    pub action_ms: RangeInclusive<u64>,
    /// Life of every token, in seconds; Keystone's default is 3600.
    pub token_life_secs: u64,
    /// The project's quota until somebody sets another.
    pub quota: Quota,
    /// Availability zones; the first is listed first, none is preferred.
    pub zones: Vec<String>,
    /// Hypervisors in each zone.
    pub hosts_per_zone: u32,
    /// What one hypervisor can hold.
    pub host_vcpus: u32,
    /// What one hypervisor can hold, in MB.
    pub host_ram_mb: u32,
    /// The longest page of a listing; Nova's default is 1000.
    pub max_page: usize,
}

impl Rules {
    /// The rules for a region; zones are named after it, in lower case, as OVHcloud does.
    ///
    /// The times are long enough to be watched and short enough not to bore; the hosts hold far
    /// more than the quota, so that capacity is only an issue for those who ask for it.
    pub fn for_region(region: &str) -> Rules {
        let region = region.to_lowercase();
        Rules {
            build_ms: 3_000..=6_000,
            delete_ms: 1_000..=2_000,
            action_ms: 1_000..=3_000,
            token_life_secs: 3_600,
            quota: Quota::default(),
            zones: vec![format!("{region}-a"), format!("{region}-b")],
            hosts_per_zone: 32,
            host_vcpus: 32,
            host_ram_mb: 131_072,
            max_page: 1_000,
        }
    }

    /// The life of a token in milliseconds.
    pub fn token_life_ms(&self) -> i64 {
        i64::try_from(self.token_life_secs.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }
}
