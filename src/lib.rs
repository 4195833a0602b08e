//! novascale keeps fleets of OpenStack Nova servers at the size that their load asks for.
//!
//! The tree reads *observe, decide, act*. A signal arrives ([`http`]) and is stored
//! ([`store`]); a group's loop is nudged ([`control`]); the pass looks at what was seen
//! and what is remembered and decides ([`decide`], pure); the decision with its intents
//! is stored, then its calls are made ([`cloud`]). Whatever happens in between, the next
//! pass starts from the full state and does what is left to do.
//!
//! What is deliberately absent:
//!
//! - No server without our tag and our metadata is ever deleted, and none by name or filter.
//! - No call to the cloud outside [`control`]: [`control::act`] changes, [`control::observe`] and
//!   the audit look.
//! - No decision outside [`decide`]; the command line and the API show the last one.
//! - No retry loop: the next pass is the retry. Inside a call there is only the replay
//!   after a 401 and one re-read of a GET.
//! - No clock that a decision reads outside [`clock`], no randomness but what is handed in, no
//!   global state.
//! - No status of a failure outside `http/error.rs`, no wire type outside `wire.rs`.
//! - No `cfg(test)` in shipped code but for test modules. A debug build can be told to die at a
//!   point ([`killpoint`]), and differs in nothing else.
//!
//! Start reading at [`domain::plan`], [`decide`], [`control::pass`], [`cloud`].

pub mod app;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod control;
pub mod decide;
pub mod domain;
pub mod http;
pub mod killpoint;
pub mod store;
pub mod telemetry;
