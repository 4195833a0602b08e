//! What novascale does, seen from outside its modules. One binary, so that it links once.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in tests a failed unwrap is the verdict, and other variants are a failure"
)]

mod auditing;
mod cases;
mod cli;
mod config;
mod corpora;
mod deciding;
mod http;
mod layers;
mod observing;
mod openstack;
mod running;
mod schedules;
mod store;
mod stories;
