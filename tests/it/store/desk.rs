//! A store of either kind with a lease on it, and short ways to make what goes into it.

use std::path::Path;
use std::time::Duration;

use novascale::domain::claim::Memory;
use novascale::domain::count::Bounds;
use novascale::domain::fleet::Tally;
use novascale::domain::id::{
    GroupName, InstallId, IntentId, LaunchId, Region, ServerId, SignalName, TemplateHash,
};
use novascale::domain::intent::{Intent, Launch, State, What as IntentWhat};
use novascale::domain::plan::{Changes, Decision};
use novascale::domain::server::{Known, KnownState, Ownership};
use novascale::domain::signal::{Command, Ordered, Sample, Value};
use novascale::domain::time::{Now, Steady, Wall};
use novascale::store::sqlite::Options;
use novascale::store::{
    Admit, Admitted, Gathered, IdempotencyKey, Identified, Lease, MemoryStore, Sqlite, Store,
    StoreError, What, Window,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Memory,
    Sqlite,
    /// SQLite to which each sample is one of too many.
    Flood,
}

enum Back {
    Memory(Box<MemoryStore>),
    Sqlite(Sqlite, TempDir, Options),
}

pub struct Desk {
    back: Back,
    pub lease: Lease,
}

impl Kind {
    pub async fn open(self) -> Desk {
        match self {
            Self::Memory => Desk::new(Back::Memory(Box::new(MemoryStore::new(install())))).await,
            Self::Sqlite => Desk::of_state(TempDir::new().unwrap()).await,
            Self::Flood => Desk::of_flood(TempDir::new().unwrap()).await,
        }
    }
}

pub async fn sqlite(dir: &Path) -> Sqlite {
    Sqlite::open(dir, Options::new(install())).await.unwrap().0
}

/// A connection of somebody else to the same file.
pub async fn beside(dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.join("state.db"));
    options.connect().await.unwrap()
}

impl Desk {
    async fn new(back: Back) -> Self {
        let lease = match &back {
            Back::Memory(memory) => memory.acquire("the test"),
            Back::Sqlite(sqlite, ..) => sqlite.acquire("the test").await.unwrap(),
        };
        Self { back, lease }
    }

    /// SQLite, on what this directory holds.
    pub async fn of_state(dir: TempDir) -> Self {
        Self::opened(dir, Options::new(install())).await
    }

    /// The same where each sample is one of too many.
    pub async fn of_flood(dir: TempDir) -> Self {
        Self::opened(dir, Options { few: 0, ..Options::new(install()) }).await
    }

    async fn opened(dir: TempDir, options: Options) -> Self {
        let sqlite = Sqlite::open(dir.path(), options.clone()).await.unwrap().0;
        Self::new(Back::Sqlite(sqlite, dir, options)).await
    }

    /// Stopped: the directory with what it left.
    pub async fn closed(self) -> TempDir {
        match self.back {
            Back::Memory(_) => panic!("it has no directory"),
            Back::Sqlite(store, dir, _) => {
                store.close().await;
                dir
            }
        }
    }

    /// Stopped and started again: whatever is not durable is gone.
    pub async fn restarted(self) -> Self {
        let back = match self.back {
            Back::Memory(memory) => {
                memory.crash();
                Back::Memory(memory)
            }
            Back::Sqlite(store, dir, options) => {
                store.close().await;
                return Self::opened(dir, options).await;
            }
        };
        Self::new(back).await
    }

    pub fn store(&self) -> &dyn Store {
        match &self.back {
            Back::Memory(memory) => memory.as_ref(),
            Back::Sqlite(sqlite, ..) => sqlite,
        }
    }

    pub async fn take_over(&self, holder: &str) -> Lease {
        match &self.back {
            Back::Memory(memory) => memory.acquire(holder),
            Back::Sqlite(sqlite, ..) => sqlite.acquire(holder).await.unwrap(),
        }
    }

    pub async fn marked(&self) -> Option<Now> {
        match &self.back {
            Back::Memory(memory) => memory.origin().marked,
            Back::Sqlite(sqlite, ..) => sqlite.origin().await.unwrap().marked,
        }
    }

    /// Runs these statements on the file beside the store; false if there is no file.
    pub async fn sql(&self, statements: &'static str) -> bool {
        match &self.back {
            Back::Memory(_) => false,
            Back::Sqlite(_, dir, _) => {
                let mut conn = beside(dir.path()).await;
                sqlx::raw_sql(statements).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                true
            }
        }
    }

    pub async fn orders(&self, group: &GroupName) -> Vec<Ordered> {
        match &self.back {
            Back::Memory(memory) => memory.orders(group, u32::MAX),
            Back::Sqlite(sqlite, ..) => sqlite.orders(group, u32::MAX).await.unwrap(),
        }
    }

    pub async fn history(&self, group: &GroupName, name: &str) -> Vec<Sample> {
        let name = SignalName::new(name).unwrap();
        self.store().history(group, &name, Steady(0)).await.unwrap()
    }

