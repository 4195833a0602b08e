//! What the program says of itself while it runs: log lines and counters.
//!
//! [`log::start`] sets up where `tracing`'s events go: lines that a person enjoys reading
//! ([`mod@line`]), or JSON, one object for each event. [`count::Counters`] keeps the numbers
//! that grow; `/metrics` reads them. Nothing here knows what is logged or counted, or
//! imports any other part of the crate; so every part may use it.
//!
//! Secrets do not come here at all: types that hold them do not print. What strangers sent
//! may be logged, therefore control characters are escaped on the way out ([`escape`]).
//!
//! The field names of our events, used everywhere with the same meaning:
//!
//! | field | meaning |
//! |---|---|
//! | `group` | a group's name |
//! | `region` | a region's id |
//! | `server` | a Nova server's id |
//! | `launch` | the launch id of a create call |
//! | `intent` | the id of a journal line |
//! | `request_id` | Nova's or Keystone's `X-Openstack-Request-Id` |
//! | `peer` | the address of an HTTP client |
//! | `route` | the route of an HTTP request, as `/v1/groups/{group}` |
//! | `status` | an HTTP status |
//! | `error` | why something failed, as a sentence |
//! | `took_ms` | how long something took, in milliseconds |

pub mod count;
pub mod escape;
pub mod line;
pub mod log;

pub use count::{BreakerState, CallCount, Counters};
pub use log::{LogError, LogFormat, LogOptions};

/// The field names above, for whoever reads events by name.
pub const FIELDS: [&str; 11] = [
    "group",
    "region",
    "server",
    "launch",
    "intent",
    "request_id",
    "peer",
    "route",
    "status",
    "error",
    "took_ms",
];
