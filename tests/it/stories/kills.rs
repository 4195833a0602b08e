//! kill -9 at every step. The daemon ends itself at a point of `src/killpoint.rs`, or is ended
//! while the cloud has its call, and is started again: nothing is there twice, nothing is left
//! over, nothing went that should have stayed, and what was sent twice counts once.
//!
//! Every point is tried in one of the stories that lead to it, and with `NOVASCALE_KILLS=all` in
//! each of them, and when a call that is one of many comes there. A point that is not reached
//! fails: nobody may believe in a kill that never came. `NOVASCALE_KILLS=launch.` tries all of
//! that of the points with these words in their names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use novascale::domain::id::{LaunchId, mark};
use novascale::killpoint;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::adopted::by_hand;
use super::cloud::{Answer, Ask, Cloud, Fault};
use super::place::{Daemon, FAST, PATIENCE, Place, group};

/// Stories at a time: most of their time is spent waiting for settling times.
const AT_ONCE: usize = 12;

/// Servers of one create: five servers are three calls.
const BATCH: usize = 2;

/// Two more, at the other end of the wire: a create or delete has come, nothing is done; it is
/// done, nothing is answered.
const CLOUD: [&str; 2] = ["cloud.heard", "cloud.done"];

/// What is under way when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// The first start of all.
    First,
    /// A start with a fleet of three.
    Again,
    /// From nothing to five.
    Launch,
    /// From five to two.
    Terminate,
    /// One of those that serve has failed.
    Replace,
    /// Everything is frozen, and let go on.
    Freeze,
    /// The configuration is read again, and wants five where there were three.
    Reload,
    /// Told to stop while it launches.
    Stop,
    /// Two servers of a group that has a new name are taken over.
    Adopt,
}

#[derive(Debug, Clone)]
struct Case {
    point: &'static str,
    /// It dies when it comes there for the so-manieth time.
    time: u32,
    stories: Vec<Story>,
}

/// What NOVASCALE_KILLS asks for.
fn chosen() -> VecDeque<Case> {
    let asked = std::env::var("NOVASCALE_KILLS").unwrap_or_default();
    let all = cases();
    match asked.as_str() {
        "all" => all.into(),
        // One story of each point; which, changes from one to the next.
        "" => {
            let first =
                all.into_iter().filter(|case| case.time == first_time(case.point)).enumerate();
            let one = |(at, case): (usize, Case)| {
                let at = at % case.stories.len();
                Case { stories: vec![case.stories[at]], ..case }
            };
            first.map(one).collect()
        }
        some => all.into_iter().filter(|case| case.point.contains(some)).collect(),
    }
}

/// The first time that belongs to the story: the embedded cloud saves once when it is opened.
fn first_time(point: &str) -> u32 {
    if point.starts_with("embedded") { 2 } else { 1 }
}

/// Every case there is.
fn cases() -> Vec<Case> {
    use Story::*;
    let points = killpoint::ALL.iter().map(|(name, _)| *name).chain(CLOUD);
    let mut cases = Vec::new();
    for point in points {
        let (stage, step) = point.split_once('.').unwrap();
        let (times, stories): (&[u32], &[Story]) = match (stage, step) {
            // Only what is not there yet is drawn or made.
            ("start", "drawn" | "made") => (&[1], &[First]),
            // What was never stored is not swept.
            (_, "sweep") => (&[1], &[Again]),
            // A state is bound to its project once.
            (_, "bind") => (&[1], &[First]),
            ("start", _) | (_, "acquire" | "mark" | "note") => (&[1], &[First, Again]),
            ("admit", _) | (_, "admit") => (&[1], &[Launch, Terminate, Adopt]),
            (_, "freeze") => (&[1], &[Freeze]),
            ("reload", _) => (&[1], &[Reload]),
            ("launch", _) | (_, "create") => (&[1, 2], &[Launch, Replace]),
            ("terminate", _) | (_, "delete") => (&[1, 2], &[Terminate, Replace]),
            ("adopt", _) | (_, "tag" | "metadata" | "untag") => (&[1, 2], &[Adopt]),
            (_, "settle" | "settled") => (&[1, 2], &[Launch, Terminate, Replace, Adopt]),
            ("pass" | "cloud", _) | (_, "record") => (&[1], &[Launch, Terminate, Replace, Adopt]),
            ("embedded", _) => (&[2], &[Launch, Terminate]),
            ("stop", _) => (&[1], &[Stop]),
            _ => panic!("no story leads to {point}"),
        };
        for time in times {
            // A server that failed is replaced by one call of each kind.
            let comes = |story: &Story| *time == 1 || *story != Replace;
            let stories = stories.iter().copied().filter(comes).collect();
            cases.push(Case { point, time: *time, stories });
        }
    }
    cases
}

