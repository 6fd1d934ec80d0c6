//! Text as it may be shown.

use std::path::Path;

/// Text without control characters that could drive the terminal: what is shown for approval must be what is there.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Characters that reorder what follows them, so that code reads otherwise than it runs (CVE-2021-42574).
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first lines of a text, each of which may be 400 characters long; says how much is left out.
pub(crate) fn shortened(text: &str, lines: usize) -> String {
    const LONGEST: usize = 400;
    let cut = |line: &str| line.chars().take(LONGEST).collect::<String>();
    let shown: Vec<String> = text.lines().take(lines).map(cut).collect();
    let shown = shown.join("\n");
    match text.trim_end().len().saturating_sub(shown.len()) {
        0 => shown,
        left => format!("{shown}\n… {left} bytes more"),
    }
}

/// How a model is called before a person: a script by its file's name, not its whole path.
pub(crate) fn model_name(model: &str) -> String {
    match model.split_once(':') {
        Some(("scripted", file)) => {
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            format!("scripted, from {name}")
        }
        _ => model.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        assert_eq!(shortened("a\nb\nc\n", 3), "a\nb\nc");
        assert_eq!(shortened("a\nb\nc", 2), "a\nb\n… 2 bytes more");
        let long = shortened(&"x".repeat(1_000), 2);
        assert!(long.ends_with("x\n… 600 bytes more"), "{long}");
    }

    #[test]
    fn a_script_is_called_by_its_file() {
        assert_eq!(
            model_name("scripted:/tmp/a/model.toml"),
            "scripted, from model.toml"
        );
        assert_eq!(model_name("scripted"), "scripted");
        assert_eq!(model_name("openai:x"), "openai:x");
    }
}
