//! Room for connections: so many in all, and so many from one address.
//!
//! Where there is none left, whoever has waited longest without a request makes room: a crowd that
//! connects and says nothing keeps nobody out. Connections with a request under way stay.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All places of one listener. Clones share them.
#[derive(Clone)]
pub(super) struct Room(Arc<Inner>);

struct Inner {
    most: usize,
    per_address: usize,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    next: u64,
    /// In the order in which they were taken.
    taken: BTreeMap<u64, Place>,
    of: HashMap<IpAddr, usize>,
}

struct Place {
    address: IpAddr,
    busy: Arc<AtomicBool>,
    end: CancellationToken,
}

/// A connection's place; it is free again once this is dropped.
pub(super) struct Seat {
    id: u64,
    room: Room,
    /// A request is under way.
    pub(super) busy: Arc<AtomicBool>,
    /// Cancelled when another connection needs the place more.
    pub(super) end: CancellationToken,
}

/// A connection was let in; how many had to go for it.
pub(super) type Seated = (Seat, u64);

impl Room {
    pub(super) fn new(most: usize, per_address: usize) -> Self {
        Self(Arc::new(Inner { most, per_address, places: Mutex::default() }))
    }

    /// A place, if there is one or somebody idle makes room. A proxy on this machine speaks for
    /// many: connections from here are bounded in all and not by address.
    pub(super) fn seat(&self, address: IpAddr) -> Option<Seated> {
        let address = address.to_canonical();
        let mut places = self.places();
        let mut gone = 0;
        let here = places.of.get(&address).copied().unwrap_or(0);
        if here >= self.0.per_address && !address.is_loopback() {
            places.evict(Some(address))?;
            gone += 1;
        }
        if places.taken.len() >= self.0.most {
            places.evict(None)?;
            gone += 1;
        }
        let (busy, end) = (Arc::<AtomicBool>::default(), CancellationToken::new());
        let id = places.next;
        places.next += 1;
        let place = Place { address, busy: Arc::clone(&busy), end: end.clone() };
        places.taken.insert(id, place);
        *places.of.entry(address).or_default() += 1;
        Some((Seat { id, room: self.clone(), busy, end }, gone))
    }

    /// A panic elsewhere leaves the places as they are.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The one that has waited longest goes.
    fn evict(&mut self, from: Option<IpAddr>) -> Option<()> {
        let waits = |place: &Place| {
            !place.busy.load(Ordering::Acquire) && from.is_none_or(|from| place.address == from)
        };
        let id = *self.taken.iter().find(|(_, place)| waits(place))?.0;
        let place = self.free(id)?;
        place.end.cancel();
        Some(())
    }

    fn free(&mut self, id: u64) -> Option<Place> {
        let place = self.taken.remove(&id)?;
        if let Some(n) = self.of.get_mut(&place.address) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.of.remove(&place.address);
            }
        }
        Some(place)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.places().free(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn who_waits_longest_makes_room_and_who_works_stays() {
        let room = Room::new(3, 3);
        let seats: Vec<Seat> = (0..3).map(|n| room.seat(from(n)).unwrap().0).collect();
        seats[0].busy.store(true, Ordering::Release);
        let (fourth, gone) = room.seat(from(9)).unwrap();
        assert_eq!(gone, 1);
        let ended: Vec<bool> = seats.iter().map(|seat| seat.end.is_cancelled()).collect();
        assert_eq!(ended, [false, true, false]);
        seats[2].busy.store(true, Ordering::Release);
        fourth.busy.store(true, Ordering::Release);
        assert!(room.seat(from(9)).is_none(), "all are at work");
        drop(fourth);
        assert_eq!(room.seat(from(9)).unwrap().1, 0);
    }

    #[test]
    fn one_address_has_its_share_and_this_machine_all() {
        let room = Room::new(5, 2);
        let first = room.seat(from(1)).unwrap().0;
        let second = room.seat(from(1)).unwrap().0;
        let (third, gone) = room.seat(from(1)).unwrap();
        assert_eq!((gone, first.end.is_cancelled(), second.end.is_cancelled()), (1, true, false));
        [&second, &third].iter().for_each(|seat| seat.busy.store(true, Ordering::Release));
        assert!(room.seat(from(1)).is_none());
        let others: Vec<_> = (0..3).map(|_| room.seat(IpAddr::from([127, 0, 0, 1]))).collect();
        assert!(others.iter().all(|seated| seated.as_ref().is_some_and(|(_, gone)| *gone == 0)));
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let room = Room::new(2, 2);
        for n in 0..100 {
            drop(room.seat(from(n)));
        }
        let places = room.places();
        assert!(places.taken.is_empty() && places.of.is_empty());
    }
}
