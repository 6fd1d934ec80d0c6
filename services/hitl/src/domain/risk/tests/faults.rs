//! A bad rule file is refused with all its faults, their places, and what to do.

use super::super::{HostSet, RuleSet};

fn faults(text: &str) -> Vec<String> {
    let faults = RuleSet::compile(&[("own.toml", text)], HostSet::default()).unwrap_err();
    faults.0.iter().map(ToString::to_string).collect()
}

#[test]
fn all_faults_of_a_file_come_at_once() {
    let found = faults(
        r#"title = "x"

[[rule]]
name = "first"
tool = "t"
risk = "SEVERE"
reason = "r"
when = [{ arg = "a", matches = "(" }, { arg = "a" }, { arg = "a", containz = ["x"] }]

[[rule]]
name = "second"
tol = "t"
risk = "LOW"
reason = ""
deadline = "soon"

[[rule]]
name = "third"
tool = []
risk = "LOW"
reason = "r"
when = [
  { any = [] },
  { arg = "u", host_in = ["https://x.example/"] },
  { arg = "u", host_not_in_trusted = false },
  { arg = "u", url_is = "long" },
  { arg = "a", contains = ["x"], matches = "y" },
  { arg = "a", longer_than = -1 },
  { arg = "a", equals = 1.5 },
  { contains = ["abc"] },
]
"#,
    );
    let expected = [
        "own.toml:6:8: rule \"first\": `risk` is not a level of risk",
        "own.toml:8:32: rule \"first\": `matches` is not a regular expression",
        "own.toml:8:39: rule \"first\": a condition needs exactly one operator",
        "own.toml:8:67: rule \"first\": unknown key `containz`",
        "own.toml:8:54: rule \"first\": a condition needs exactly one operator",
        "own.toml:12:1: rule \"second\": unknown key `tol`",
        "own.toml:10:1: rule \"second\": `tool` is missing",
        "own.toml:14:10: rule \"second\": `reason` is not a text",
        "own.toml:15:12: rule \"second\": `deadline` is not a duration",
        "own.toml:19:8: rule \"third\": `tool` is neither",
        "own.toml:23:11: rule \"third\": `any` is not a list",
        "own.toml:24:26: rule \"third\": not host names: https://x.example/",
        "own.toml:25:38: rule \"third\": `host_not_in_trusted` can only be true",
        "own.toml:26:25: rule \"third\": `url_is` is not a trait",
        "own.toml:27:3: rule \"third\": a condition needs exactly one operator",
        "own.toml:28:30: rule \"third\": `longer_than` is not a number",
        "own.toml:29:25: rule \"third\": `equals` is neither",
        "own.toml:30:3: rule \"third\": `arg` is missing",
        "own.toml:1:1: unknown key `title`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for start in expected {
        assert!(
            found.iter().any(|fault| fault.starts_with(start)),
            "no {start:?} in {found:#?}"
        );
    }
    assert!(
        found.iter().all(|fault| fault.contains("; ")),
        "each says what to do: {found:#?}"
    );
}

#[test]
fn broken_toml_is_a_fault_and_not_a_panic() {
    assert!(
        faults("[[rule]\nname =")
            .iter()
            .all(|fault| fault.contains("not valid TOML"))
    );
    assert!(
        faults("rule = 3")
            .first()
            .unwrap()
            .contains("`rule` is not a list")
    );
    assert!(
        faults("rule = [3]")
            .first()
            .unwrap()
            .contains("a rule is not a table")
    );
}

#[test]
fn names_are_unique_over_all_files() {
    let rule = "[[rule]]\nname = 'r'\ntool = 't'\nrisk = 'LOW'\nreason = 'r'\n";
    let faults = RuleSet::compile(&[("a.toml", rule), ("b.toml", rule)], HostSet::default()).unwrap_err();
    let shown = faults.to_string();
    assert!(
        shown.contains("b.toml:1:1: rule \"r\": the name is taken by the rule at a.toml:1"),
        "{shown}"
    );
}

#[test]
fn limits_of_one_tool_are_faults() {
    let rule = |n: usize, arg: &str| {
        format!(
            "[[rule]]\nname = 'r{n}'\ntool = 't'\nrisk = 'LOW'\nreason = 'r'\nwhen = [{{ arg = '{arg}', longer_than = {n} }}]\n"
        )
    };
    let many: String = (0..129).map(|n| rule(n, "a")).collect();
    assert!(faults(&many).first().unwrap().contains("more than 128 rules"));
    let wide: String = (0..9).map(|n| rule(n, &format!("a{n}"))).collect();
    assert!(faults(&wide).first().unwrap().contains("more than 8 arguments"));
}
