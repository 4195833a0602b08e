//! The conversation with OpenStack, held against transcripts, refusals and nonsense.

mod answers;
mod golden;
mod late;
mod lost;
mod names;
mod script;
mod token;