    pub async fn admit(&self, admit: Admit) -> Result<Admitted, StoreError> {
        self.store().admit(&self.lease, admit).await
    }

    pub async fn record(&self, decision: &Decision) {
        self.store().record(&self.lease, decision).await.unwrap();
    }

    /// All there is, however old.
    pub async fn all(&self, group: &GroupName) -> Gathered {
        let ever = Duration::from_secs(1 << 40);
        self.store().gather(group, Window { now: at(0), signals: ever, past: ever }).await.unwrap()
    }

    pub async fn decisions(&self, group: &GroupName) -> Vec<Decision> {
        self.store().decisions(group, u32::MAX).await.unwrap()
    }
}

pub fn install() -> InstallId {
    InstallId::from_bits(7)
}

pub fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub fn web() -> GroupName {
    group("web")
}

/// Both clocks at this second.
pub fn at(secs: u64) -> Now {
    Now { wall: Wall(1_700_000_000_000), steady: Steady(0) }.plus(Duration::from_secs(secs))
}

/// A sample of the group's whole load, measured and received at these seconds.
pub fn sample(name: &str, value: f64, measured: u64, received: u64) -> Identified {
    let sample = Sample {
        name: SignalName::new(name).unwrap(),
        value: Value::new(value).unwrap(),
        at: at(measured).wall,
        received: at(received),
        server: None,
    };
    Identified { sample, id: None }
}

pub fn of_server(mut identified: Identified, server: &str) -> Identified {
    identified.sample.server = Some(ServerId::new(server).unwrap());
    identified
}

pub fn with_id(mut identified: Identified, id: &str) -> Identified {
    identified.id = Some(id.to_owned());
    identified
}

pub fn samples(group: &GroupName, secs: u64, samples: Vec<Identified>) -> Admit {
    read_by(group, secs, samples, &[])
}

/// Samples for a group whose policies read these names.
pub fn read_by(group: &GroupName, secs: u64, samples: Vec<Identified>, names: &[&str]) -> Admit {
    let names = names.iter().map(|name| SignalName::new(*name).unwrap()).collect();
    Admit { group: group.clone(), what: What::Samples(samples, names), key: None, at: at(secs) }
}

pub fn order(command: Command, secs: u64) -> Ordered {
    Ordered { command, at: at(secs), by: "operate".into(), reason: Some("a test".into()) }
}

pub fn command(group: &GroupName, secs: u64, command: Command) -> Admit {
    let what = What::Command(order(command, secs), Bounds::new(0, 10_000));
    Admit { group: group.clone(), what, key: None, at: at(secs) }
}

pub fn keyed(mut admit: Admit, key: &str, digest: u8) -> Admit {
    admit.key = Some(IdempotencyKey { key: key.to_owned(), digest: [digest; 32] });
    admit
}

pub fn decision(group: &GroupName, secs: u64) -> Decision {
    Decision {
        group: group.clone(),
        at: at(secs),
        config_hash: TemplateHash::new("0".repeat(16)).unwrap(),
        bounds: Bounds::new(0, 9),
        schedules: Vec::new(),
        claims: Vec::new(),
        wanted: Some(3),
        desired: 3,
        tempering: Vec::new(),
        tally: Tally::default(),
        plan: Vec::new(),
        waiting: Vec::new(),
        pauses: Default::default(),
        next_look: at(secs + 15).steady,
        changes: Changes::default(),
    }
}

/// A pass that concluded something of its own, with these changes.
pub fn eventful(group: &GroupName, secs: u64, changes: Changes) -> Decision {
    let desired = u32::try_from(secs % 10_000).unwrap();
    Decision { desired, changes, ..decision(group, secs) }
}

pub fn intent(group: &GroupName, bits: u128, secs: u64, state: State) -> Intent {
    let launch = Launch {
        launch: LaunchId::from_bits(bits),
        n: 2,
        region: Region::new("R1").unwrap(),
        zone: None,
        flavor: "d2-2".into(),
        template: TemplateHash::new("0".repeat(16)).unwrap(),
        proven: false,
    };
    let (id, what) = (IntentId::from_bits(bits), IntentWhat::Launch(launch));
    Intent { id, group: group.clone(), opened: at(secs), what, state, trouble: None }
}

pub fn known(id: &str, state: KnownState, secs: u64) -> Known {
    Known {
        id: ServerId::new(id).unwrap(),
        region: Region::new("R1").unwrap(),
        zone: None,
        launch: None,
        ownership: Ownership::Ours,
        state,
        since: at(secs).steady,
        first_seen: at(secs).steady,
        served: true,
        serves_since: None,
        failure: None,
        rests: false,
        found: false,
    }
}

pub fn memory(desired: u32) -> Memory {
    Memory { desired: Some(desired), ..Memory::default() }
}

/// The state that came with the answer, which must be of a first arrival.
pub fn stored(answer: Result<Admitted, StoreError>) -> (u32, Option<u32>) {
    match answer.unwrap() {
        Admitted::Stored { fresh, state } => (fresh, state.base),
        Admitted::Repeated { .. } => panic!("taken for a repetition"),
    }
}
