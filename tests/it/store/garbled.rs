//! Every column of every row of every table, garbled in turn, as a bad disk or a careless hand
//! does it: the state is refused with the way out, or a group stands still with a word about its
//! row, or nothing comes of it. Never is a server made or deleted because of it, and the other
//! group goes on.
//!
//! Tables and columns are asked of the schema: a new one is garbled as well.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, Wanted,
};
use novascale::control::pass::{PassError, pass};
use novascale::control::{Parts, Watcher};
use novascale::domain::fleet::{Observation, Seen};
use novascale::domain::freeze::NoBrake;
use novascale::domain::group::Group;
use novascale::domain::id::{GroupName, IntentId, LaunchId, Region, ServerId, Tag, mark};
use novascale::domain::intent::{Intent, State, Terminate, What};
use novascale::domain::outcome::{Failure, FailureKind, Outcome};
use novascale::domain::plan::{Cause, Changes, Decision};
use novascale::domain::server::{Known, KnownState, Server, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Now};
use novascale::store::sqlite::Options;
use novascale::store::{Sqlite, Store, StoreError};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::desk::*;
use crate::deciding::world;

/// When the state was written, and when it is read again.
const WRITTEN: u64 = 100_000;
const READ: u64 = WRITTEN + 5;

/// What is put into a column; an answer that equals what was there is no damage.
const GARBLES: [&str; 7] = [
    "NULL",
    "'garbage'",
    "CAST(x'7bff' AS TEXT)",
    "-1",
    "9223372036854775807",
    "9e999",
    "substr(old, 1, length(old) / 2)",
];

/// What keeps a table from holding nonsense, for people who use SQLite; a bad disk does not.
const GUARDS: [(&str, &str); 3] =
    [(" STRICT, WITHOUT", " WITHOUT"), (") STRICT", ")"), (" NOT NULL", "")];

fn named(name: &str) -> Group {
    let mut group = world::group(0, 9);
    group.name = GroupName::new(name).unwrap();
    group.tag = Tag::new(format!("novascale:{name}")).unwrap();
    group.policies = vec![world::target("load", 10.0)];
    group
}

/// A cloud that may be looked at.
struct Untouchable(Vec<Server>);

#[async_trait]
impl Compute for Untouchable {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(self.0.clone())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        Ok(self.0.iter().find(|server| server.id == *id).cloned())
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        panic!("{} more are launched", request.n)
    }

    async fn adopt(&self, _: &Marks) -> Result<(), Failure> {
        panic!("nobody ordered an adoption")
    }

    async fn delete(&self, _: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        panic!("{} is deleted", permit.id())
    }
}

#[async_trait]
impl Resolve for Untouchable {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        Err(Failure::new(FailureKind::Refused, format!("a launch of {}", wanted.group)))
    }

    fn forget(&self, _: &Region) {}
}

impl Watcher for Untouchable {
    fn decided(&self, _: &Decision) {}
    fn ended(&self, _: &Decision, _: &Outcome) {}
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        at(READ)
    }
}

/// Three servers of a launch of four, the last of which is still to come; one of them is on its
/// way out, and nothing but the journal tells of both.
struct Fleet {
    group: Group,
    ids: [ServerId; 3],
    bits: u128,
}

impl Fleet {
    fn of(name: &str, bits: u128) -> Self {
        let ids = [1, 2, 3].map(|n| ServerId::new(format!("{name}-{n}")).unwrap());
        Self { group: named(name), ids, bits }
    }

    fn launch(&self) -> LaunchId {
        LaunchId::from_bits(self.bits)
    }

    fn servers(&self) -> Vec<Server> {
        let marks = [
            (mark::INSTALL, install().to_string()),
            (mark::GROUP, self.group.name.to_string()),
            (mark::LAUNCH, self.launch().to_string()),
            (mark::TEMPLATE, self.group.template.hash.to_string()),
        ];
        let metadata = marks.map(|(key, value)| (key.to_owned(), value));
        let one = |id: &ServerId| Server {
            id: id.clone(),
            name: id.to_string(),
            status: Status::Active,
            deleting: false,
            launched: true,
            created: at(1).wall,
            tags: vec![self.group.tag.to_string()],
            metadata: metadata.clone().into(),
            locked: false,
            region: self.group.region.clone(),
            zone: None,
            flavor: "d2-2".to_owned(),
            addresses: Vec::new(),
            fault: None,
        };
        self.ids.iter().map(one).collect()
    }

