//! To be written.

use super::Incoming;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::Payload;

pub(super) fn read(_: &Incoming<'_>) -> Result<Payload, Problem> {
    Err(Problem::new(Kind::NotReady, "this format is not built yet"))
}
