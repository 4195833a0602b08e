//! Samples on their way: what a transaction takes in, judged by the rules of [`keep`] beside what is
//! kept, and written in few statements when the transaction ends.
//!
//! A statement for each sample would cost several times what keeping it costs. So what a job needs to
//! know is read first, for all of its samples at once; then its samples are judged, all or none; and
//! what is new waits here until the transaction ends ([`Samples::end`]). Then its rows are written; or,
//! where there are many, it is kept as one text ([`super::arrivals`]), and its rows are written a few
//! at a time by the transactions that follow. What was read is right for the next transaction,
//! too, for nobody else writes; but for one whose end nobody knows it is to be forgotten.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::sqlite::SqliteConnection;

use super::arrivals::{self, Arrival, Arrivals};
use super::fault::Fault;
use super::rows;
use crate::domain::id::{GroupName, ServerId, SignalName};
use crate::domain::signal::Sample;
use crate::domain::time::Wall;
use crate::store::{StoreError, keep};

/// What was taken in, and what was read for that.
pub(super) struct Samples {
    /// So many are written as rows at once.
    few: usize,
    groups: BTreeMap<GroupName, Names>,
    /// The signals that were asked for, of which something may wait.
    asked: BTreeSet<(GroupName, SignalName)>,
    /// How many samples were taken in that may wait.
    waiting: usize,
    /// What this transaction took in.
    arrived: Arrivals,
    /// The texts whose samples wait, but for those of the round.
    texts: Vec<i64>,
    round: Option<Round>,
    /// The texts that were kept before were read.
    loaded: bool,
    /// How many pairs of name and server are held.
    series: usize,
}

#[derive(Default)]
struct Names {
    signals: BTreeMap<SignalName, Signal>,
    /// Read with the first sample that may need room.
    in_use: Option<InUse>,
}

/// What a group has of names, and of pairs of name and server.
#[derive(Clone, Copy)]
struct InUse {
    names: usize,
    series: usize,
}

type Server = Option<ServerId>;

/// One signal of one group.
#[derive(Default)]
struct Signal {
    /// None as long as there is no row of it.
    id: Option<i64>,
    /// How many samples its rows hold.
    kept: i64,
    /// Of how many servers there is a newest one, those that wait here among them.
    servers: usize,
    /// No row was measured later.
    last: Option<i64>,
    /// Of the servers that were asked for.
    newest: HashMap<Server, Option<Held>>,
    /// What was asked for, and what waits.
    window: BTreeMap<(Wall, Server), Held>,
    /// Some of it was only asked for.
    looked: bool,
}

/// A sample as it will stand in its row.
struct Held {
    sample: Sample,
    /// There is a row of it already.
    row: bool,
    /// It waits to be written.
    waits: bool,
}

impl Held {
    fn kept(sample: Sample) -> Self {
        Self { sample, row: true, waits: false }
    }

    fn new(sample: &Sample) -> Self {
        Self { sample: sample.clone(), row: false, waits: true }
    }

    fn replace(&mut self, sample: &Sample) {
        self.sample.clone_from(sample);
        self.waits = true;
    }
}

/// More are written at once, so that what waits is bounded: to about 40 MB in a flood of many names.
const WAITING_MOST: usize = 200_000;

/// So many pairs of name and server are held from one transaction to the next: about 10 MB, and more
/// than most fleets have. Beyond that all are read again.
const SERIES_HELD_MOST: usize = 40_000;

impl Samples {
    pub(super) fn new(few: usize) -> Self {
        Self {
            few,
            groups: BTreeMap::new(),
            asked: BTreeSet::new(),
            waiting: 0,
            arrived: Arrivals::default(),
            texts: Vec::new(),
            round: None,
            loaded: false,
            series: 0,
        }
    }

