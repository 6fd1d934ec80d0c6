//! `--model`: what stands behind the default agent.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use harombe_runtime::{ModelConfig, Provider};
use harombe_types::ServiceName;
use http::Uri;

use super::Config;

/// What the model, and the upstream that it is reached by, are called in the configuration.
const NAME: &str = "command-line";

const ANTHROPIC: &str = "https://api.anthropic.com";
const OPENAI: &str = "https://api.openai.com/v1";
const OPENAI_HOST: &str = "api.openai.com";

/// `scripted:FILE`, `anthropic:NAME` or `openai:NAME[@URL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A file of turns, for demos and tests.
    Scripted(PathBuf),
    /// Anthropic's, by its name there, with the secret `anthropic`.
    Anthropic(String),
    /// One that speaks OpenAI's chat completions below a URL; the secret `openai` is for OpenAI's own only.
    OpenAi { model: String, url: String },
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no model; say scripted:FILE, anthropic:NAME, openai:NAME, or openai:NAME@URL with the URL that ends before /chat/completions"
)]
pub struct InvalidModel(String);

impl FromStr for ModelSource {
    type Err = InvalidModel;

    fn from_str(text: &str) -> Result<Self, InvalidModel> {
        let invalid = || InvalidModel(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(invalid)?;
        match kind {
            "scripted" if !rest.is_empty() => Ok(Self::Scripted(PathBuf::from(rest))),
            "anthropic" if !rest.is_empty() => Ok(Self::Anthropic(rest.to_owned())),
            "openai" => {
                // A model's own name may have an @, a URL here has none.
                let (model, url) = rest.rsplit_once('@').unwrap_or((rest, OPENAI));
                let parsed = url.parse::<Uri>().ok();
                let absolute = parsed.is_some_and(|uri| uri.scheme().is_some() && uri.host().is_some());
                if model.is_empty() || !absolute {
                    return Err(invalid());
                }
                Ok(Self::OpenAi {
                    model: model.to_owned(),
                    url: url.to_owned(),
                })
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scripted(file) => write!(f, "scripted:{}", file.display()),
            Self::Anthropic(model) => write!(f, "anthropic:{model}"),
            Self::OpenAi { model, url } => write!(f, "openai:{model}@{url}"),
        }
    }
}

impl ModelSource {
    /// Puts it behind the default agent, with an upstream to reach it by.
    pub(super) fn put_into(&self, config: &mut Config) {
        let model = match self {
            Self::Scripted(_) => self.to_string(),
            Self::Anthropic(model) => {
                let upstream = config.egress_proxy.upstreams.entry(NAME.to_owned()).or_default();
                ANTHROPIC.clone_into(&mut upstream.url);
                upstream.credential = Some("anthropic".to_owned());
                upstream.inject = "x-api-key".to_owned().try_into().unwrap_or_default();
                upstream.services = vec![ServiceName::Runtime];
                let version = ("anthropic-version".to_owned(), "2023-06-01".to_owned());
                upstream.headers = [version].into();
                name(config, Provider::Anthropic, model)
            }
            Self::OpenAi { model, url } => {
                let upstream = config.egress_proxy.upstreams.entry(NAME.to_owned()).or_default();
                upstream.url.clone_from(url);
                upstream.credential = is_openai(url).then(|| "openai".to_owned());
                upstream.services = vec![ServiceName::Runtime];
                name(config, Provider::Openai, model)
            }
        };
        if let Some(agent) = config.runtime.agents.get_mut("default") {
            agent.model = model;
        }
    }
}

fn is_openai(url: &str) -> bool {
    let url = url.parse::<Uri>().ok();
    url.is_some_and(|url| url.scheme_str() == Some("https") && url.host() == Some(OPENAI_HOST))
}

fn name(config: &mut Config, provider: Provider, model: &str) -> String {
    let model = ModelConfig::new(provider, model, NAME);
    config.runtime.models.insert(NAME.to_owned(), model);
    NAME.to_owned()
}

#[cfg(test)]
mod tests {
    use harombe_config::Configuration as _;

    use super::*;

    #[test]
    fn every_source_reads_back_and_leaves_a_configuration_without_faults() {
        for (text, written) in [
            ("scripted:a:b.toml", "scripted:a:b.toml"),
            ("anthropic:claude-x", "anthropic:claude-x"),
            ("openai:gpt-x", "openai:gpt-x@https://api.openai.com/v1"),
            (
                "openai:org/a@1@http://127.0.0.1:8080/v1",
                "openai:org/a@1@http://127.0.0.1:8080/v1",
            ),
        ] {
            let source: ModelSource = text.parse().unwrap();
            assert_eq!(source.to_string(), written);
            let mut config = Config::default();
            source.put_into(&mut config);
            assert_eq!(config.validate(), Vec::<String>::new(), "{text}");
        }
        for text in [
            "",
            "gpt",
            "scripted:",
            "anthropic:",
            "openai:",
            "openai:@http://a",
            "openai:m@nowhere",
            "other:m",
        ] {
            assert!(text.parse::<ModelSource>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn openais_credential_goes_to_openai_only() {
        let credential = |text: &str| {
            let mut config = Config::default();
            text.parse::<ModelSource>().unwrap().put_into(&mut config);
            let upstreams = config.egress_proxy.upstreams.into_values();
            upstreams.filter_map(|upstream| upstream.credential).next()
        };
        assert_eq!(credential("openai:m").as_deref(), Some("openai"));
        assert_eq!(
            credential("openai:m@https://api.openai.com/v1").as_deref(),
            Some("openai")
        );
        assert_eq!(credential("openai:m@http://127.0.0.1:8080/v1"), None);
        assert_eq!(credential("openai:m@https://api.openai.com.example/v1"), None);
        assert_eq!(credential("openai:m@http://api.openai.com/v1"), None);
        assert_eq!(credential("anthropic:m").as_deref(), Some("anthropic"));
    }
}
