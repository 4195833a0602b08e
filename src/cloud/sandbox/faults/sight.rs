//! What one reader is shown of the servers.

use super::Faults;
use crate::cloud::sandbox::model::Millis;
use crate::cloud::sandbox::model::server::Server;
use crate::config::rehearsal::Fault;

/// A server is young so long, and a lagging listing mostly lacks it.
const YOUNG: Millis = 90_000;

/// The length of pages that are wrong.
const PAGE: usize = 2;

/// How a listing shows the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloud::sandbox) struct Sight {
    cell_down: u32,
    lags: Option<u64>,
    pub(in crate::cloud::sandbox) unfiltered: bool,
    pages: Option<Pages>,
}

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloud::sandbox) enum Pages {
    Right,
    /// The first page once more, whichever was asked for.
    Again,
    /// No word of a next page.
    Last,
    /// The marker is said not to exist.
    NoMarker,
}

impl Sight {
    pub(in crate::cloud::sandbox) fn drawn(faults: &mut Faults) -> Sight {
        let salt = |faults: &mut Faults| faults.dice.within(&(0..=u64::from(u32::MAX))) as u64;
        let lags = faults.strikes(Fault::ListLags).then(|| salt(faults));
        let pages =
            faults.is_on(Fault::PagesWrong).then(|| match faults.strikes(Fault::PagesWrong) {
                true => faults.one_of(Pages::Again, &[Pages::Last, Pages::NoMarker]),
                false => Pages::Right,
            });
        Sight {
            cell_down: faults.amount(Fault::CellDown).unwrap_or_default(),
            lags,
            unfiltered: faults.strikes(Fault::TagFilterIgnored),
            pages,
        }
    }

    /// Whether the server lies in a cell that cannot be reached.
    pub(in crate::cloud::sandbox) fn unreachable(&self, server: &Server) -> bool {
        lot(&server.id, 0) < self.cell_down
    }

    /// Whether the listing leaves it out.
    pub(in crate::cloud::sandbox) fn lacks(&self, server: &Server, now: Millis) -> bool {
        let share = if now - server.created < YOUNG { 76 } else { 20 };
        self.lags.is_some_and(|salt| lot(&server.id, salt) < share)
    }

    /// The marker that counts, of what was asked for; an error if there is none such.
    pub(in crate::cloud::sandbox) fn marker<'a>(
        &self,
        asked: Option<&'a str>,
    ) -> Result<Option<&'a str>, &'a str> {
        match (self.pages, asked) {
            (Some(Pages::Again), _) => Ok(None),
            (Some(Pages::NoMarker), Some(marker)) => Err(marker),
            (_, asked) => Ok(asked),
        }
    }

    pub(in crate::cloud::sandbox) fn page(&self, limit: usize) -> usize {
        if self.pages.is_some() { limit.min(PAGE) } else { limit }
    }

    pub(in crate::cloud::sandbox) fn tells_of_next(&self) -> bool {
        self.pages != Some(Pages::Last)
    }
}

/// A number below 100 that an id and a draw have together: FNV-1a, of which no more is asked.
pub fn lot(id: &str, salt: u64) -> u32 {
    let mixed = id.bytes().fold(0xcbf2_9ce4_8422_2325 ^ salt, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from((mixed ^ (mixed >> 32)) % 100).unwrap_or_default()
}