    fn known(&self) -> Vec<Known> {
        let one = |id: &ServerId| Known {
            launch: Some(self.launch()),
            ..known(id.as_str(), KnownState::Listed, WRITTEN - 60)
        };
        self.ids.iter().map(one).collect()
    }

    fn intents(&self) -> Vec<Intent> {
        let (name, then) = (&self.group.name, at(WRITTEN - 1));
        let accepted = || State::Accepted { at: then, first: None, short: None };
        let mut launch = intent(name, self.bits, WRITTEN - 1, accepted());
        if let What::Launch(launch) = &mut launch.what {
            launch.n = 4;
        }
        let what = What::Terminate(Terminate {
            server: self.ids[2].clone(),
            cause: Cause::Surplus,
            served: true,
            attempts: 0,
        });
        let id = IntentId::from_bits(self.bits + 1);
        let leaving = Intent { id, what, state: accepted(), ..launch.clone() };
        let before = intent(
            name,
            self.bits + 2,
            WRITTEN - 90,
            State::Closed { at: at(WRITTEN - 80), done: 2 },
        );
        vec![launch, leaving, before]
    }

    /// All that may be stored of a group.
    async fn store(&self, store: &Sqlite, lease: &novascale::store::Lease) {
        let name = &self.group.name;
        let given = keyed(command(name, WRITTEN - 100, Command::Set { capacity: 3 }), "key", 1);
        store.admit(lease, given).await.unwrap();
        let load = with_id(sample("load", 30.0, WRITTEN, WRITTEN), "id");
        store.admit(lease, samples(name, WRITTEN, vec![load])).await.unwrap();
        let memory = Some(novascale::domain::claim::Memory {
            changed: Some(at(WRITTEN - 60).steady),
            ..memory(3)
        });
        let (known, intents) = (self.known(), self.intents());
        let changes = Changes { memory, intents, known, ..Changes::default() };
        store.record(lease, &eventful(name, WRITTEN, changes)).await.unwrap();
    }

    fn seen(&self) -> Observation {
        Observation::Seen(Seen {
            servers: self.servers().into_iter().map(Arc::new).collect(),
            began: at(READ),
            fresh_for: Duration::from_secs(30),
            lookups: Vec::new(),
            sought: Default::default(),
        })
    }
}

fn fleets() -> [Fleet; 2] {
    [Fleet::of("web", 16), Fleet::of("api", 32)]
}

/// A state with a row in every table, closed again.
async fn written() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = sqlite(dir.path()).await;
    let lease = store.acquire("the test").await.unwrap();
    for fleet in fleets() {
        fleet.store(&store, &lease).await;
    }
    store.freeze_all(&lease, None).await.unwrap();
    store.bind(&lease, "project").await.unwrap();
    store.close().await;
    let mut conn = connect(&dir.path().join("state.db")).await;
    sqlx::raw_sql(AssertSqlSafe(arrived())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    dir
}

/// What a machine that dies in a flood leaves: a sample that came before the newest.
fn arrived() -> String {
    let Now { wall, steady } = at(WRITTEN);
    let (wall, steady) = (wall.0, steady.0);
    let body = format!(
        "[{{\"name\":\"load\",\"wall\":{wall},\"steady\":{steady},\"samples\":[[9000,1.0,null]]}}]"
    );
    format!("INSERT INTO arrival (group_name, body) VALUES ('web', '{body}')")
}

/// Something to garble: a table's column, and the row by its keys.
struct Place {
    table: String,
    column: String,
    row: String,
}

async fn connect(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    let options = options.synchronous(SqliteSynchronous::Off);
    options.pragma("ignore_check_constraints", "ON").connect().await.unwrap()
}

async fn rows<T>(conn: &mut SqliteConnection, sql: String) -> Vec<T>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(conn).await.unwrap()
}

