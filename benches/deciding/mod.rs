//! Deciding for 1,000 groups of 100 servers on one core.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use novascale::decide::{Draws, Open, Snapshot, decide};
use novascale::domain::behaviour::Behaviour;
use novascale::domain::claim::Memory;
use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Observation, Seen};
use novascale::domain::group::{
    Group, GroupState, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use novascale::domain::id::{
    GroupName, InstallId, LaunchId, Region, ServerId, SignalName, Tag, TemplateHash, mark,
};
use novascale::domain::policy::{Policy, Reading, Total};
use novascale::domain::server::{Known, KnownState, Ownership, Server, Status};
use novascale::domain::signal::{Sample, Value};
use novascale::domain::time::{Now, Steady, Wall};

const GROUPS: u32 = 1000;
const SERVERS: u32 = 100;
const AIM: Duration = Duration::from_millis(50);
const RUNS: usize = 7;

struct Counter(u128);

impl Draws for Counter {
    fn bits(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

struct Case {
    group: Group,
    observation: Observation,
    known: Vec<Known>,
    memory: Memory,
    samples: Vec<Sample>,
    state: GroupState,
}

pub fn run() {
    let now = Now { wall: Wall(1_700_000_000_000), steady: Steady(100_000_000) };
    let install = InstallId::from_bits(1);
    let cases: Vec<Case> = (0..GROUPS).map(|n| case(n, now, &install)).collect();
    let (decided, cloned) =
        (median(|| deciding(&cases, now, &install)), median(|| cloning(&cases)));
    let aim = decided.as_secs_f64() / AIM.as_secs_f64();
    let floor = decided.as_secs_f64() / cloned.as_secs_f64();
    println!(
        "decide: {GROUPS} groups of {SERVERS} servers in {:.1} ms; {aim:.2} × the aim of {} ms; \
         {floor:.1} × the time to copy what is remembered of those servers ({:.1} ms)",
        decided.as_secs_f64() * 1e3,
        AIM.as_millis(),
        cloned.as_secs_f64() * 1e3,
    );
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn deciding(cases: &[Case], now: Now, install: &InstallId) {
    let mut draws = Counter(0);
    for case in cases {
        let snapshot = Snapshot {
            now,
            group: &case.group,
            install,
            state: &case.state,
            memory: Some(&case.memory),
            samples: &case.samples,
            history: &[],
            intents: &[],
            known: &case.known,
            observation: &case.observation,
            all_frozen: None,
            brake: None,
            open: &Open::default(),
        };
        let decision = black_box(decide(&snapshot, &mut draws));
        assert_eq!(decision.desired, SERVERS + 1);
        assert_eq!(decision.plan.len(), 1);
    }
}

fn cloning(cases: &[Case]) {
    for case in cases {
        let copied: BTreeMap<ServerId, Known> =
            case.known.iter().map(|k| (k.id.clone(), k.clone())).collect();
        black_box(copied);
    }
}

fn case(n: u32, now: Now, install: &InstallId) -> Case {
    let group = group(n);
    let servers: Vec<Arc<Server>> =
        (0..SERVERS).map(|s| Arc::new(server(&group, n, s, now, install))).collect();
    let mut known: Vec<Known> = servers.iter().map(|server| known(server, now)).collect();
    // As the store hands them out.
    known.sort_by(|a, b| a.id.cmp(&b.id));
    let seen = Seen {
        servers,
        began: now,
        fresh_for: Duration::from_secs(30),
        lookups: vec![],
        sought: Default::default(),
    };
    let signal = SignalName::new("requests").unwrap();
    let load = Value::new(f64::from(SERVERS) * 100.0 + 1.0).unwrap();
    let sample = Sample { name: signal, value: load, at: now.wall, received: now, server: None };
    Case {
        group,
        observation: Observation::Seen(seen),
        known,
        memory: Memory { desired: Some(SERVERS), ..Memory::default() },
        samples: vec![sample],
        state: GroupState::default(),
    }
}

fn group(n: u32) -> Group {
    let hash = TemplateHash::new("0123456789abcdef").unwrap();
    let signal = SignalName::new("requests").unwrap();
    let stale_after = Duration::from_secs(300);
    Group {
        name: GroupName::new(format!("group-{n}")).unwrap(),
        tag: Tag::new(format!("novascale:group-{n}")).unwrap(),
        region: Region::new("R1").unwrap(),
        bounds: Bounds::new(1, 200),
        template: Template {
            flavors: vec!["small".into()],
            image: ImageRef::Name("Debian 12".into()),
            networks: Networks::Auto,
            security_groups: vec![],
            key_name: None,
            zones: vec![],
            user_data: None,
            metadata: BTreeMap::new(),
            name_prefix: "web".into(),
            config_drive: false,
            boot_volume: None,
            placement: Placement::Anywhere,
            hash: hash.clone(),
        },
        policies: vec![Policy::Total(Total::of(Reading::newest(signal, stale_after), 100.0))],
        schedules: Vec::new(),
        behaviour: Behaviour::default(),
        patience: Patience::default(),
        launch: LaunchLimits::default(),
        config_hash: hash,
    }
}

fn server(group: &Group, n: u32, s: u32, now: Now, install: &InstallId) -> Server {
    let launch = LaunchId::from_bits(u128::from(n) << 32 | u128::from(s));
    let marks = [
        (mark::INSTALL, install.to_string()),
        (mark::GROUP, group.name.to_string()),
        (mark::LAUNCH, launch.to_string()),
        (mark::TEMPLATE, group.template.hash.to_string()),
    ];
    Server {
        id: ServerId::new(uuid(u64::from(n) << 32 | u64::from(s))).unwrap(),
        name: format!("web-{s}"),
        status: Status::Active,
        deleting: false,
        launched: true,
        created: now.wall,
        tags: vec![group.tag.to_string(), launch.tag()],
        metadata: marks.map(|(k, v)| (k.to_owned(), v)).into(),
        locked: false,
        region: group.region.clone(),
        zone: None,
        flavor: "small".into(),
        addresses: vec!["198.18.0.7".into()],
        fault: None,
    }
}

/// A text like Nova's ids: they differ from the first character on.
fn uuid(serial: u64) -> String {
    let mixed = serial.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hex = format!("{mixed:016x}{:016x}", mixed.rotate_left(23));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn known(server: &Server, now: Now) -> Known {
    Known {
        id: server.id.clone(),
        region: server.region.clone(),
        zone: None,
        launch: server.launch(),
        ownership: Ownership::Ours,
        state: KnownState::Listed,
        since: now.steady.minus(Duration::from_secs(600)),
        first_seen: now.steady.minus(Duration::from_secs(600)),
        served: true,
        serves_since: None,
        failure: None,
        rests: false,
        found: false,
    }
}
