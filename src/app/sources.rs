//! What senders of each source have to show, read when the configuration is.

use std::sync::Arc;

use crate::config::secret::SecretEnv;
use crate::config::source::Source;
use crate::http::source::keys::Sources;

/// Reads it, and tells what cannot be had.
pub(super) fn read(sources: &[Source]) -> Arc<Sources> {
    let read = Sources::read(sources, &SecretEnv::from_process());
    for keyed in read.iter() {
        for why in &keyed.missing {
            tracing::error!(
                "a secret of the source {} does not count: {why}. Mend it and run `novascale reload`",
                keyed.source.name
            );
        }
    }
    Arc::new(read)
}
