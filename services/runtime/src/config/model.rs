//! A model of a provider, `[runtime.models.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use harombe_tokens::{Choice, Encoding};
use serde::{Deserialize, Serialize};

/// Longest waits that may be configured.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

const MAX_NAME: usize = 64;

/// Whose API a model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The Messages API; its upstream is `https://api.anthropic.com` or what speaks the same.
    Anthropic,
    /// Chat completions; its upstream ends with `/v1` as a rule. OpenAI, llama.cpp, Ollama, vLLM and others.
    Openai,
}

/// Under which name the limit of one response is sent to an OpenAI-compatible server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(rename_all = "snake_case")]
pub enum OutputLimit {
    /// Known to every server but refused by OpenAI's newer models.
    #[default]
    MaxTokens,
    /// What OpenAI wants now.
    MaxCompletionTokens,
}

impl OutputLimit {
    /// As it is sent.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// How the tokens of a model's texts are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Tokenizer {
    /// By the model's name where that says it, else by an estimate.
    #[default]
    Auto,
    /// With OpenAI's newer vocabulary.
    O200k,
    /// With OpenAI's older vocabulary.
    Cl100k,
    /// By an estimate that is seldom too low.
    Estimate,
    /// With a tokenizer's file, such as a model's `tokenizer.json`.
    File(PathBuf),
}

impl From<String> for Tokenizer {
    fn from(text: String) -> Self {
        match text.as_str() {
            "auto" => Self::Auto,
            "o200k_base" => Self::O200k,
            "cl100k_base" => Self::Cl100k,
            "estimate" => Self::Estimate,
            _ => Self::File(text.into()),
        }
    }
}

impl From<Tokenizer> for String {
    fn from(tokenizer: Tokenizer) -> Self {
        match tokenizer {
            Tokenizer::Auto => "auto".to_owned(),
            Tokenizer::O200k => Encoding::O200k.name().to_owned(),
            Tokenizer::Cl100k => Encoding::Cl100k.name().to_owned(),
            Tokenizer::Estimate => "estimate".to_owned(),
            Tokenizer::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// From 0 to 2, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(u16);

impl TryFrom<f64> for Temperature {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        // the nearest of two thousand and one
        (0..=2000_u16)
            .find(|thousandths| (f64::from(*thousandths) / 1000.0 - value).abs() <= 0.0005)
            .map(Self)
            .ok_or_else(|| format!("temperature is {value}; it must be from 0 to 2"))
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        Self::from(temperature.0) / 1000.0
    }
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Whose API it speaks.
    pub provider: Provider,
    /// Its name at the provider.
    pub model: String,
    /// Where it is: a name of `egress-proxy.upstreams`.
    pub upstream: String,
    /// Tokens of one response. Without it Anthropic is told 8192, and others decide themselves.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Under which name the limit is sent, of `openai` models.
    #[serde(default)]
    pub output_limit: OutputLimit,
    /// How much chance is in its answers; left to the provider when absent.
    #[serde(default)]
    #[schemars(with = "Option<f64>")]
    pub temperature: Option<Temperature>,
    /// Longest wait for the first byte of an answer. The upstream's own limits apply too.
    #[serde(default = "first_byte")]
    pub first_byte: Span,
    /// Longest silence in the middle of an answer.
    #[serde(default = "idle")]
    pub idle: Span,
    /// Attempts for one response, where another one may help.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// How its tokens are counted: "auto", "o200k_base", "cl100k_base", "estimate", or the path of a tokenizer's file.
    #[serde(default)]
    pub tokenizer: Tokenizer,
}

fn first_byte() -> Span {
    Duration::from_secs(120).into()
}

fn idle() -> Span {
    Duration::from_secs(60).into()
}

fn attempts() -> u32 {
    4
}

impl ModelConfig {
    /// A model with everything else left to its default.
    pub fn new(provider: Provider, model: impl Into<String>, upstream: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            upstream: upstream.into(),
            max_output_tokens: None,
            output_limit: OutputLimit::default(),
            temperature: None,
            first_byte: first_byte(),
            idle: idle(),
            attempts: attempts(),
            tokenizer: Tokenizer::default(),
        }
    }

    /// What clients and the audit log call it.
    pub(crate) fn shown(&self) -> String {
        let provider = match self.provider {
            Provider::Anthropic => "anthropic",
            Provider::Openai => "openai",
        };
        format!("{provider}:{}", self.model)
    }

    /// How its tokens are counted. Nobody outside has Anthropic's tokenizer.
    pub(crate) fn counted(&self) -> Choice {
        match (&self.tokenizer, self.provider) {
            (Tokenizer::Auto, Provider::Openai) => harombe_tokens::openai(&self.model),
            (Tokenizer::Auto, Provider::Anthropic) | (Tokenizer::Estimate, _) => Choice::Estimate,
            (Tokenizer::O200k, _) => Choice::Encoding(Encoding::O200k),
            (Tokenizer::Cl100k, _) => Choice::Encoding(Encoding::Cl100k),
            (Tokenizer::File(path), _) => Choice::File(path.clone()),
        }
    }

    pub(super) fn validate(&self, name: &str, faults: &mut Vec<String>) {
        let mut fault = |words: &str| faults.push(format!("runtime.models.{name}{words}"));
        if !is_name(name) {
            fault(" has a name that cannot be used: letters, digits, '-', '_' and '.'");
        }
        if self.model.trim().is_empty() {
            fault(".model must be the model's name at the provider");
        }
        if self.upstream.trim().is_empty() {
            fault(".upstream must name one of egress-proxy.upstreams");
        }
        if self.max_output_tokens == Some(0) {
            fault(".max_output_tokens must be at least 1");
        }
        let waits = Duration::from_secs(1)..=MAX_WAIT;
        if !waits.contains(&self.first_byte.as_duration()) || !waits.contains(&self.idle.as_duration()) {
            fault(".first_byte and .idle must be from \"1s\" to \"15m\"");
        }
        if matches!(&self.tokenizer, Tokenizer::File(path) if path.as_os_str().is_empty()) {
            fault(
                ".tokenizer must be \"auto\", \"o200k_base\", \"cl100k_base\", \"estimate\" or the path of a file",
            );
        }
        if !(1..=10).contains(&self.attempts) {
            fault(".attempts must be from 1 to 10");
        }
    }
}

/// Can a model be called that, so that an agent can name it?
pub(super) fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(letter) && text != "scripted"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<ModelConfig, toml::de::Error> {
        toml::from_str(&format!(
            "provider = 'openai'\nmodel = 'm'\nupstream = 'local'\n{more}"
        ))
    }

