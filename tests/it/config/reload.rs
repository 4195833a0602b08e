//! What a reload applies of a file: every key of a group, and nothing of the other sections.

use std::collections::BTreeSet;

use novascale::config::Config;
use novascale::config::change::waits_for_restart;

use super::Place;

const RATES: &str = "rates = [{ count = 4, per = \"1m\" }, { percent = \"100%\", per = \"1m\" }]";

/// A line of a group's section, and another one in its place. A section's first line stands for
/// what the cases after it begin with.
const GROUP: [(&str, &[[&str; 2]]); 16] = [
    (
        "[group.web]",
        &[
            ["min = 1", "min = 2"],
            ["max = 9", "max = 8"],
            ["tag = \"one\"", "tag = \"other\""],
            ["region = \"R1\"", "region = \"R2\""],
            ["flavor = \"d2-2\"", "flavor = [\"d2-2\", \"d2-4\"]"],
            ["image = \"Debian 12\"", "image = { id = \"3f0fb6ba-2b1f-4a3e-8f0c-0f4f7d2a1f11\" }"],
            ["image = \"Debian 12\"", "image = { newest = \"Debian *\" }"],
            ["image = \"Debian 12\"", "image = { name = \"Debian 13\" }"],
            ["networks = [\"Ext-Net\"]", "networks = \"auto\""],
            ["security_groups = [\"default\"]", "security_groups = [\"web\"]"],
            ["key_pair = \"me\"", "key_pair = \"you\""],
            ["availability_zones = [\"a\"]", "availability_zones = [\"a\", \"b\"]"],
            ["user_data = \"one\"", "user_data = \"other\""],
            ["user_data = \"one\"", "user_data_file = \"boot.sh\""],
            ["metadata = { role = \"web\" }", "metadata = { role = \"db\" }"],
            ["name_prefix = \"one\"", "name_prefix = \"other\""],
            ["config_drive = false", "config_drive = true"],
            ["anti_affinity = \"soft\"", "anti_affinity = \"strict\""],
            ["anti_affinity = \"soft\"", "server_group = \"ours\""],
        ],
    ),
    (
        "[group.web.boot_volume]",
        &[
            ["size_gib = 20", "size_gib = 30"],
            ["type = \"classic\"", "type = \"fast\""],
            ["delete_on_termination = true", "delete_on_termination = false"],
        ],
    ),
    (
        "[[group.web.target]]",
        &[
            ["signal = \"requests\"", "signal = \"jobs\""],
            ["per_server = 100", "per_server = 50"],
            ["stale_after = \"5m\"", "stale_after = \"6m\""],
            ["aggregate = \"avg\"", "aggregate = \"max\""],
            ["window = \"3m\"", "window = \"4m\""],
            ["tolerance = \"5%\"", "tolerance = \"6%\""],
            ["hold_for = \"30m\"", "hold_for = \"40m\""],
            ["fallback = 2", "fallback = 3"],
        ],
    ),
    (
        "[[group.web.target]] # of an average",
        &[
            ["signal = \"cpu\"", "signal = \"memory\""],
            ["average = 60", "average = 70"],
            ["warm_up = \"1m\"", "warm_up = \"2m\""],
            ["tolerance = \"10%\"", "tolerance = \"11%\""],
        ],
    ),
    (
        "[[group.web.step]]",
        &[
            ["signal = \"queue\"", "signal = \"backlog\""],
            ["stale_after = \"5m\"", "stale_after = \"6m\""],
            ["out = [{ from = 9, change = 1 }]", "out = [{ from = 8, change = 1 }]"],
            ["out = [{ from = 9, change = 1 }]", "out = [{ from = 9, to = 20, change = 1 }]"],
            ["out = [{ from = 9, change = 1 }]", "out = [{ from = 9, change = 2 }]"],
            ["out = [{ from = 9, change = 1 }]", "out = [{ from = 9, exact = 1 }]"],
            ["out = [{ from = 9, change = 1 }]", "out = [{ from = 9, percent = \"1%\" }]"],
            [
                "in = [{ to = 5, percent = \"5%\" }]",
                "in = [{ to = 5, percent = \"5%\", least = 2 }]",
            ],
            ["warm_up = \"5m\"", "warm_up = \"6m\""],
            ["flapping_guard = true", "flapping_guard = false"],
        ],
    ),
    (
        "[[group.web.alert]]",
        &[
            ["alert = \"QueueHigh\"", "alert = \"QueueLow\""],
            ["change = 2", "change = 3"],
            ["every = \"5m\"", "every = \"6m\""],
            ["most = 6", "most = 7"],
            ["expires_after = \"5h\"", "expires_after = \"6h\""],
        ],
    ),
    (
        "[[group.web.alert]] # a share",
        &[
            ["alert = \"Slow\"", "alert = \"Slower\""],
            ["percent = \"20%\"", "percent = \"30%\""],
            ["least = 2", "least = 3"],
        ],
    ),
    (
        "[[group.web.alert]] # a number",
        &[["alert = \"Peak\"", "alert = \"Peaks\""], ["capacity = 6", "capacity = 7"]],
    ),
    (
        "[[group.web.expression]]",
        &[
            ["name = \"jobs\"", "name = \"work\""],
            ["servers = \"queue / 10\"", "servers = \"queue / 20\""],
        ],
    ),
    (
        "[[group.web.schedule]]",
        &[
            ["name = \"office\"", "name = \"hours\""],
            ["cron = \"0 8 * * *\"", "cron = \"0 9 * * *\""],
            ["timezone = \"Europe/Paris\"", "timezone = \"Europe/London\""],
            ["duration = \"8h\"", "duration = \"9h\""],
            ["duration = \"8h\"", "end = \"0 18 * * *\""],
            ["min = 3", "min = 4"],
            ["max = 30", "max = 40"],
            ["capacity = 5", "capacity = 6"],
            ["lead = \"auto\"", "lead = \"5m\""],
        ],
    ),
    (
        "[[group.web.schedule]] # once",
        &[
            ["from = 2030-12-24T18:00:00", "from = 2030-12-24T19:00:00"],
            ["until = 2030-12-25T06:00:00", "until = 2030-12-25T07:00:00"],
            ["capacity = 9", "capacity = 8"],
        ],
    ),
    (
        "[group.web.scale_out]",
        &[
            ["stabilization = \"0s\"", "stabilization = \"1m\""],
            ["cooldown = \"0s\"", "cooldown = \"1m\""],
            [RATES, "rates = [{ count = 5, per = \"1m\" }, { percent = \"100%\", per = \"1m\" }]"],
            [RATES, "rates = [{ count = 4, per = \"1m\" }, { percent = \"90%\", per = \"1m\" }]"],
            [RATES, "rates = [{ count = 4, per = \"1m\" }, { percent = \"100%\", per = \"2m\" }]"],
            [RATES, "rates = [{ count = 4, per = \"1m\" }]"],
            ["select = \"max\"", "select = \"min\""],
            ["select = \"max\"", "select = \"disabled\""],
            ["tolerance = \"10%\"", "tolerance = \"0%\""],
        ],
    ),
    (
        "[group.web.scale_in]",
        &[
            ["stabilization = \"5m\"", "stabilization = \"6m\""],
            ["cooldown = \"1m\"", "cooldown = \"2m\""],
            ["velocity = \"25%\"", "velocity = \"50%\""],
            ["rates = [{ count = 4, per = \"1m\" }]", "rates = [{ count = 4, per = \"2m\" }]"],
            ["select = \"min\"", "select = \"disabled\""],
            ["tolerance = \"5%\"", "tolerance = \"10%\""],
        ],
    ),
    (
        "[group.web.patience]",
        &[
            ["build = \"15m\"", "build = \"16m\""],
            ["delete = \"5m\"", "delete = \"6m\""],
            ["settle = \"10m\"", "settle = \"11m\""],
        ],
    ),
    (
        "[group.web.launch]",
        &[
            ["batch = 50", "batch = 5"],
            ["backoff_first = \"30s\"", "backoff_first = \"40s\""],
            ["backoff_most = \"5m\"", "backoff_most = \"6m\""],
        ],
    ),
    (
        "[group.web.meltdown]",
        &[
            ["share = \"45%\"", "share = \"50%\""],
            ["most = 3", "most = 4"],
            ["within = \"10m\"", "within = \"20m\""],
        ],
    ),
];

