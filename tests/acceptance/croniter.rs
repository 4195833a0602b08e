//! When cron expressions fire, against another implementation: croniter, in Python. Of some ten
//! thousand random expressions in zones with all kinds of changes of clocks each difference has
//! a name and a reason; `croniter/compare.py` draws, asks both, and says which. No lab has a part
//! in it. It needs Debian's python3-venv, and PyPI as pip is configured here.

use crate::harness::{Python, say};

#[test]
fn expressions_fire_when_croniter_says_so_or_for_a_reason() {
    let python = Python::of("croniter");
    say(&python.run("compare.py", &[env!("CARGO_BIN_EXE_novascale")]));
}
