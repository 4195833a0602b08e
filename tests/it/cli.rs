//! The command line: the real program against a daemon whose answers the test writes.

mod codes;
mod daemon;
mod help;
mod requests;
mod schedules;
mod sources;
mod tables;
