//! Deciding, driven by hand: a small world that builds, loses and hides servers.

mod acting;
mod cases;
mod failing;
mod freezing;
mod judging;
mod leaving;
mod loops;
mod lost;
mod signals;
mod stories;
mod words;
pub mod world;
