//! Which way of counting is a model's.

use std::path::PathBuf;

use tiktoken_rs::CoreBPE;

/// A way of counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By the estimate.
    Estimate,
    /// With a public vocabulary.
    Encoding(Encoding),
    /// With a tokenizer's file, as Hugging Face's `tokenizer.json` is.
    File(PathBuf),
}

/// A public vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Of OpenAI's models since GPT-4o, and of its open ones.
    O200k,
    /// Of those before.
    Cl100k,
}

impl Encoding {
    /// What its maker calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    pub(crate) fn load(self) -> Option<CoreBPE> {
        match self {
            Self::O200k => tiktoken_rs::o200k_base().ok(),
            Self::Cl100k => tiktoken_rs::cl100k_base().ok(),
        }
    }
}

/// The way for a model of an OpenAI-compatible API, by its name there. What is fine-tuned (`ft:NAME:…`) counts like what it
/// is made from, and the name of a reseller's or a folder (`openai/NAME`) is ignored. GPT-3.5 and GPT-4 have `cl100k_base`;
/// everything of OpenAI's since (GPT-4o, GPT-4.1, GPT-4.5, GPT-5 and later, `o` with a number, `chatgpt`, `codex`,
/// `gpt-oss`) `o200k_base`. Of any other name nothing is known.
pub fn openai(model: &str) -> Choice {
    let model = model.to_ascii_lowercase();
    let model = model.rsplit('/').next().unwrap_or_default();
    let model = model.strip_prefix("ft:").unwrap_or(model);
    let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    if begins(&["gpt-4o", "gpt-4.", "gpt-oss", "chatgpt", "codex"]) || is_reasoning(model) {
        return Choice::Encoding(Encoding::O200k);
    }
    if begins(&["gpt-35", "text-embedding-3", "text-embedding-ada-002"]) {
        return Choice::Encoding(Encoding::Cl100k);
    }
    match model.strip_prefix("gpt-").map(number) {
        Some(3 | 4) => Choice::Encoding(Encoding::Cl100k),
        Some(version) if version > 4 => Choice::Encoding(Encoding::O200k),
        _ => Choice::Estimate,
    }
}

/// `o1`, `o3-mini`, …
fn is_reasoning(model: &str) -> bool {
    model
        .strip_prefix('o')
        .map(number)
        .is_some_and(|version| version > 0)
}

/// The number that a text begins with; 0 without one.
fn number(text: &str) -> u32 {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..digits)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_its_tokens_are_counted() {
        let o200k = "gpt-4o gpt-4o-mini-2024-07-18 gpt-4.1-nano gpt-4.5-preview gpt-5 gpt-5.4-mini gpt-10 o1 o3-mini o4-mini \
                     chatgpt-4o-latest codex-mini-latest gpt-oss:20b openai/gpt-oss-120b ft:gpt-4o-mini:acme::x GPT-5";
        let cl100k = "gpt-4 gpt-4-turbo gpt-4-0613 gpt-4-32k gpt-3.5-turbo gpt-35-turbo-16k ft:gpt-3.5-turbo:a:b \
                      text-embedding-3-small";
        let nothing =
            "llama3.2 qwen2.5:7b mistral-small claude-sonnet-4-5 olmo-2 o opus gpt gpt-j gpt-2 phi-4 davinci";
        for (names, expected) in [
            (o200k, Choice::Encoding(Encoding::O200k)),
            (cl100k, Choice::Encoding(Encoding::Cl100k)),
            (nothing, Choice::Estimate),
        ] {
            for name in names.split_whitespace() {
                assert_eq!(openai(name), expected, "{name}");
            }
        }
    }
}
