//! The committed mix of calls that classification speed is measured on.

use serde::Deserialize;
use serde_json::Value;

const MIX: &str = include_str!("../../../data/classify-mix.jsonl");

/// One call of the mix.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixCall {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    pub args: Value,
}

/// Calls that together hit and miss every default rule, most of them harmless, with arguments of about 200 bytes in
/// the median. Trust `docs.python.org` to have the mix hit and miss the rule about trusted hosts too.
///
/// # Errors
/// None with the file as it ships; a test holds it to that.
pub fn mix() -> Result<Vec<MixCall>, serde_json::Error> {
    MIX.lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect()
}
