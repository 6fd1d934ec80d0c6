//! A server that somebody else runs, and the key to its door.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use harombe_rpc::Public;
use http::Uri;

use crate::compose::StartError;

/// Where it is and what it is shown.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// `https://host:port`, or `http://` on this machine.
    pub url: Uri,
    /// Holds the API key; to be read by its owner only.
    pub key_file: Option<PathBuf>,
    /// PEM; the system's roots when there is none.
    pub ca: Option<PathBuf>,
}

impl Elsewhere {
    /// The flags that name it.
    pub(super) fn arguments(&self) -> String {
        let mut text = format!("--server {}", self.url);
        for (flag, file) in [("key-file", &self.key_file), ("ca", &self.ca)] {
            if let Some(file) = file {
                text.push_str(&format!(" --{flag} {}", file.display()));
            }
        }
        text
    }

    /// Reads the key and the CA.
    pub(super) fn public(&self) -> Result<Public, StartError> {
        let key = self.key_file.as_deref().map(read_key).transpose()?;
        if key.is_some() && self.url.scheme_str() == Some("http") && !is_here(&self.url) {
            return Err(StartError::InTheClear(self.url.to_string()));
        }
        let ca = self.ca.as_deref().map(|path| {
            std::fs::read(path).map_err(|source| StartError::Credential {
                what: "the CA",
                path: path.to_owned(),
                source,
            })
        });
        Ok(Public {
            uri: self.url.clone(),
            ca: ca.transpose()?,
            key,
        })
    }
}

fn read_key(path: &Path) -> Result<String, StartError> {
    let fault = |source| StartError::Credential {
        what: "the key",
        path: path.to_owned(),
        source,
    };
    let mode = std::fs::metadata(path).map_err(fault)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(StartError::OpenToOthers(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(fault)?;
    Ok(text.trim().to_owned())
}

fn is_here(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    loopback || host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(url: &str, mode: u32) -> Result<Public, StartError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hrb_a_b\n").unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let server = Elsewhere {
            url: url.parse().unwrap(),
            key_file: Some(file.path().to_owned()),
            ca: None,
        };
        server.public()
    }

    #[test]
    fn a_key_never_travels_in_the_clear() {
        for good in [
            "https://harombe.example.org",
            "http://127.0.0.1:7400",
            "http://[::1]:7400",
            "http://localhost:7400",
        ] {
            assert_eq!(
                with_key(good, 0o600).unwrap().key.as_deref(),
                Some("hrb_a_b"),
                "{good}"
            );
        }
        for bad in ["http://harombe.example.org:7400", "http://10.0.0.1:7400"] {
            assert!(
                matches!(with_key(bad, 0o600), Err(StartError::InTheClear(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let refused = with_key("https://a.example", 0o640);
        assert!(matches!(refused, Err(StartError::OpenToOthers(_))));
    }
}