    /// What was read, and what waits, is had from the tables again.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.few);
    }

    /// Whether so many wait that they should be written before more are taken in.
    pub(super) fn many(&self) -> bool {
        self.waiting >= WAITING_MOST
    }

    /// Reads what judging these samples needs.
    pub(super) async fn read(
        &mut self,
        conn: &mut SqliteConnection,
        group: &GroupName,
        samples: &[&Sample],
    ) -> Result<(), Fault> {
        let names = self.groups.entry(group.clone()).or_default();
        let mut of_name: BTreeMap<&SignalName, Vec<&Sample>> = BTreeMap::new();
        for sample in samples {
            of_name.entry(&sample.name).or_default().push(sample);
        }
        for (name, samples) in of_name {
            let signal = match names.signals.entry(name.clone()) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(place) => place.insert(Signal::read(conn, group, name).await?),
            };
            self.asked.insert((group.clone(), name.clone()));
            self.series += signal.read_newest(conn, (group, name), &samples).await?;
            signal.read_window(conn, (group, name), &samples).await?;
            if names.in_use.is_none() && samples.iter().any(|sample| signal.lacks(sample)) {
                let (names_in_use, series) = rows::in_use(conn, group).await?;
                names.in_use = Some(InUse { names: names_in_use, series });
            }
        }
        Ok(())
    }

    /// Whether there is room for all of them; nothing is changed yet.
    pub(super) fn check(
        &self,
        room: &keep::Room<'_>,
        samples: &[&Sample],
    ) -> Result<(), StoreError> {
        let Some(held) = self.groups.get(room.group) else { return Ok(()) };
        // Where it was not read, nothing needs room.
        let Some(mut in_use) = held.in_use else { return Ok(()) };
        let mut added: BTreeMap<&SignalName, BTreeSet<&Server>> = BTreeMap::new();
        for sample in samples {
            let signal = held.signals.get(&sample.name);
            if !signal.is_none_or(|signal| signal.lacks(sample)) {
                continue;
            }
            if signal.is_none_or(Signal::is_new) && !added.contains_key(&sample.name) {
                room.for_name(sample, in_use.names)?;
                in_use.names += 1;
            }
            let servers = added.entry(&sample.name).or_default();
            if servers.contains(&sample.server) {
                continue;
            }
            let of_name = signal.map_or(0, |signal| signal.servers) + servers.len();
            room.for_series(sample, keep::Series { all: in_use.series, of_name })?;
            in_use.series += 1;
            servers.insert(&sample.server);
        }
        Ok(())
    }

    /// Takes a sample in, of which everything was read; whether it was not known before.
    pub(super) fn put(&mut self, group: &GroupName, sample: &Sample) -> bool {
        let Some(names) = self.groups.get_mut(group) else { return false };
        let Some(signal) = names.signals.get_mut(&sample.name) else { return false };
        let (name_is_new, series_is_new) = (signal.is_new(), signal.lacks(sample));
        if !signal.put(sample) {
            return false;
        }
        self.waiting += 1;
        self.arrived.add(group, sample);
        if let Some(in_use) = &mut names.in_use {
            in_use.names += usize::from(name_is_new);
            in_use.series += usize::from(series_is_new);
        }
        true
    }

    /// Goes on from the texts that are kept.
    pub(super) async fn load(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if std::mem::replace(&mut self.loaded, true) {
            return Ok(());
        }
        for Arrival { seq, group, samples } in arrivals::all(conn).await? {
            let samples: Vec<&Sample> = samples.iter().collect();
            match self.read(conn, &group, &samples).await {
                Ok(()) => {}
                Err(Fault::Sql(error)) => return Err(error),
                // A row of the group cannot be read; the text waits for the row to be mended.
                Err(Fault::Store(_)) => continue,
            }
            for sample in samples {
                self.put(&group, sample);
            }
            self.texts.push(seq);
        }
        self.arrived = Arrivals::default();
        Ok(())
    }

    /// Whether there are texts whose rows are to be written.
    pub(super) fn pending(&self) -> bool {
        self.round.is_some() || !self.texts.is_empty()
    }

    /// The transaction ends: what it took in is made durable.
    pub(super) async fn end(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if !self.pending() && self.arrived.samples <= self.few {
            return self.write(conn).await;
        }
        let came = self.arrived.samples;
        self.texts.append(&mut std::mem::take(&mut self.arrived).write(conn).await?);
        for (group, name) in &self.asked {
            let signal = self.groups.get_mut(group).and_then(|names| names.signals.get_mut(name));
            signal.into_iter().for_each(Signal::tidy);
        }
        self.write_some(conn, self.few.max(came / 4).max(1)).await
    }

    /// Writes so many of the rows that wait. A round takes what waits when it begins, and ends with
    /// the texts that this was kept in.
    async fn write_some(
        &mut self,
        conn: &mut SqliteConnection,
        mut rows: usize,
    ) -> Result<(), sqlx::Error> {
        let mut round = match self.round.take() {
            Some(round) => round,
            None => self.begin_round(),
        };
        while rows > 0
            && let Some(mut of) = round.left.pop()
        {
            let part = of.split(rows);
            rows -= part.rows();
            if of.rows() > 0 {
                round.left.push(of);
            }
            if let Some(signal) = self.signal(&part.group, &part.name) {
                signal.write(conn, &part).await?;
            }
        }
        if round.left.is_empty() {
            arrivals::drop(conn, &round.texts).await?;
            self.waiting = self.waiting.saturating_sub(round.waiting);
        } else {
            self.round = Some(round);
        }
        self.forget_if_many();
        Ok(())
    }

    fn begin_round(&mut self) -> Round {
        let mut left = Vec::new();
        for (group, name) in std::mem::take(&mut self.asked) {
            let waits = self.signal(&group, &name).map(Signal::all_that_waits);
            left.extend(waits.map(|(window, newest)| Rows { group, name, window, newest }));
        }
        Round { left, texts: std::mem::take(&mut self.texts), waiting: self.waiting }
    }

    /// Writes all that waits.
    pub(super) async fn write(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.arrived = Arrivals::default();
        while self.pending() {
            self.write_some(conn, usize::MAX).await?;
        }
        for (group, name) in std::mem::take(&mut self.asked) {
            if let Some(signal) = self.signal(&group, &name) {
                let (window, newest) = signal.what_waits();
                signal.write(conn, &Rows { group, name, window, newest }).await?;
            }
        }
        self.waiting = 0;
        self.forget_if_many();
        Ok(())
    }

    fn signal(&mut self, group: &GroupName, name: &SignalName) -> Option<&mut Signal> {
        self.groups.get_mut(group)?.signals.get_mut(name)
    }

    fn forget_if_many(&mut self) {
        if self.series > SERIES_HELD_MOST && !self.pending() && self.asked.is_empty() {
            *self = Self { loaded: true, ..Self::new(self.few) };
        }
    }
}

