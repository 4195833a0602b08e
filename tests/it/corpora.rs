//! What fuzzing found, and what senders document, replayed: `fuzz/corpus`.

#[path = "../../fuzz/harness.rs"]
mod harness;

use std::path::Path;

#[test]
fn whatever_was_tried_once_is_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for target in harness::TARGETS {
        let mut tried = 0;
        for file in std::fs::read_dir(corpus.join(target)).unwrap() {
            let path = file.unwrap().path();
            println!("{}", path.display());
            harness::run(target, &std::fs::read(&path).unwrap());
            tried += 1;
        }
        assert!(tried > 0, "{target} has nothing to try");
    }
}

#[test]
fn every_format_has_a_target() {
    for (word, _) in novascale::config::source::Format::ALL {
        assert!(harness::TARGETS.contains(&word), "{word}");
    }
}
