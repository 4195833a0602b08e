//! What the program says of itself.

use std::path::Path;

use super::daemon::novascale;

fn here(arguments: &str) -> super::daemon::Ran {
    novascale(arguments, &[], Path::new("."))
}

#[test]
fn short_help_fits_a_screen() {
    let ran = here("-h");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.lines().count() <= 45 && ran.out.lines().all(|line| line.len() <= 80));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn long_help_lists_the_exit_codes() {
    let ran = here("--help");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!(ran.out);
}

#[test]
fn commands_explain_themselves() {
    for command in ["scale", "reserve", "signal", "plan", "adopt"] {
        let ran = here(&format!("{command} -h"));
        assert_eq!(ran.code, 0, "{command}");
        insta::assert_snapshot!(format!("help_of_{command}"), ran.out);
    }
}

#[test]
fn the_version_is_told() {
    let ran = here("--version");
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with(concat!("novascale ", env!("CARGO_PKG_VERSION"))), "{}", ran.out);
}

#[test]
fn no_environment_value_shows_in_help() {
    let ran = novascale("--help", &[("NOVASCALE_TOKEN_FILE", "/hidden/place")], Path::new("."));
    assert!(ran.out.contains("NOVASCALE_TOKEN_FILE") && !ran.out.contains("hidden"));
}