/// Every column of every row but those of the group that is to go on.
async fn places(file: &Path) -> Vec<Place> {
    let mut conn = connect(file).await;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut places = Vec::new();
    for (table,) in rows::<(String,)>(&mut conn, tables.to_owned()).await {
        let info = format!("SELECT name, pk FROM pragma_table_info('{table}')");
        let columns: Vec<(String, i64)> = rows(&mut conn, info).await;
        let keys = columns.iter().filter(|(_, pk)| *pk > 0);
        let row: Vec<String> =
            keys.map(|(name, _)| format!("'{name} = ' || quote({name})")).collect();
        let has = |column: &str| columns.iter().any(|(name, _)| name == column);
        let of = if has("group_name") {
            " WHERE group_name <> 'api'"
        } else if has("signal") {
            " WHERE signal IN (SELECT id FROM signal WHERE group_name <> 'api')"
        } else {
            ""
        };
        let found = format!("SELECT {} FROM {table}{of}", row.join(" || ' AND ' || "));
        let found: Vec<(String,)> = rows(&mut conn, found).await;
        assert!(!found.is_empty(), "the table {table} has no row: garble it by one");
        for (row,) in found {
            places.extend(columns.iter().map(|(column, _)| Place {
                table: table.clone(),
                column: column.clone(),
                row: row.clone(),
            }));
        }
    }
    conn.close().await.unwrap();
    places
}

/// Takes the guards from the tables, and tells how they were.
async fn unguarded(file: &Path) -> Vec<(String, String)> {
    let mut conn = connect(file).await;
    let tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'";
    let were: Vec<(String, String)> = rows(&mut conn, tables.to_owned()).await;
    for (name, sql) in &were {
        let bare = GUARDS.iter().fold(sql.clone(), |sql, (guard, none)| sql.replace(guard, none));
        redefine(&mut conn, name, &bare).await;
    }
    conn.close().await.unwrap();
    were
}

async fn redefine(conn: &mut SqliteConnection, table: &str, sql: &str) {
    sqlx::raw_sql("PRAGMA writable_schema = ON").execute(&mut *conn).await.unwrap();
    let update = sqlx::query("UPDATE sqlite_schema SET sql = ? WHERE name = ?");
    update.bind(sql).bind(table).execute(conn).await.unwrap();
}

/// Whether there was anything to garble.
async fn garble(file: &Path, place: &Place, garble: &str, were: &[(String, String)]) -> bool {
    let Place { table, column, row } = place;
    let garble = garble.replace("old", column);
    let mut conn = connect(file).await;
    let sql =
        format!("UPDATE {table} SET {column} = {garble} WHERE {row} AND {column} IS NOT {garble}");
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await;
    for (name, sql) in were {
        redefine(&mut conn, name, sql).await;
    }
    conn.close().await.unwrap();
    match done {
        Ok(done) => done.rows_affected() > 0,
        // What no key allows cannot be written at all.
        Err(error) => {
            let told = error.to_string();
            let keys = ["UNIQUE constraint", "NOT NULL constraint", "datatype mismatch"];
            assert!(
                keys.iter().any(|key| told.contains(key)),
                "{table}.{column} = {garble}: {error}"
            );
            false
        }
    }
}

fn says(text: &str, words: &[&str], case: &str) {
    for word in words {
        assert!(text.contains(word), "{case}: {word:?} is missing in: {text}");
    }
}

/// A start that is refused names what cannot be read and the way out.
fn judge_refusal(error: &StoreError, case: &str) {
    assert!(
        matches!(error, StoreError::Corrupt(_) | StoreError::Foreign(_)),
        "{case}: refused with {error:?}"
    );
    let text = error.to_string();
    let outs = ["backup", "Use that build", "Use the newer version"];
    assert!(outs.iter().any(|out| text.contains(out)), "{case}: no way out in: {text}");
    let named = text.contains("state.db") || text.contains("the table controller");
    assert!(named, "{case}: nothing is named in: {text}");
}

fn parts(store: &Arc<Sqlite>, lease: &novascale::store::Lease, fleet: &Fleet) -> Parts {
    let cloud = || Arc::new(Untouchable(fleet.servers()));
    Parts {
        compute: cloud(),
        resolve: cloud(),
        watcher: cloud(),
        store: Arc::clone(store) as Arc<dyn Store>,
        lease: lease.clone(),
        clock: Arc::new(Still),
        install: install(),
        brake: Arc::new(NoBrake),
        stopping: Default::default(),
        adopting: Default::default(),
        broken: Default::default(),
    }
}