/// What the wire does, and what it saw.
#[derive(Default)]
struct Wire {
    /// Shown as failed while it is there.
    failed: Option<String>,
    /// Whom a call ends, and whether only once it is done.
    kills: Option<(u32, bool)>,
    /// Calls take a while.
    slow: bool,
    deleted: BTreeSet<String>,
}

impl Wire {
    fn befalls(&mut self, ask: &Ask) -> Option<Fault> {
        if changes(ask) {
            if let Some((pid, false)) = self.kills {
                kill(pid);
                return Some(Fault::Answer(503, &[], String::new()));
            }
            return self.slow.then(|| Fault::Slow(Duration::from_millis(100)));
        }
        let failed = self.failed.clone()?;
        Some(Fault::Edit(Arc::new(move |body: &mut Value| fail(body, &failed))))
    }

    fn saw(&mut self, ask: &Ask, answer: &Answer) {
        if changes(ask)
            && let Some((pid, true)) = self.kills
        {
            kill(pid);
        }
        if ask.deletes() && answer.status.is_success() {
            self.deleted.extend(ask.path.rsplit('/').next().map(str::to_owned));
        }
    }
}

fn changes(ask: &Ask) -> bool {
    ask.creates() || ask.deletes() || ask.marks()
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may be gone: calls go side by side.
    let _sent = kill_process(pid, Signal::KILL);
}

fn fail(body: &mut Value, id: &str) {
    let mark = |server: &mut Value| {
        if server["id"] == id {
            server["status"] = "ERROR".into();
        }
    };
    if let Some(servers) = body.get_mut("servers").and_then(Value::as_array_mut) {
        servers.iter_mut().for_each(mark);
    } else if let Some(server) = body.get_mut("server") {
        mark(server);
    }
}

/// One case under way.
struct Run<'p> {
    case: Case,
    place: &'p Place,
    /// None if the daemon brings its own.
    cloud: Option<&'p Cloud>,
    wire: Arc<Mutex<Wire>>,
    daemon: Option<Daemon<'p>>,
    fleet: BTreeSet<String>,
    orders: u32,
}

impl<'p> Run<'p> {
    /// Starts it so that it will be killed; it need not come so far as to be ready.
    fn start_to_die(&mut self) {
        self.stop_now();
        let Case { point, time, .. } = self.case;
        let daemon = self.place.start_to_die(&format!("{point}:{time}"));
        if CLOUD.contains(&point) {
            self.wire().kills = Some((daemon.pid(), point == "cloud.done"));
        }
        self.daemon = Some(daemon);
    }

