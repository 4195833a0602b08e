//! The tools of the acceptance tests: the lab, Nova's own word, the daemon, and waiting.

mod clock;
mod daemon;
mod lab;
mod log;
mod nova;
mod program;
mod python;
mod wait;

pub use clock::Simulated;
pub use daemon::{Daemon, GROUP, settings};
pub use lab::{Lab, say};
pub use log::Answered;
pub use nova::{Nova, Server};
pub use program::{Gauge, Program, free_port};
pub use python::Python;
pub use wait::{until, within};
