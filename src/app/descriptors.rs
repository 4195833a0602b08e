//! How many files and sockets may be open at once, and what that leaves to the listeners.
//!
//! A shell's soft limit is often 1024: as many idle connections would take every descriptor
//! from the loops, which need them for their calls. So it is raised to the hard limit, which a
//! process may do by itself; where that is not enough, fewer connections are taken.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all but the listeners' connections: the store, calls to the cloud and those that the
/// embedded one answers, the log.
const SPARE: u64 = 128;

/// How many connections each of the two listeners may hold, of those that the settings allow.
pub(super) fn connections(asked: usize) -> usize {
    let most = open_most(needed(asked));
    let fit = fitting(asked, most);
    if fit < asked {
        tracing::warn!(
            "`http.limits.connections` is {asked}, but {fit} are taken at most: this process may \
             have {} files open. Raise that limit (`ulimit -Hn`, LimitNOFILE= in a unit) to {}",
            most.unwrap_or(u64::MAX),
            needed(asked),
        );
    }
    fit
}

fn needed(connections: usize) -> u64 {
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(SPARE)
}

fn fitting(asked: usize, most: Option<u64>) -> usize {
    let Some(most) = most else { return asked };
    let each = most.saturating_sub(SPARE) / 2;
    usize::try_from(each).unwrap_or(usize::MAX).clamp(1, asked.max(1))
}

/// How many may be open, as many as are needed if that is allowed; `None` is any number.
fn open_most(needed: u64) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) || current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!("the limit of open files could not be raised: {error}");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_leave_descriptors_to_the_rest() {
        let cases = [
            (1024, None, 1024),
            (1024, Some(65_536), 1024),
            (1024, Some(2176), 1024),
            (1024, Some(2175), 1023),
            (1024, Some(1024), 448),
            (1024, Some(64), 1),
            (16, Some(1024), 16),
        ];
        for (asked, most, fit) in cases {
            assert_eq!(fitting(asked, most), fit, "{asked} of {most:?}");
        }
    }
}
