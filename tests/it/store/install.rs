//! The install id: drawn once, kept for ever, never replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use novascale::domain::id::InstallId;
use novascale::store::StoreError;
use novascale::store::install::load_or_draw;
use tempfile::TempDir;

#[test]
fn it_is_drawn_once_and_then_found() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state/controller.id");
    let (drawn, fresh) = load_or_draw(&path, 7, None).unwrap();
    assert_eq!((&drawn, fresh), (&InstallId::from_bits(7), true));
    assert_eq!(load_or_draw(&path, 8, None).unwrap(), (drawn.clone(), false));
    assert_eq!(load_or_draw(&path, 8, Some(drawn.clone())).unwrap(), (drawn.clone(), false));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{drawn}\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing else is left there");
}

#[test]
fn a_configured_one_needs_no_file_but_must_not_contradict_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("controller.id");
    let configured = InstallId::from_bits(1);
    let loaded = load_or_draw(&path, 7, Some(configured.clone())).unwrap();
    assert_eq!(loaded, (configured.clone(), false));
    assert!(!path.exists());
    let (drawn, _) = load_or_draw(&path, 7, None).unwrap();
    let error = load_or_draw(&path, 9, Some(configured.clone())).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(drawn.as_str()) && text.contains(configured.as_str()), "{text}");
}

#[test]
fn an_unreadable_one_is_never_replaced() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("controller.id");
    let long = "0".repeat(5_000);
    let contents: [&[u8]; 5] = [b"", b"\n", b"not an id", long.as_bytes(), b"\xff\xfe"];
    for content in contents {
        fs::write(&path, content).unwrap();
        let error = load_or_draw(&path, 7, None).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
        assert!(error.to_string().contains("novascale:install"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(load_or_draw(&path, 7, None), Err(StoreError::Unavailable(_))));
}

#[test]
fn of_many_that_draw_at_once_all_go_on_with_one() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("controller.id");
    let draw = |n: u128| load_or_draw(&path, n << 96, None).unwrap();
    let drawn: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (1..=8).map(|n| scope.spawn(move || draw(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(drawn.iter().filter(|(_, fresh)| *fresh).count(), 1);
    assert!(drawn.iter().all(|(id, _)| *id == drawn[0].0));
}
