//! What novascale costs: `cargo bench` prints every figure beside a limit measured in the
//! same run. `cargo bench -- decide` runs one part.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a benchmark prints, and fails loudly"
)]

mod crowd;
mod deciding;
#[path = "../tests/acceptance/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the acceptance tests use more of it")]
mod harness;
mod lab;
mod scaling;
mod webhook;

fn main() {
    webhook::bare::serve_if_asked();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    if runs("decide") {
        deciding::run();
    }
    if runs("scaleout") {
        scaling::scale_out();
    }
    if runs("memory") {
        scaling::memory();
    }
    if runs("crowd") {
        crowd::run();
    }
    if runs("webhook") {
        webhook::run(&wanted);
    }
    // It takes minutes, and a real OpenStack.
    if wanted.iter().any(|w| w == "lab")
        || runs("lab") && std::env::var_os("NOVASCALE_LAB").is_some()
    {
        lab::run();
    } else if runs("lab") {
        println!("lab: left out, NOVASCALE_LAB names none (tests/lab/up brings one up)");
    }
}
