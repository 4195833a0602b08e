//! The conversation with OpenStack, held against transcripts, refusals and nonsense.

mod answers;
mod changing;
mod golden;
mod hush;
mod late;
mod listing;
mod lost;
mod marks;
mod names;
mod samples;
mod script;
mod tls;
mod token;
mod transcript;
mod trouble;
