//! Deciding, driven by hand: a small world that builds, loses and hides servers.

mod cases;
mod loops;
mod stories;
mod words;
pub mod world;
