//! What the program cannot use: it says so, says what to do, and leaves everything as it was.

use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use crate::harness::{Home, Ran, is_empty};

const NO_RUNSC: &str = "[sandbox-broker]\nrunsc = \"/nonexistent/runsc\"\n";

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let home = Home::new();
    let config = home.file(
        "faulty.toml",
        "[nonsense]\na = 1\n[hitl]\nruels = []\n[gateway]\nwall_limit = \"soon\"\n",
    );
    for command in ["up", "doctor"] {
        home.run(["--config", &config, command]).refused(&[
            "nonsense",
            "hitl.ruels",
            "`rules`",
            "gateway.wall_limit",
        ]);
    }
    assert!(is_empty(&home.data()), "nothing was made");
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let home = Home::new();
    for command in [&["up"][..], &["run", "hi"], &["demo", "--yes"]] {
        home.run([&["--config", "absent.toml"], command].concat())
            .refused(&["absent.toml", "correct its path"]);
    }
}

#[test]
fn a_data_directory_under_a_file_cannot_be() {
    let home = Home::new();
    home.file("data", "no directory");
    let under = home.data().join("x");
    let run = |args: &[&str]| {
        let mut command = home.bare();
        command.arg("--data").arg(&under).args(args);
        Ran::of(&command.output().unwrap())
    };
    for command in [
        &["up"][..],
        &["run", "hi"],
        &["demo", "--yes"],
        &["sandbox", "run", "--language", "python", "--code", "print(1)"],
    ] {
        run(command).refused(&["data/x", "--data DIR"]);
    }
    let doctor = run(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    assert!(
        doctor.out.contains("fail data") && doctor.out.contains("--data DIR"),
        "{doctor:#?}"
    );
}

/// A shell that does something to its own view of the machine and then becomes the program.
fn prepared(home: &Home, script: &str, args: &[&str]) -> Ran {
    let mut command = home.tool("unshare");
    let program = format!("{script} && exec \"$@\"");
    command.args(["--mount", "sh", "-c", &program, "sh"]);
    command
        .args([env!("CARGO_BIN_EXE_harombe"), "--data", "data"])
        .args(args);
    Ran::of(&command.output().unwrap())
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let read_only = "mount -t tmpfs -o ro tmpfs data";
    for command in [&["up"][..], &["run", "hi"], &["demo", "--yes"]] {
        prepared(&home, read_only, command).refused(&["data", "--data DIR", "Read-only file system"]);
    }
    let doctor = prepared(&home, read_only, &["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    assert!(doctor.out.contains("fail data"), "{doctor:#?}");
}

#[test]
fn a_data_directory_of_somebody_else_is_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    std::os::unix::fs::chown(home.data(), Some(65534), Some(65534)).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(home.data(), permissions).unwrap();
    // Root without its powers is anybody.
    let mut command = home.tool("setpriv");
    command.args([
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
        env!("CARGO_BIN_EXE_harombe"),
    ]);
    command.arg("--data").arg(home.data()).arg("up");
    Ran::of(&command.output().unwrap()).refused(&["cannot be written", "owner", "--data DIR"]);
    assert!(is_empty(&home.data()));
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
    let home = Home::new();
    let long = home.path(&"x".repeat(100));
    let mut command = home.bare();
    command.arg("--data").arg(&long).arg("up");
    Ran::of(&command.output().unwrap()).refused(&["longer than 107 bytes", "shorter --data DIR"]);
    assert!(!long.exists());
}

#[test]
fn without_runsc_nothing_is_executed_and_the_way_to_get_it_is_told() {
    let home = Home::new();
    let config = home.file("harombe.toml", NO_RUNSC);
    let fix = ["/nonexistent/runsc", "systrap", "deploy/setup/runsc.sh"];
    let code = ["sandbox", "run", "--language", "python", "--code", "print(1)"];
    // What comes over the wire names no path of the server's machine; doctor does.
    home.run([&["--config", &config], &code[..]].concat())
        .refused(&["harombe doctor", "ISOLATION_UNAVAILABLE"]);

    let doctor = home.run(["--config", &config, "doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    assert!(fix.iter().all(|word| doctor.out.contains(word)), "{doctor:#?}");

    let other = Home::new();
    other.run(["--config", &config, "demo", "--yes"]).refused(&fix);

    // What needs no sandbox goes on.
    let ran = home.run(["--config", &config, "run", "hi"]).good();
    assert!(ran.out.contains("No model is configured"), "{ran:#?}");
}

#[test]
fn a_runsc_without_systrap_counts_as_missing() {
    let home = Home::new();
    let old = home.file(
        "runsc",
        "#!/bin/sh\necho '-platform string: ptrace (default), kvm'\n",
    );
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&old, executable).unwrap();
    let config = home.file("harombe.toml", format!("[sandbox-broker]\nrunsc = \"{old}\"\n"));
    let code = ["sandbox", "run", "--language", "shell", "--code", "true"];
    home.run([&["--config", &config], &code[..]].concat())
        .refused(&["harombe doctor", "ISOLATION_UNAVAILABLE"]);
    let doctor = home.run(["--config", &config, "doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:#?}");
    let fix = [&*old, "systrap", "deploy/setup/runsc.sh"];
    assert!(fix.iter().all(|word| doctor.out.contains(word)), "{doctor:#?}");
}

#[test]
fn a_damaged_database_is_named_and_not_touched() {
    let home = Home::new();
    home.run(["run", "hi"]).good();
    for name in ["audit/audit.db", "hitl/hitl.db", "memory/memory.db"] {
        let file = home.data().join(name);
        let sound = std::fs::read(&file).unwrap();
        let mut torn = sound.clone();
        // The pages after the first, which has the header.
        torn.iter_mut()
            .skip(4096)
            .for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
        for damaged in [vec![0xa5; 20_000], sound[..5_000].to_vec(), torn] {
            std::fs::write(&file, &damaged).unwrap();
            home.run(["run", "hi"])
                .refused(&[name, "is damaged", "restore", "backup"]);
            assert!(std::fs::read(&file).unwrap() == damaged, "{name} was written");
        }
        std::fs::write(&file, sound).unwrap();
    }
    home.run(["run", "hi"]).good();
    home.run(["audit", "verify"]).good();
}

#[test]
fn a_message_is_at_most_a_mebibyte() {
    let home = Home::new();
    for len in [10_000_000, 1_048_577] {
        home.run_with_input(["run", "-"], &vec![b'x'; len])
            .refused(&["1048576", "--file", &len.to_string()]);
    }
    let ran = home.run_with_input(["run", "-"], &vec![b'x'; 100_000]);
    // Too long for the model's context is said by the run, not before.
    assert!(ran.out.contains("… 99600 bytes more"), "{ran:#?}");
}

#[test]
fn a_message_that_is_no_text_is_refused() {
    let home = Home::new();
    let broken = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
    home.run(["run".into(), broken]).refused(&["UTF-8"]);
    home.run_with_input(["run", "-"], &[b'a', 0xff])
        .refused(&["UTF-8"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let home = Home::new();
    home.run(["run", "hi", "--file", "/nonexistent/a.csv"])
        .refused(&["cannot read /nonexistent/a.csv"]);
    home.run(["sandbox", "run", "--language", "python", "/nonexistent/a.py"])
        .refused(&["cannot read /nonexistent/a.py"]);
}

#[test]
fn sessions_and_approvals_that_are_not_there_are_said_to_be_so() {
    let home = Home::new();
    home.run(["run", "hi", "--session", "nonsense"])
        .refused(&["session id", "UUID"]);
    home.run(["run", "hi", "--session", "01900000-0000-7000-8000-000000000000"])
        .refused(&["NOT_FOUND"]);
    for command in [&["list"][..], &["watch"], &["approve", "x"], &["deny", "x"]] {
        home.run([&["approvals"], command].concat())
            .refused(&["nothing runs on", "harombe up"]);
    }
}

#[test]
fn the_demo_wants_an_empty_directory() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    std::fs::write(home.data().join("mine"), "dear").unwrap();
    home.run(["demo", "--yes"])
        .refused(&["is not empty", "absent or empty"]);
    assert_eq!(names(&home.data()), ["mine"]);
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
