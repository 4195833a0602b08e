//! novascale against a real OpenStack: the program as it is shipped, a real Keystone, Nova,
//! Neutron and Glance (`tests/lab`), and counts that novascale has no part in.
//!
//! `cargo test --release --test acceptance -- --test-threads=1` runs it; plain `cargo test`
//! does not. It needs the lab that `tests/lab/up` brings up, in the directory that
//! NOVASCALE_LAB names (else OPENSTACK_LAB, else the lab's own default). Without a lab every
//! test fails but that of [`embedded`], which only needs the `openstack` command, and that of
//! [`croniter`], which needs Python and PyPI: what was not tried does not pass. [`deciding`] needs
//! the Debian package libfaketime besides, and [`monitoring`] prometheus and
//! prometheus-alertmanager, with Python and PyPI.
//!
//! Each test is a story: it starts the daemon in a directory of its own, gives the lab or
//! the daemon trouble, and waits for the cloud to be in a state, by asking Nova, with a
//! deadline. Numbers are Nova's, asked as its administrator or by the `openstack` command.
//! The lab is put back to what it was after each test. [`harness`] has the tools.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in tests a failed unwrap is the verdict, and each test prints what it measured"
)]

mod adoption;
mod crashes;
mod croniter;
mod deciding;
mod embedded;
mod harness;
mod monitoring;
mod neighbours;
mod scarcity;
mod shipped;
mod slowness;
mod stopping;
mod wrong_settings;
