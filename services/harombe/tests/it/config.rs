//! `harombe config`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Home, Ran};

fn with(home: &Home, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = home.harombe(args);
    command.envs(variables.iter().copied());
    Ran::of(&command.output().unwrap())
}

#[test]
fn what_is_printed_is_what_counts_and_reads_back_as_the_same() {
    let home = Home::new();
    let file = home.file(
        "harombe.toml",
        "[memory]\nlease = \"2s\"\n[network.peers]\nruntime = [\"a:1\", \"b:2\"]\n",
    );
    let variables = [
        ("HAROMBE_NETWORK__LISTEN__SANDBOX_BROKER", "127.0.0.1:9"),
        ("HAROMBE_LOG__FORMAT", "json"),
    ];
    let printed = with(&home, &["--config", &file, "config", "print"], &variables).good();
    for line in [
        "lease = \"2s\"",
        "runtime = [\"a:1\", \"b:2\"]",
        "sandbox-broker = \"127.0.0.1:9\"",
        "format = \"json\"",
        "max_details = \"256KiB\"",
    ] {
        assert!(printed.out.contains(line), "{line} is missing: {}", printed.out);
    }
    let whole = home.file("whole.toml", &printed.out);
    let again = home.run(["--config", &whole, "config", "print"]).good();
    assert_eq!(again.out, printed.out);
    home.run(["--config", &whole, "config", "check"]).good();
}

#[test]
fn all_faults_are_told_at_once() {
    let home = Home::new();
    let file = home.file(
        "harombe.toml",
        "[log]\nformat = \"yaml\"\n[network.listen]\naudit = \"7406\"\n[network.peers]\nhitl = []\n[memory]\nlease = \"1ms\"\n",
    );
    for command in ["check", "print"] {
        home.run(["--config", &file, "config", command]).refused(&[
            "log.format: no log format is called \"yaml\"",
            "network.listen.audit: \"7406\" is no address",
            "network.peers.hitl: is empty",
            "memory.lease: must be from",
        ]);
    }
    let typed = home.file("typed.toml", "[network]\npeers = 7\n[log]\ncolour = true\n");
    home.run(["--config", &typed, "config", "check"])
        .refused(&["network.peers", "log.colour", "`format`"]);
    let filter = home.file("filter.toml", "[log]\nfilter = \"a=b=c\"\n");
    home.run(["--config", &filter, "config", "check"])
        .refused(&["a=b=c"]);
}

/// Every key below a schema, with its own.
fn keys<'a>(schema: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
    if !schema.is_object() {
        return;
    }
    let inner = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|word| schema[word].as_array());
    for schema in inner
        .flatten()
        .chain([&schema["additionalProperties"], &schema["items"]])
    {
        keys(schema, at, found);
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{key}");
        keys(schema, &path, found);
        found.push((path, schema));
    }
}

#[test]
fn the_schema_has_every_key_with_what_it_means() {
    let home = Home::new();
    let schema: Value = serde_json::from_str(&home.run(["config", "schema"]).good().out).unwrap();
    let mut found = Vec::new();
    keys(&schema, "", &mut found);
    let undocumented: Vec<_> = found
        .iter()
        .filter(|(_, schema)| schema["description"].as_str().is_none_or(str::is_empty))
        .map(|(path, _)| path)
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:#?}");
    let paths: BTreeSet<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    for path in [
        ".network.listen.sandbox-broker",
        ".gateway.public.tls_cert",
        ".audit.store.postgres.url",
        ".egress-proxy.upstreams.credential",
        ".secrets.vault.approle.role_id",
        ".runtime.agents.prompt",
    ] {
        assert!(paths.contains(path), "{path} is missing in {paths:#?}");
    }
    // What is printed has no key that the schema lacks.
    let printed = home.run(["config", "print"]).good().out;
    let printed: toml::Table = printed.parse().unwrap();
    for (section, table) in printed {
        for key in table.as_table().unwrap().keys() {
            assert!(
                paths.contains(format!(".{section}.{key}").as_str()),
                "{section}.{key}"
            );
        }
    }
    assert_eq!(
        schema["properties"]["memory"]["properties"]["lease"]["default"],
        "10s"
    );
    assert_eq!(schema["properties"]["memory"]["additionalProperties"], false);
}
