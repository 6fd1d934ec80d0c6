//! Layers of configuration, the later over the earlier: defaults, a file, the environment.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A whole configuration: a struct of sections, each refusing unknown keys (`deny_unknown_fields`).
pub trait Configuration: Serialize + DeserializeOwned + Default {
    /// Every fault that types cannot tell, each naming its key and what to do.
    fn validate(&self) -> Vec<String>;
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// The environment variable of that name.
    Environment(String),
    /// The values taken together, wherever each came from.
    Whole,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub source: Source,
    /// Dotted; empty when it is about the source as a whole.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.source, self.message)
        } else {
            write!(f, "{}: {}: {}", self.source, self.key, self.message)
        }
    }
}

/// Everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A value that somebody set.
struct Setting {
    source: Source,
    path: Vec<String>,
    /// Readings of it, the first that fits counts: the text of an environment variable may be a number or a string.
    readings: Vec<Value>,
}

/// Reads a configuration: the defaults, over them the file, over it the variables `HAROMBE_<SECTION>__<KEY>`.
/// A key's hyphens are underscores in a variable's name.
///
/// # Errors
/// All faults at once: a file that cannot be read, unknown keys, values of the wrong type, and what
/// [`Configuration::validate`] finds.
pub fn load<C: Configuration>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<C, Faults> {
    let mut settings = Vec::new();
    if let Some(path) = file {
        let source = Source::File(path.to_owned());
        let table = read(path).map_err(|message| whole(source.clone(), message))?;
        flatten(&source, &[], table, &mut settings);
    }
    let defaults = Table::try_from(C::default()).map_err(|error| whole(Source::Whole, error.to_string()))?;
    let variables = environment
        .into_iter()
        .filter_map(|(name, value)| variable(&name, &value));
    settings.extend(variables.map(|mut setting| {
        hyphenate(&mut setting.path, &defaults);
        setting
    }));
    let merged = merge::<C>(&defaults, &settings)?;
    let config: C = merged
        .try_into()
        .map_err(|error: toml::de::Error| whole(Source::Whole, error.message().to_owned()))?;
    let faults: Vec<_> = config
        .validate()
        .into_iter()
        .map(|message| Fault {
            source: Source::Whole,
            key: String::new(),
            message,
        })
        .collect();
    if faults.is_empty() {
        Ok(config)
    } else {
        Err(Faults(faults))
    }
}

fn whole(source: Source, message: String) -> Faults {
    Faults(vec![Fault {
        source,
        key: String::new(),
        message,
    }])
}

fn read(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot be read: {error}; correct its path, or leave it out"))?;
    text.parse::<Table>()
        .map_err(|error| format!("is not valid TOML: {error}"))
}

/// Tables become their leaves; arrays and empty tables are leaves.
fn flatten(source: &Source, at: &[String], table: Table, settings: &mut Vec<Setting>) {
    for (key, value) in table {
        let path = [at, &[key]].concat();
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(source, &path, inner, settings),
            value => settings.push(Setting {
                source: source.clone(),
                path,
                readings: vec![value],
            }),
        }
    }
}

fn variable(name: &str, text: &str) -> Option<Setting> {
    let (section, keys) = name.strip_prefix("HAROMBE_")?.split_once("__")?;
    let section = section.to_ascii_lowercase().replace('_', "-");
    let keys = keys.split("__").map(str::to_ascii_lowercase);
    let literal = format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    Some(Setting {
        source: Source::Environment(name.to_owned()),
        path: std::iter::once(section).chain(keys).collect(),
        readings: literal
            .into_iter()
            .chain([Value::String(text.to_owned())])
            .collect(),
    })
}

/// A variable's name cannot have a hyphen: where only the hyphenated key exists, that one is meant.
fn hyphenate(path: &mut [String], defaults: &Table) {
    let mut table = Some(defaults);
    for key in path {
        let hyphenated = key.replace('_', "-");
        if table.is_some_and(|table| !table.contains_key(key) && table.contains_key(&hyphenated)) {
            *key = hyphenated;
        }
        table = table.and_then(|table| table.get(key)).and_then(Value::as_table);
    }
}

/// Puts the settings over the defaults. Where the whole does not fit, each setting is tried alone over the defaults, so that
/// every one that does not fit is named.
fn merge<C: Configuration>(defaults: &Table, settings: &[Setting]) -> Result<Table, Faults> {
    let mut merged = defaults.clone();
    let mut faults = Vec::new();
    for setting in settings {
        let mut refusal = None;
        let fitting = setting.readings.iter().find(|value| {
            let mut alone = defaults.clone();
            put(&mut alone, &setting.path, (*value).clone());
            match alone.try_into::<C>() {
                Ok(_) => true,
                Err(error) => {
                    refusal.get_or_insert(error.message().to_owned());
                    false
                }
            }
        });
        match (fitting.or(setting.readings.first()), refusal) {
            (Some(value), None) => put(&mut merged, &setting.path, value.clone()),
            (Some(value), Some(_)) if fitting.is_some() => put(&mut merged, &setting.path, value.clone()),
            (Some(value), Some(message)) => {
                // An entry of a map may need its siblings: it counts as a fault only if the whole fails too.
                put(&mut merged, &setting.path, value.clone());
                faults.push(Fault {
                    source: setting.source.clone(),
                    key: setting.path.join("."),
                    message,
                });
            }
            (None, _) => {}
        }
    }
    if faults.is_empty() || merged.clone().try_into::<C>().is_ok() {
        Ok(merged)
    } else {
        Err(Faults(faults))
    }
}

fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let inner = table
                .entry(key.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
