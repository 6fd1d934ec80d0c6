//! Rules about files.

use super::*;

#[test]
fn file_rules_hit_and_miss() {
    let path = |rule: &str, path: &str, expected: bool| {
        check(
            "file_write",
            rule,
            &json!({ "path": path, "content": "text" }),
            expected,
        );
    };
    let content = |rule: &str, content: &str, expected: bool| {
        check(
            "file_write",
            rule,
            &json!({ "path": "notes", "content": content }),
            expected,
        );
    };
    for outside in [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "~/x",
        "a\\..\\x",
        "C:\\x",
        "a/..",
    ] {
        path("file-outside-workspace", outside, true);
        check(
            "file_read",
            "file-outside-workspace",
            &json!({ "path": outside }),
            true,
        );
    }
    path("file-outside-workspace", "a/b..c/...", false);
    path("file-write-program", "tools/a.SH", true);
    path("file-write-program", "a.sh.md", false);
    path("file-write-startup", ".bashrc/.", true);
    content("file-write-program", "#!/usr/bin/env python3\n", true);
    content("file-write-program", "text\n#!/bin/sh", false);
    for startup in [
        ".bashrc",
        "home/.ssh/authorized_keys",
        ".git/hooks/pre-commit",
        "a/b.service",
        "cron.daily/x",
        "x.pth",
    ] {
        path("file-write-startup", startup, true);
    }
    for plain in [
        "bashrc.md",
        "service.txt",
        ".gitignore",
        "src/cron.py",
        "git/hooks/x",
    ] {
        path("file-write-startup", plain, false);
    }
    content(
        "file-write-private-key",
        "x\n-----BEGIN EC PRIVATE KEY-----\n",
        true,
    );
    content("file-write-private-key", "-----BEGIN CERTIFICATE-----", false);
}

#[test]
fn what_an_interpreter_would_import_is_a_program_and_data_is_not() {
    let check = |path: &str, expected: bool| {
        let args = json!({ "path": path, "content": "text" });
        check("file_write", "file-write-program", &args, expected);
    };
    for program in [
        "helpers.py",
        "src/json.PYC",
        "fast.pyx",
        "lib/x.so.1",
        "index.js",
        "a.mjs",
        "a.cjs",
        "addon.node",
        "a.ts",
        "a.rb",
        "a.pl",
        "a.php",
        "a.py/.",
        "a.py/./",
    ] {
        check(program, true);
    }
    for data in [
        "a.csv", "a.json", "a.txt", "a.md", "a.html", "py", "js/a.txt", "a.py.csv",
    ] {
        check(data, false);
    }
}
