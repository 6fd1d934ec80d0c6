//! Lines for people or for programs, from the same events.

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::{Error, Options};

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people; coloured when standard error is a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// A text that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no log format is called {0:?}; formats are human, json")]
pub struct InvalidFormat(String);

impl FromStr for Format {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(InvalidFormat(other.chars().take(64).collect())),
        }
    }
}

pub(crate) fn build<W>(options: &Options, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|source| Error::Filter {
            filter: options.filter.clone(),
            source,
        })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match options.format {
        Format::Human => Box::new(lines.with_ansi(std::io::stderr().is_terminal()).finish()),
        Format::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::Dispatch;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, events: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let options = Options {
            format,
            filter: filter.to_owned(),
        };
        let subscriber = build(&options, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&Dispatch::new(subscriber), events);
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_chooses_by_level_and_target() {
        let text = logged(Format::Human, "warn,chatty=debug", || {
            tracing::info!("left out");
            tracing::warn!("kept by level");
            tracing::debug!(target: "chatty", "kept by target");
        });
        assert!(!text.contains("left out"), "{text}");
        assert!(
            text.contains("kept by level") && text.contains("kept by target"),
            "{text}"
        );
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields_and_span() {
        let text = logged(Format::Json, "info", || {
            let span = tracing::info_span!("rpc", method = "/a/B");
            span.in_scope(|| tracing::info!(tries = 3, "two\nlines"));
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["tries"], 3);
        assert_eq!(line["span"]["method"], "/a/B");
    }

    #[test]
    fn a_filter_that_is_not_understood_is_named() {
        let options = Options {
            format: Format::Human,
            filter: "a=b=c".to_owned(),
        };
        let Err(error) = build(&options, std::io::sink) else {
            panic!("it was understood");
        };
        assert!(error.to_string().contains("a=b=c"), "{error}");
    }

    #[test]
    fn formats_are_read_by_name() {
        assert_eq!("human".parse(), Ok(Format::Human));
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!("JSON".parse::<Format>().is_err());
    }
}