/// Rows that wait, and the texts that their samples are kept in until they all are written.
struct Round {
    left: Vec<Rows>,
    texts: Vec<i64>,
    /// How many samples waited when it began.
    waiting: usize,
}

/// Rows of one signal.
struct Rows {
    group: GroupName,
    name: SignalName,
    window: Vec<(Wall, Server)>,
    newest: Vec<Server>,
}

impl Rows {
    fn rows(&self) -> usize {
        self.window.len() + self.newest.len()
    }

    /// At most so many of them; the rest stay here.
    fn split(&mut self, most: usize) -> Self {
        let window: Vec<_> = self.window.drain(..most.min(self.window.len())).collect();
        let left = most - window.len();
        let newest = self.newest.drain(..left.min(self.newest.len())).collect();
        Self { group: self.group.clone(), name: self.name.clone(), window, newest }
    }
}

impl Signal {
    async fn read(
        conn: &mut SqliteConnection,
        group: &GroupName,
        name: &SignalName,
    ) -> Result<Self, Fault> {
        let Some(row) = rows::signal(conn, group, name).await? else { return Ok(Self::default()) };
        let (id, kept, servers, last) = row;
        let servers = usize::try_from(servers).unwrap_or(0);
        Ok(Self { id: Some(id), kept, servers, last, ..Self::default() })
    }

    /// The newest ones of their servers; how many were asked for.
    async fn read_newest(
        &mut self,
        conn: &mut SqliteConnection,
        of: (&GroupName, &SignalName),
        samples: &[&Sample],
    ) -> Result<usize, Fault> {
        let servers: BTreeSet<&Server> = samples.iter().map(|sample| &sample.server).collect();
        let unread = servers.into_iter().filter(|server| !self.newest.contains_key(*server));
        let asked: Vec<&Server> = unread.collect();
        let found = match self.id {
            Some(id) => rows::newest(conn, (id, of), &asked).await?,
            None => Vec::new(),
        };
        // Not before: what could not be read is not taken for what is not there.
        self.newest.extend(asked.iter().map(|server| ((*server).clone(), None)));
        for sample in found {
            self.newest.insert(sample.server.clone(), Some(Held::kept(sample)));
        }
        Ok(asked.len())
    }