async fn look(parts: &Parts, fleet: &Fleet) -> Result<Arc<Decision>, PassError> {
    let mut dice = world::Dice(StdRng::seed_from_u64(1));
    pass(parts, &fleet.group, &fleet.seen(), at(READ), &mut dice, |_| ()).await
}

/// The other group goes on, and this one at least does nothing.
async fn judge_passes(store: &Arc<Sqlite>, place: &Place, case: &str) {
    let lease = match store.acquire("the test").await {
        Ok(lease) => lease,
        Err(error) => return judge_refusal(&error, case),
    };
    let [web, api] = fleets();
    let shared = place.table == "controller";
    let others = look(&parts(store, &lease, &api), &api).await;
    assert!(shared || others.is_ok(), "{case}: the other group: {}", others.unwrap_err());
    match look(&parts(store, &lease, &web), &web).await {
        Ok(decision) => assert_eq!(decision.plan, [], "{case}: {:?}", decision.sentences()),
        Err(PassError::Store(StoreError::Corrupt(text))) => {
            says(&text, &["the row", &format!("table {}", place.table), "backup"], case);
        }
        Err(error) => panic!("{case}: {error}"),
    }
    let load = sample("load", 30.0, READ, READ);
    let kept = store.admit(&lease, samples(&api.group.name, READ, vec![load])).await;
    assert!(shared || kept.is_ok(), "{case}: the other group: {kept:?}");
    for fleet in [web, api] {
        let name = &fleet.group.name;
        let load = sample("load", 31.0, READ + 1, READ + 1);
        let _told = store.admit(&lease, samples(name, READ + 1, vec![load])).await;
        let _shown = (store.decisions(name, 9).await, store.orders(name, 9).await);
    }
    let _swept = store.sweep(&lease, at(READ)).await;
    let _probed = store.probe(&lease).await;
}

async fn story(base: &Path, (place, word): (&Place, &str), were: &[(String, String)]) -> bool {
    let case = format!("{}.{} = {word} where {}", place.table, place.column, place.row);
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("state.db");
    fs::copy(base.join("state.db"), &file).unwrap();
    if !garble(&file, place, word, were).await {
        return false;
    }
    match Sqlite::open(dir.path(), Options::new(install())).await {
        Err(error) => judge_refusal(&error, &case),
        Ok((store, _)) => {
            let store = Arc::new(store);
            judge_passes(&store, place, &case).await;
            store.close().await;
        }
    }
    true
}

/// A number that a sender may have measured is no nonsense, however large: max bounds what comes
/// of it.
fn nonsense((place, word): &(&Place, &str)) -> bool {
    place.column != "value" || word.starts_with('-') || word.parse::<u64>().is_err()
}

#[test]
fn what_is_garbled_never_makes_or_deletes_a_server() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let (base, were, places) = runtime().block_on(async {
        let base = written().await;
        let file = base.path().join("state.db");
        let places = places(&file).await;
        let were = unguarded(&file).await;
        (base, were, places)
    });
    let of = |place| GARBLES.iter().map(move |word| (place, *word));
    let cases: Vec<_> = places.iter().flat_map(of).filter(nonsense).collect();
    let (next, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Most of it is waiting for the disk.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let runtime = runtime();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let garbled = runtime.block_on(story(base.path(), *case, &were));
                    written.fetch_add(usize::from(garbled), Ordering::Relaxed);
                }
            });
        }
    });
    let (written, all) = (written.into_inner(), cases.len());
    assert!(written * 3 > all * 2, "only {written} of {all} garblings could be written");
}

#[tokio::test]
async fn what_nobody_garbled_goes_on() {
    let dir = written().await;
    let store = Arc::new(sqlite(dir.path()).await);
    let lease = store.acquire("the test").await.unwrap();
    for fleet in fleets() {
        let decision = look(&parts(&store, &lease, &fleet), &fleet).await.unwrap();
        let tally = decision.tally;
        let told = (decision.desired, tally.serving, tally.leaving, tally.coming);
        assert_eq!(told, (3, 2, 1, 1), "{:?}", decision.sentences());
        assert_eq!(decision.plan, []);
    }
}
