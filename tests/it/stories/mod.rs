//! Stories over the running program: the real binary with a real state directory, on the
//! embedded cloud that it starts itself or on one in this process, whose wire can be
//! tampered with. A story waits for what has to come, never for a time.
//!
//! Every daemon logs all that it can, and every story ends by searching what was said and
//! stored for the secrets that were planted.

mod adopted;
mod bad_answers;
mod broken_group;
mod canary;
#[expect(dead_code, reason = "shared with the benchmarks, which use the rest")]
mod cloud;
mod crowded;
mod envelope;
mod examples;
mod freezing;
#[cfg(target_os = "linux")]
mod full_disk;
mod killed;
#[cfg(debug_assertions)]
mod kills;
mod pausing;
mod place;
mod planted;
mod quick_start;
mod rehearsal;
mod reloading;
mod starting;
mod stop_and_start;
mod systemd;
