//! `harombe secrets`, on the sealed file.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::Home;

#[test]
fn a_secret_is_kept_sealed_listed_by_name_and_forgotten() {
    let home = Home::new();
    home.run_with_input(["secrets", "set", "anthropic"], b"sk-ant-0123456789\n")
        .good();
    home.run_with_input(["secrets", "set", "search"], b"first-value-1\n")
        .good();
    home.run_with_input(["secrets", "set", "search"], b"second-value-2\n")
        .good();
    assert_eq!(home.run(["secrets", "list"]).good().out, "anthropic\nsearch\n");
    let file = home.data().join("egress/secrets.age");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let sealed = std::fs::read(&file).unwrap();
    for value in ["sk-ant-0123456789", "second-value-2"] {
        let found = sealed
            .windows(value.len())
            .any(|window| window == value.as_bytes());
        assert!(!found, "{value} lies open");
    }
    home.run(["secrets", "remove", "search"]).good();
    assert_eq!(home.run(["secrets", "list"]).good().out, "anthropic\n");
    home.run(["secrets", "remove", "search"]).refused(&["search"]);
}

#[test]
fn what_is_no_secret_is_refused() {
    let home = Home::new();
    home.run_with_input(["secrets", "set", "a"], b"short\n")
        .refused(&["8"]);
    let ran = home.run_with_input(["secrets", "set", "../a"], b"0123456789\n");
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert_eq!(home.run(["secrets", "list"]).good().out, "");
}