    /// The rows in whose places these samples would stand. What was measured later than all that is
    /// kept has none.
    async fn read_window(
        &mut self,
        conn: &mut SqliteConnection,
        of: (&GroupName, &SignalName),
        samples: &[&Sample],
    ) -> Result<(), Fault> {
        let (Some(id), Some(last)) = (self.id, self.last) else { return Ok(()) };
        let old = samples.iter().filter(|sample| sample.at.0 <= last);
        let asked: Vec<(Wall, &Server)> = old
            .filter(|s| !self.window.contains_key(&(s.at, s.server.clone())))
            .map(|s| (s.at, &s.server))
            .collect();
        for sample in rows::window(conn, (id, of), &asked).await? {
            self.window.insert((sample.at, sample.server.clone()), Held::kept(sample));
            self.looked = true;
        }
        Ok(())
    }

    /// Nothing is kept of it, and nothing waits.
    fn is_new(&self) -> bool {
        self.id.is_none() && self.window.is_empty()
    }

    /// It has no newest sample of the sample's server.
    fn lacks(&self, sample: &Sample) -> bool {
        !matches!(self.newest.get(&sample.server), Some(Some(_)))
    }

    fn put(&mut self, sample: &Sample) -> bool {
        match self.window.entry((sample.at, sample.server.clone())) {
            Entry::Occupied(held) if !keep::adds(sample, &held.get().sample) => return false,
            Entry::Occupied(mut held) => held.get_mut().replace(sample),
            Entry::Vacant(place) => {
                place.insert(Held::new(sample));
            }
        }
        match self.newest.entry(sample.server.clone()).or_default() {
            Some(held) if keep::newer(sample, &held.sample) => held.replace(sample),
            Some(_) => {}
            none => {
                *none = Some(Held::new(sample));
                self.servers += 1;
            }
        }
        true
    }

    /// What no transaction needs any more goes: rows that were only looked at, and what is beyond the
    /// bound by what came with it, for that would only be dropped again.
    fn tidy(&mut self) {
        if std::mem::take(&mut self.looked) {
            self.window.retain(|_, held| held.waits);
        }
        while self.window.len() > keep::SAMPLES_MOST as usize {
            self.window.pop_first();
        }
    }

    /// What one transaction took in.
    fn what_waits(&mut self) -> (Vec<(Wall, Server)>, Vec<Server>) {
        // Of those that came, for there may be thousands of servers that did not.
        let came = self.window.iter().filter(|(_, held)| held.waits);
        let newest = came.map(|((_, server), _)| server.clone()).collect();
        self.tidy();
        (self.window.keys().cloned().collect(), newest)
    }

    fn all_that_waits(&mut self) -> (Vec<(Wall, Server)>, Vec<Server>) {
        self.tidy();
        let waits = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.waits);
        let newest = self.newest.iter().filter(|(_, held)| waits(held));
        let mut newest: Vec<Server> = newest.map(|(server, _)| server.clone()).collect();
        // Rows of one page after the other.
        newest.sort_unstable();
        (self.window.keys().cloned().collect(), newest)
    }

    async fn write(&mut self, conn: &mut SqliteConnection, part: &Rows) -> Result<(), sqlx::Error> {
        let window: Vec<Held> =
            part.window.iter().filter_map(|at| self.window.remove(at)).collect();
        let mut newest = Vec::new();
        for server in &part.newest {
            let held = self.newest.get_mut(server).and_then(Option::as_mut);
            if let Some(held) = held.filter(|held| held.waits) {
                held.waits = false;
                newest.push(held.sample.clone());
            }
        }
        if window.is_empty() && newest.is_empty() {
            return Ok(());
        }
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(rows::put_signal(conn, &part.group, &part.name).await?),
        };
        rows::put_newest(conn, id, &newest.iter().collect::<Vec<_>>()).await?;
        if window.is_empty() {
            return Ok(());
        }
        self.last = self.last.max(window.iter().map(|held| held.sample.at.0).max());
        let samples: Vec<&Sample> = window.iter().map(|held| &held.sample).collect();
        rows::put_window(conn, id, &samples).await?;
        let added = window.iter().filter(|held| !held.row).count();
        let kept = self.kept.saturating_add(i64::try_from(added).unwrap_or(i64::MAX));
        self.kept = rows::drop_oldest(conn, id, kept).await?;
        rows::put_kept(conn, id, self.kept).await
    }
}
