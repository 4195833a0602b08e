//! Deciding, driven by hand: a small world that builds, loses and hides servers.

mod acting;
mod adopting;
mod behaviour;
mod cases;
mod cutting;
mod failing;
mod freezing;
mod judging;
mod leaving;
mod loops;
mod lost;
mod meltdown;
mod orders;
mod pausing;
mod policies;
mod precedents;
mod rivals;
mod scheduled;
mod settling;
mod signals;
mod stories;
mod tempering;
mod waiting;
mod words;
pub mod world;