const CLOUD: &str = "[cloud]\nuse = \"sandbox\"\n\n";

/// The file, with one line in another one's place.
fn file(section: &str, change: Option<[&str; 2]>) -> String {
    let mut text = CLOUD.to_owned();
    for (title, cases) in GROUP {
        text += &format!("{title}\n");
        let mut written = BTreeSet::new();
        for [line, _] in cases.iter().filter(|[line, _]| written.insert(*line)) {
            let other = change.filter(|[from, _]| title == section && from == line);
            text += &format!("{}\n", other.map_or(*line, |[_, to]| to));
        }
        text.push('\n');
    }
    text
}

fn load(place: &Place, text: &str) -> Config {
    place.write("scaling.toml", text);
    place.load().unwrap_or_else(|faults| panic!("{faults}\n{text}")).config
}

#[test]
fn every_key_of_a_group_makes_it_another_one_and_waits_for_nothing() {
    let place = Place::new();
    place.write("boot.sh", "other");
    let before = load(&place, &file("", None));
    for (section, cases) in GROUP {
        for case in cases {
            let next = load(&place, &file(section, Some(*case)));
            assert_ne!(before.groups, next.groups, "{section} {case:?}");
            assert_ne!(before.groups[0].config_hash, next.groups[0].config_hash, "{case:?}");
            assert_eq!(waits_for_restart(&before, &next), Vec::<&str>::new(), "{case:?}");
            next.fits(&before).unwrap_or_else(|faults| panic!("{case:?}: {faults}"));
        }
    }
}

#[test]
fn a_file_beside_it_is_read_again_too() {
    let place = Place::new();
    let text = file("[group.web]", Some(["user_data = \"one\"", "user_data_file = \"boot.sh\""]));
    let written = |boot: &str| {
        place.write("boot.sh", boot);
        load(&place, &text).groups
    };
    assert_ne!(written("one"), written("other"));
}

/// Keys that are not in the table fail here, so that a new one gets its line.
#[test]
fn the_table_has_every_key() {
    let sections = GROUP.map(|(title, _)| format!("{title}\nx = 1\n")).concat();
    let faults = Place::with(&format!("{CLOUD}{sections}")).load().unwrap_err();
    let hints = faults.all().iter().filter_map(|f| f.hint.as_deref()?.strip_prefix("known here: "));
    let known: BTreeSet<String> =
        hints.flat_map(|list| list.split(", ")).map(str::to_owned).collect();
    let key = |line: &str| line.split(" = ").next().unwrap().to_owned();
    let lines = GROUP.iter().flat_map(|(_, cases)| cases.iter().flatten());
    let mut tried: BTreeSet<String> = lines.map(|line| key(line)).collect();
    // Sections of their own.
    tried.extend(
        [
            "boot_volume",
            "target",
            "step",
            "alert",
            "expression",
            "schedule",
            "scale_out",
            "scale_in",
            "patience",
            "launch",
            "meltdown",
        ]
        .map(str::to_owned),
    );
    assert!(known.len() > 30, "{known:?}");
    assert_eq!(known.difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new());
}