    fn wire(&self) -> std::sync::MutexGuard<'_, Wire> {
        self.wire.lock().unwrap()
    }

    fn daemon(&self) -> &Daemon<'p> {
        self.daemon.as_ref().unwrap()
    }

    fn stop_now(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Waits for its end and starts it whole.
    fn dies_and_starts(&mut self) {
        self.daemon.take().unwrap().dies(self.case.point);
        self.wire().kills = None;
        self.starts();
    }

    fn starts(&mut self) {
        let words = ["run", "--log-level", "warn,novascale=debug"];
        self.daemon = Some(self.place.start_as(&words, &[]));
    }

    /// Orders a change of the base, under a key of its own; nobody may be there to answer.
    fn orders(&mut self, by: i64) {
        self.orders += 1;
        let _unheard = self.sends(by);
    }

    /// Whoever heard no answer sends again: it may not count twice.
    fn sends_again(&self, by: i64) {
        let heard = self.sends(by).unwrap();
        assert_eq!(heard.status, 202, "{heard:?}");
    }

    fn sends(&self, by: i64) -> Result<super::place::Heard, reqwest::Error> {
        let (key, body) = (format!("order {}", self.orders), json!({ "adjust": by }));
        let line = "POST /v1/groups/web/capacity";
        self.place.try_to_ask("admin", line, ("operate", Some(&key)), Some(body))
    }

    /// Waits until so many serve and nothing is under way; they are the fleet from now on.
    fn rests_at(&mut self, n: usize) -> BTreeSet<String> {
        let idle = ["coming", "building", "leaving", "failed", "unsure", "idle", "foreign"];
        self.place.until("web", &format!("rest at {n}"), |g| {
            let tally = &g["tally"];
            let rests = g["situation"] == "steady" && idle.iter().all(|what| tally[*what] == 0);
            rests && g["desired"] == n && tally["serving"] == n
        });
        let plan = self.place.ask("admin", "GET /v1/groups/web/plan", "read", None).json();
        assert_eq!(plan["changes"], false, "{plan:#}");
        let servers = self.truth();
        let mut launches: BTreeMap<&str, usize> = BTreeMap::new();
        for server in &servers {
            assert_eq!(server["status"], "ACTIVE", "{server:#}");
            let launch = server["metadata"]["novascale:launch"].as_str().unwrap();
            *launches.entry(launch).or_default() += 1;
        }
        assert!(launches.values().all(|n| *n <= BATCH), "{launches:?}");
        let ids = servers.iter().map(|server| server["id"].as_str().unwrap().to_owned());
        let fleet: BTreeSet<String> = ids.collect();
        assert_eq!(fleet.len(), n, "{servers:#?}");
        std::mem::replace(&mut self.fleet, fleet)
    }

    /// Every server of the cloud, by its own word. A daemon that brings its cloud is stopped for it.
    fn truth(&mut self) -> Vec<Value> {
        if let Some(cloud) = self.cloud {
            return cloud.servers();
        }
        self.ends_well();
        let servers = Cloud::kept(&self.place.state("sandbox")).servers();
        self.starts();
        servers
    }

    fn ends_well(&mut self) {
        let stopped = self.daemon.take().unwrap().stop();
        assert_eq!(stopped.code, 0, "{}", stopped.log);
    }

    fn deleted(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.wire().deleted)
    }

    fn tell(&mut self, story: Story) {
        match story {
            Story::First => self.first(),
            Story::Again => self.again(),
            Story::Launch => self.launch(),
            Story::Terminate => self.terminate(),
            Story::Replace => self.replace(),
            Story::Freeze => self.freeze(),
            Story::Reload => self.reload(),
            Story::Stop => self.stop(),
            Story::Adopt => self.adopt(),
        }
    }

    fn first(&mut self) {
        self.start_to_die();
        self.dies_and_starts();
        self.orders(3);
        self.rests_at(3);
    }

    fn again(&mut self) {
        if self.fleet.is_empty() {
            self.starts();
            self.orders(3);
            self.rests_at(3);
        }
        self.start_to_die();
        self.dies_and_starts();
        let before = self.rests_at(3);
        assert_eq!(self.fleet, before);
        assert_eq!(self.deleted(), BTreeSet::new());
    }

    fn launch(&mut self) {
        self.start_to_die();
        self.daemon().is_ready();
        self.orders(5);
        self.dies_and_starts();
        self.sends_again(5);
        self.rests_at(5);
        assert_eq!(self.deleted(), BTreeSet::new(), "launched and deleted again");
    }

    fn terminate(&mut self) {
        self.grown_to(5);
        self.start_to_die();
        self.daemon().is_ready();
        self.orders(-3);
        self.dies_and_starts();
        self.sends_again(-3);
        let before = self.rests_at(2);
        let gone: BTreeSet<_> = before.difference(&self.fleet).cloned().collect();
        assert_eq!(gone.len(), 3, "others were launched: {before:?}, {:?}", self.fleet);
        if self.cloud.is_some() {
            assert_eq!(self.deleted(), gone);
        }
    }

    fn replace(&mut self) {
        let n = self.grown_to(2);
        let failed = self.fleet.first().unwrap().clone();
        self.wire().failed = Some(failed.clone());
        self.start_to_die();
        self.dies_and_starts();
        let before = self.rests_at(n);
        self.wire().failed = None;
        let stayed = before.intersection(&self.fleet).count();
        assert_eq!(stayed, n - 1, "{before:?}, {:?}", self.fleet);
        assert_eq!(self.deleted(), BTreeSet::from([failed]));
    }

    fn freeze(&mut self) {
        let ask = |line: &str| {
            let body = line.starts_with("PUT").then(|| json!({}));
            self.place.try_to_ask("admin", line, ("operate", None), body)
        };
        self.grown_to(3);
        self.start_to_die();
        self.daemon().is_ready();
        let _unheard = ask("PUT /v1/freeze");
        self.dies_and_starts();
        assert_eq!(ask("PUT /v1/freeze").unwrap().status, 202);
        self.orders(2);
        self.place.until("web", "a freeze", |g| g["situation"] == "frozen");
        assert_eq!(self.truth().len(), 3);
        assert_eq!(ask("DELETE /v1/freeze").unwrap().status, 202);
        self.rests_at(5);
        assert_eq!(self.deleted(), BTreeSet::new());
    }

    fn reload(&mut self) {
        self.grown_to(3);
        let before = self.fleet.clone();
        self.start_to_die();
        self.daemon().is_ready();
        let file = self.place.path().join("scaling.toml");
        let text = std::fs::read_to_string(file).unwrap().replace("min = 0", "min = 5");
        self.place.write("scaling.toml", &text);
        self.daemon().signal("HUP");
        self.dies_and_starts();
        self.rests_at(5);
        assert!(self.fleet.is_superset(&before), "{before:?}, {:?}", self.fleet);
        assert_eq!(self.deleted(), BTreeSet::new());
    }

    fn stop(&mut self) {
        let cloud = self.cloud.unwrap();
        self.wire().slow = true;
        self.start_to_die();
        self.daemon().is_ready();
        self.orders(5);
        self.place.until("web", "a create under way", |_| cloud.asked(Ask::creates) > 0);
        self.daemon().signal("TERM");
        self.dies_and_starts();
        self.rests_at(5);
        assert_eq!(self.deleted(), BTreeSet::new());
    }

    fn adopt(&mut self) {
        let n = self.grown_to(2);
        let theirs = self.of_the_old_name(2);
        self.start_to_die();
        self.daemon().is_ready();
        let _unheard = self.takes_over();
        self.dies_and_starts();
        let heard = self.takes_over().unwrap();
        assert_eq!(heard.status, 202, "{heard:?}");
        let fleet: BTreeSet<String> = self.fleet.union(&theirs).cloned().collect();
        self.place.until("web", "the fleet of both", |g| {
            g["tally"]["serving"] == fleet.len() && g["tally"]["foreign"] == 0
        });
        assert_eq!(fleet.len(), n + 2);
        let began = Instant::now();
        // The order itself goes on looking for more; nothing of it is under way any more.
        while !self.all_are_whole(&fleet) || !self.open_in_the_journal().is_empty() {
            assert!(began.elapsed() < PATIENCE, "left half way: {:#?}", self.truth());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.deleted(), BTreeSet::new());
        self.fleet = fleet;
    }

    /// So many servers as a group that was called `old` has left them.
    fn of_the_old_name(&self, n: u128) -> BTreeSet<String> {
        let install = std::fs::read_to_string(self.place.state("controller.id")).unwrap();
        let one = |at| {
            let launch = LaunchId::from_bits(at).to_string();
            let marks = [
                (mark::INSTALL, install.trim()),
                (mark::GROUP, "old"),
                (mark::LAUNCH, launch.as_str()),
            ];
            by_hand(self.cloud.unwrap(), &["novascale:old"], &marks)
        };
        (0..n).map(one).collect()
    }

    fn takes_over(&self) -> Result<super::place::Heard, reqwest::Error> {
        let how = ("operate", Some("take over"));
        let body = json!({ "from": "old" });
        self.place.try_to_ask("admin", "POST /v1/groups/web/adopt", how, Some(body))
    }

    /// Each has the group's tag and mark, and none of another group's.
    fn all_are_whole(&mut self, fleet: &BTreeSet<String>) -> bool {
        let servers = self.truth();
        let ids = servers.iter().map(|s| s["id"].as_str().unwrap().to_owned());
        assert_eq!(ids.collect::<BTreeSet<_>>(), *fleet);
        let whole = |server: &Value| {
            let tags = server["tags"].as_array().unwrap();
            let ours = tags.iter().filter(|tag| !tag.as_str().unwrap().contains("launch"));
            server["metadata"][mark::GROUP] == "web" && ours.eq(["novascale:web"])
        };
        servers.iter().all(whole)
    }

    /// The size of the fleet, which is made to be there.
    fn grown_to(&mut self, n: usize) -> usize {
        if self.fleet.is_empty() {
            self.starts();
            self.orders(i64::try_from(n).unwrap());
            self.rests_at(n);
        }
        self.fleet.len()
    }

    fn open_in_the_journal(&self) -> Vec<String> {
        let open = "SELECT body FROM intent WHERE state NOT IN ('closed', 'abandoned')";
        self.place.rows(open)
    }

    /// Stopped at the end: nothing is open in the journal, and it knows who is there.
    fn journal_is_closed(&mut self) {
        self.ends_well();
        assert_eq!(self.open_in_the_journal(), Vec::<String>::new());
        let known: BTreeSet<_> =
            self.place.rows("SELECT server FROM known WHERE ended IS NULL").into_iter().collect();
        assert_eq!(known, self.fleet);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.stop_now();
        if std::thread::panicking() {
            let logs = self.place.said().into_iter().filter(|(who, _)| who == "the log");
            for (_, log) in logs {
                println!("---- {:?}\n{log}", self.case);
            }
        }
    }
}

