//! What senders document, and what fuzzing found, replayed: `fuzz/corpus` and `fuzz/found`.

#[path = "../../fuzz/harness.rs"]
mod harness;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn below(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
}

#[test]
fn whatever_was_found_once_is_read_or_refused() {
    for target in harness::TARGETS {
        let lines = std::fs::read_to_string(below("found").join(format!("{target}.txt"))).unwrap();
        assert!(!lines.is_empty(), "{target} has nothing to try");
        for line in lines.lines() {
            println!("{target}: {line}");
            harness::run(target, &STANDARD.decode(line).unwrap());
        }
    }
}

#[test]
fn whatever_was_tried_once_is_read_or_refused() {
    let corpus = below("corpus");
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
