//! I12 on the wire: how much one process asks, and whether it obeys.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use novascale::cloud::openstack::transport::{Request, Response};
use novascale::domain::time::Steady;
use reqwest::StatusCode;

/// At five a second, with a burst of five in the beginning.
const CALLS_A_MINUTE: usize = 305;

/// The longest Retry-After that is obeyed.
const OBEYED_MOST: u64 = 300;

/// Whom a call goes to, and whether it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    SignIn,
    Read(Service),
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Compute,
    Image,
    Network,
}

impl Way {
    pub fn code(self) -> u64 {
        match self {
            Self::SignIn => 0,
            Self::Read(service) => 1 + service as u64,
            Self::Write => 9,
        }
    }
}

pub fn way(request: &Request) -> Way {
    let service = request.url.path().trim_start_matches('/').split('/').next();
    match (service, request.method.as_str()) {
        (Some("compute"), "GET") => Way::Read(Service::Compute),
        (Some("compute"), _) => Way::Write,
        (Some("image"), _) => Way::Read(Service::Image),
        (Some("network"), _) => Way::Read(Service::Network),
        _ => Way::SignIn,
    }
}

#[derive(Default)]
pub struct Meter {
    /// Signing in, reading and writing have an allowance each.
    sent: BTreeMap<u64, VecDeque<Steady>>,
    /// Until when a service wants no calls of a kind.
    quiet: BTreeMap<Way, Steady>,
}

impl Meter {
    /// What is wrong with a call that is sent now.
    pub fn sent(&mut self, way: Way, now: Steady) -> Option<String> {
        let class = way.code().min(1) + u64::from(way == Way::Write);
        let sent = self.sent.entry(class).or_default();
        sent.push_back(now);
        while sent.front().is_some_and(|at| now.since(*at) >= Duration::from_secs(60)) {
            sent.pop_front();
        }
        if sent.len() > CALLS_A_MINUTE {
            return Some(format!("{} calls a minute: {way:?}", sent.len()));
        }
        let quiet = self.quiet.get(&way).filter(|until| now < **until)?;
        Some(format!("{way:?} was asked at {now:?}, not to be before {quiet:?}"))
    }

    pub fn heard(&mut self, way: Way, answer: &Response, now: Steady) {
        // The identity provider and Keystone are two, and asked one after the other.
        if way == Way::SignIn || answer.status != StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        let after = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
        if let Some(after) = after {
            let until = now.plus(Duration::from_secs(after.min(OBEYED_MOST)));
            let quiet = self.quiet.entry(way).or_default();
            *quiet = (*quiet).max(until);
        }
    }
}
