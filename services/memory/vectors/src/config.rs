//! What an operator can set.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use http::Uri;
use serde::{Deserialize, Serialize};

use crate::check;

const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// Where vectors are kept. By default with Qdrant Edge in the service's own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How vectors are kept in this process.
    pub edge: EdgeConfig,
    /// A Qdrant server instead, when it has a url.
    pub qdrant: QdrantConfig,
}

/// Vectors in this process. One process has the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// Searches under way at once, each on a thread. From 1 to 64.
    pub search_threads: u32,
    /// Searches that may wait for a thread; one more is refused. From 1 to 100,000.
    pub queued_searches: u32,
    /// Points that may wait to be written; more are refused. From 1,000 to 1,000,000.
    pub queued_points: u32,
    /// Threads that build the index, in the background and at low priority. From 1 to 64.
    pub index_threads: u32,
    /// Points written since the index was last looked at that have it looked at again, however busy it is. From 100 to
    /// 10,000,000.
    pub index_after: u32,
    /// The index is looked at as well when something was written and then nothing for so long. From 10 ms to 1 h.
    pub index_idle: Span,
    /// Vectors that together take less are compared one by one: that is exact, and as fast. From 64 KiB to 1 GiB.
    pub index_from: Size,
    /// How many candidates a search of the index keeps: more finds more and takes longer. From 16 to 4,096.
    pub candidates: u32,
    /// Bytes on the disk that are left free: with fewer, points are refused. At most 1 TiB.
    pub min_free: Size,
}

/// A Qdrant server, or a cluster of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct QdrantConfig {
    /// `https://host:6334`, the gRPC port. `http://` only for an address of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file with the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// A file with the certificates that the server's is signed by, as PEM. None: the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What the names of our collections begin with: a-z, 0-9 and -, at most 64. Harombes that share a server need
    /// prefixes of which none begins another.
    pub prefix: String,
    /// How long a call may take, each try of it for itself. From 100 ms to 60 s.
    pub timeout: Span,
    /// How often a call is tried while the server cannot be reached. From 1 to 10.
    pub tries: u32,
    /// How many candidates a search of the index keeps: more finds more and takes longer. From 16 to 4,096.
    pub candidates: u32,
    /// How vectors are kept in memory, for collections that are made from now on.
    pub quantization: Quantization,
    /// Shards of a collection that is made from now on. From 1 to 1,000.
    pub shards: u32,
    /// Copies of each shard. From 1 to 100.
    pub replicas: u32,
    /// Copies that must have a write before it is acknowledged. From 1 to `replicas`.
    pub write_consistency: u32,
}

/// How a server keeps vectors in memory. The full ones stay on its disk, and the best candidates are compared by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// As they are.
    #[default]
    None,
    /// A byte for each number: a quarter of the memory.
    Int8,
    /// A bit for each number: a 32nd, for models with 1,024 numbers and more.
    Binary,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            search_threads: 2,
            queued_searches: 1_000,
            queued_points: 10_000,
            index_threads: 1,
            index_after: 5_000,
            index_idle: Duration::from_secs(10).into(),
            index_from: (10 << 20).into(),
            candidates: 128,
            min_free: (256 << 20).into(),
        }
    }
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: None,
            api_key_file: None,
            ca: None,
            prefix: "harombe-".to_owned(),
            timeout: Duration::from_secs(5).into(),
            tries: 3,
            candidates: 128,
            quantization: Quantization::None,
            shards: 1,
            replicas: 1,
            write_consistency: 1,
        }
    }
}

impl Config {
    /// Every fault; `key` is the section's name, such as `memory.vectors`.
    #[must_use]
    pub fn validate(&self, key: &str) -> Vec<String> {
        let mut faults = self.edge.validate(&format!("{key}.edge"));
        faults.extend(self.qdrant.validate(&format!("{key}.qdrant")));
        faults
    }
}

impl EdgeConfig {
    fn validate(&self, key: &str) -> Vec<String> {
        let mut faults = numbers(
            key,
            &[
                ("search_threads", self.search_threads, 1, 64),
                ("queued_searches", self.queued_searches, 1, 100_000),
                ("queued_points", self.queued_points, 1_000, 1_000_000),
                ("index_threads", self.index_threads, 1, 64),
                ("index_after", self.index_after, 100, 10_000_000),
                ("candidates", self.candidates, 16, 4_096),
            ],
        );
        let idle = Duration::from_millis(10)..=Duration::from_secs(3600);
        if !idle.contains(&self.index_idle.as_duration()) {
            faults.push(format!("{key}.index_idle: must be from \"10ms\" to \"1h\""));
        }
        if !((64 << 10)..=(1 << 30)).contains(&self.index_from.as_bytes()) {
            faults.push(format!("{key}.index_from: must be from \"64KiB\" to \"1GiB\""));
        }
        if self.min_free.as_bytes() > 1 << 40 {
            faults.push(format!("{key}.min_free: must be at most \"1024GiB\""));
        }
        faults
    }
}

impl QdrantConfig {
    pub(crate) fn validate(&self, key: &str) -> Vec<String> {
        let mut faults = numbers(
            key,
            &[
                ("tries", self.tries, 1, 10),
                ("candidates", self.candidates, 16, 4_096),
                ("shards", self.shards, 1, 1_000),
                ("replicas", self.replicas, 1, 100),
                (
                    "write_consistency",
                    self.write_consistency,
                    1,
                    self.replicas.max(1),
                ),
            ],
        );
        if let Some(url) = &self.url
            && let Err(fault) = address(url)
        {
            faults.push(format!("{key}.url: {fault}"));
        }
        if !self.prefix.is_empty() && !check::is_name(&self.prefix) {
            faults.push(format!("{key}.prefix: must be at most 64 of a-z, 0-9 and -"));
        }
        if !(TIMEOUT.0..=TIMEOUT.1).contains(&self.timeout.as_duration()) {
            faults.push(format!("{key}.timeout: must be from \"100ms\" to \"60s\""));
        }
        faults
    }

    /// What the file with the API key holds.
    pub(crate) fn api_key(&self) -> Result<Option<String>, String> {
        self.api_key_file.as_ref().map(read).transpose()
    }

    /// What the file with certificates holds.
    pub(crate) fn certificates(&self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.ca.as_ref().map(read).transpose()?.map(String::into_bytes))
    }
}

/// The server's address; in plain text only on this machine, as memories' vectors tell much of what was said.
pub(crate) fn address(url: &str) -> Result<Uri, String> {
    const FORM: &str = "write https://host:6334";
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("is no url ({error}); {FORM}"))?;
    let (Some(host), Some(_)) = (uri.host(), uri.port_u16()) else {
        return Err(format!("must name a host and a port; {FORM}"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let here = bare == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if here => Ok(uri),
        Some("http") => Err("a server that is not on this machine needs https".to_owned()),
        _ => Err(format!("is no http url; {FORM}")),
    }
}

fn numbers(key: &str, numbers: &[(&str, u32, u32, u32)]) -> Vec<String> {
    let wrong = numbers
        .iter()
        .filter(|(_, value, least, most)| !(least..=most).contains(&value));
    wrong
        .map(|(name, _, least, most)| format!("{key}.{name}: must be from {least} to {most}"))
        .collect()
}

fn read(path: &PathBuf) -> Result<String, String> {
    fs::read_to_string(path)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