    #[test]
    fn three_keys_are_enough() {
        let model = read("").unwrap();
        assert_eq!(model, ModelConfig::new(Provider::Openai, "m", "local"));
        let mut faults = Vec::new();
        model.validate("local", &mut faults);
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(model.shown(), "openai:m");
    }

    #[test]
    fn a_temperature_is_sent_as_it_was_written() {
        for (text, value) in [("0", 0.0), ("0.7", 0.7), ("1", 1.0), ("2.0", 2.0)] {
            let temperature = read(
                &format!("temperature = {text}.0")
                    .replace(".7.0", ".7")
                    .replace(".0.0", ".0"),
            );
            let temperature = temperature.unwrap().temperature.unwrap();
            assert!((f64::from(temperature) - value).abs() < 1e-9, "{text}");
        }
        for text in ["2.5", "-0.1", "nan"] {
            assert!(read(&format!("temperature = {text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_model_is_counted_as_its_maker_does_where_that_is_known() {
        for (provider, model, tokenizer, expected) in [
            (
                Provider::Openai,
                "gpt-4o-mini",
                "auto",
                Choice::Encoding(Encoding::O200k),
            ),
            (
                Provider::Openai,
                "gpt-4-turbo",
                "auto",
                Choice::Encoding(Encoding::Cl100k),
            ),
            (Provider::Openai, "llama3.2", "auto", Choice::Estimate),
            (Provider::Openai, "gpt-4o", "estimate", Choice::Estimate),
            (Provider::Anthropic, "gpt-4o", "auto", Choice::Estimate),
            (
                Provider::Anthropic,
                "claude",
                "cl100k_base",
                Choice::Encoding(Encoding::Cl100k),
            ),
            (
                Provider::Openai,
                "qwen",
                "/models/q/tokenizer.json",
                Choice::File("/models/q/tokenizer.json".into()),
            ),
        ] {
            let model = ModelConfig {
                tokenizer: tokenizer.to_owned().into(),
                ..ModelConfig::new(provider, model, "up")
            };
            assert_eq!(model.counted(), expected, "{tokenizer}");
            assert_eq!(String::from(model.tokenizer), tokenizer);
        }
        assert_eq!(read("").unwrap().tokenizer, Tokenizer::Auto);
    }

    #[test]
    fn all_faults_are_told_with_their_keys() {
        let model = ModelConfig {
            max_output_tokens: Some(0),
            idle: Duration::ZERO.into(),
            attempts: 0,
            tokenizer: String::new().into(),
            ..ModelConfig::new(Provider::Anthropic, " ", "")
        };
        let mut faults = Vec::new();
        model.validate("a b", &mut faults);
        let faults = faults.join("\n");
        for words in [
            "a b has a name",
            ".model",
            ".upstream",
            ".max_output_tokens",
            ".idle",
            ".attempts",
            ".tokenizer",
        ] {
            assert!(faults.contains(words), "{faults} lacks {words}");
        }
        assert!(read("retries = 3").is_err());
    }
}
