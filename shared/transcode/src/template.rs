//! Path templates as `google.api.http` writes them: `/v1/runs/{run_id}:cancel`, `/v1/files/{path=**}`.

use percent_encoding::percent_decode_str;

/// One step of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    /// One segment of the path; the field that it is the value of, dots for fields of fields.
    One(Box<str>),
    /// Every segment that is left, at least one.
    Rest(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    /// What stands after the last colon.
    pub(crate) verb: Option<Box<str>>,
}

/// What a path says for the fields of its template.
pub(crate) type Captures<'t> = Vec<(&'t str, String)>;

/// Why a path that has the template's form cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path is not UTF-8 once its percent signs are decoded")]
pub(crate) struct NotText;

impl Template {
    /// `None` for what is no template of the forms that we use.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('/')?;
        let (path, verb) = match text.rsplit_once(':') {
            Some((path, verb)) if !verb.contains(['}', '/']) => (path, Some(verb)),
            _ => (text, None),
        };
        let segments: Vec<_> = path.split('/').map(segment).collect::<Option<_>>()?;
        let (_, before) = segments.split_last()?;
        let well_formed =
            verb != Some("") && !before.iter().any(|segment| matches!(segment, Segment::Rest(_)));
        well_formed.then(|| Self {
            segments,
            verb: verb.map(Into::into),
        })
    }

    /// What the fields are in this path; `None` when it has another form.
    pub(crate) fn matches(&self, path: &str) -> Option<Result<Captures<'_>, NotText>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(&**verb)?.strip_suffix(':')?,
            None => path,
        };
        let mut parts = path.split('/');
        let mut captures = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let part = parts.next()?;
            match segment {
                Segment::Literal(literal) if **literal == *part => {}
                Segment::Literal(_) => return None,
                Segment::One(field) => {
                    let last = at + 1 == self.segments.len();
                    // A colon there begins a verb; in a value it is written %3A.
                    if part.is_empty() || (last && part.contains(':')) {
                        return None;
                    }
                    captures.push((&**field, decoded(part)));
                }
                Segment::Rest(field) => {
                    let rest: Vec<_> = std::iter::once(part).chain(parts.by_ref()).map(decoded).collect();
                    let rest = rest
                        .into_iter()
                        .collect::<Option<Vec<_>>>()
                        .map(|rest| rest.join("/"));
                    if rest.as_deref() == Some("") {
                        return None;
                    }
                    captures.push((&**field, rest));
                }
            }
        }
        if parts.next().is_some() {
            return None;
        }
        let captures = captures.into_iter().map(|(field, value)| Some((field, value?)));
        Some(captures.collect::<Option<_>>().ok_or(NotText))
    }

    /// Orders templates so that the first that matches is the most exact.
    pub(crate) fn vagueness(&self) -> (Vec<u8>, bool) {
        let of = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::One(_) => 1,
            Segment::Rest(_) => 2,
        };
        (self.segments.iter().map(of).collect(), self.verb.is_none())
    }

    /// The form without the names: two templates of one form match the same paths.
    pub(crate) fn form(&self) -> String {
        self.write(|segment| match segment {
            Segment::Literal(literal) => literal.to_string(),
            Segment::One(_) => "*".to_owned(),
            Segment::Rest(_) => "**".to_owned(),
        })
    }

    /// As `OpenAPI` writes it, each field by its last name.
    pub(crate) fn openapi(&self) -> String {
        self.write(|segment| match segment {
            Segment::Literal(literal) => literal.to_string(),
            Segment::One(field) | Segment::Rest(field) => format!("{{{}}}", last_name(field)),
        })
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(field) | Segment::Rest(field) => Some(&**field),
        })
    }

    fn write(&self, each: impl Fn(&Segment) -> String) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            text.push_str(&each(segment));
        }
        if let Some(verb) = &self.verb {
            text.push(':');
            text.push_str(verb);
        }
        text
    }
}

pub(crate) fn last_name(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

fn segment(text: &str) -> Option<Segment> {
    let Some(inner) = text.strip_prefix('{') else {
        let plain = !text.is_empty() && !text.contains(['{', '}', '*', '%', ':']);
        return plain.then(|| Segment::Literal(text.into()));
    };
    let inner = inner.strip_suffix('}')?;
    let (field, pattern) = inner.split_once('=').unwrap_or((inner, "*"));
    let is_name = !field.is_empty()
        && field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    match pattern {
        "*" if is_name => Some(Segment::One(field.into())),
        "**" if is_name => Some(Segment::Rest(field.into())),
        _ => None,
    }
}

fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, expected: Option<&[(&str, &str)]>) {
        let template = Template::parse(template).unwrap();
        let found = template.matches(path).map(Result::unwrap);
        let found: Option<Vec<_>> = found.as_ref().map(|found| {
            found
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect()
        });
        assert_eq!(found.as_deref(), expected, "{path}");
    }

    #[test]
    fn paths_are_told_apart() {
        check("/v1/runs", "/v1/runs", Some(&[]));
        check("/v1/runs", "/v1/runs/", None);
        check("/v1/runs", "/v1", None);
        check("/v1/runs/{run_id}", "/v1/runs/7", Some(&[("run_id", "7")]));
        check("/v1/runs/{run_id}", "/v1/runs/", None);
        check("/v1/runs/{run_id}", "/v1/runs/7/8", None);
        check("/v1/runs/{run_id}", "/v1/runs/7:cancel", None);
        check(
            "/v1/runs/{run_id}",
            "/v1/runs/7%3Acancel",
            Some(&[("run_id", "7:cancel")]),
        );
        check(
            "/v1/runs/{run_id}:cancel",
            "/v1/runs/7:cancel",
            Some(&[("run_id", "7")]),
        );
        check("/v1/runs/{run_id}:cancel", "/v1/runs/:cancel", None);
        check("/v1/approvals:watch", "/v1/approvals:watch", Some(&[]));
        check("/v1/approvals:watch", "/v1/approvals", None);
        check("/f/{a.b=**}", "/f/x/y%20z/%2e", Some(&[("a.b", "x/y z/.")]));
        check("/f/{a.b=**}", "/f/a:b", Some(&[("a.b", "a:b")]));
        check("/f/{a.b=**}", "/f/", None);
        check("/f/{a.b=**}", "/f", None);
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        let template = Template::parse("/v1/{x}").unwrap();
        assert_eq!(template.matches("/v1/%ff"), Some(Err(NotText)));
    }

    #[test]
    fn what_is_no_template_of_ours_is_refused() {
        for text in [
            "",
            "v1",
            "/",
            "/v1/{",
            "/v1/{}",
            "/v1/{a=b/*}",
            "/v1/{a=**}/b",
            "/v1/*",
            "/v1/{a b}",
            "/v1:",
        ] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }

    #[test]
    fn exact_templates_come_first() {
        let vagueness = |text: &str| Template::parse(text).unwrap().vagueness();
        assert!(vagueness("/a/b") < vagueness("/a/{x}"));
        assert!(vagueness("/a/{x}") < vagueness("/a/{x=**}"));
        assert!(vagueness("/a/{x}:v") < vagueness("/a/{x}"));
    }
}