/// All stories of one case, in one place, one after the other; how it went.
fn tell(case: Case) -> String {
    let began = Instant::now();
    let own = case.point.contains("embedded");
    let cloud = (!own).then(Cloud::start);
    let wire = Arc::new(Mutex::new(Wire::default()));
    if let Some(cloud) = &cloud {
        let (tampers, watches) = (Arc::clone(&wire), Arc::clone(&wire));
        cloud.tamper(move |ask| tampers.lock().unwrap().befalls(ask));
        cloud.watch(move |ask, answer| watches.lock().unwrap().saw(ask, answer));
    }
    let section = match &cloud {
        Some(cloud) => cloud.section(),
        None => "[cloud]\nuse = \"sandbox\"\n\n[cloud.sandbox]\nbuild = [\"10ms\", \"50ms\"]\n\
                 delete = \"20ms\"\n\n"
            .to_owned(),
    };
    let web = group("web", 0, 8).replace("batch = 4", &format!("batch = {BATCH}"));
    let place = Place::new(&format!("{section}{FAST}{web}"));
    let mut run = Run {
        case: case.clone(),
        place: &place,
        cloud: cloud.as_ref(),
        wire,
        daemon: None,
        fleet: BTreeSet::new(),
        orders: 0,
    };
    let Case { point, time, stories } = case.clone();
    for story in &stories {
        run.tell(*story);
    }
    run.journal_is_closed();
    format!("{point}:{time} {stories:?}: {:.1} s", began.elapsed().as_secs_f64())
}

#[test]
fn killed_at_every_step_everything_comes_out_even() {
    let cases = Mutex::new(chosen());
    let told = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().pop_front() } {
                    let name = format!("{}:{}", case.point, case.time);
                    let thread = std::thread::Builder::new().name(name.clone());
                    match thread.spawn(move || tell(case)).unwrap().join() {
                        Ok(words) => told.lock().unwrap().push(words),
                        Err(_) => failed.lock().unwrap().push(name),
                    }
                }
            });
        }
    });
    let (told, failed) = (told.into_inner().unwrap(), failed.into_inner().unwrap());
    println!("{}\n{} cases came out even", told.join("\n"), told.len());
    assert!(failed.is_empty(), "killed there, it did not come out even: {failed:?}");
    assert!(!told.is_empty(), "nothing was killed");
}
