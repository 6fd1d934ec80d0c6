//! What can be wrong with a key file, a certificate or a token.

use std::path::PathBuf;

use harombe_error::{Code, Reason, ServiceError};
use harombe_types::ServiceName;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot access {path}", path = path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} holds a private key and is open to others; run: chmod 600 {path}", path = path.display())]
    OpenToOthers { path: PathBuf },
    #[error("{what} is not valid PEM")]
    Pem { what: &'static str },
    #[error("private key is not an Ed25519 key in PKCS #8")]
    Key,
    #[error("private key does not belong to the certificate")]
    KeyMismatch,
    #[error("certificate names no service of trust domain {trust_domain}")]
    NoService { trust_domain: String },
    #[error("trust domain {0:?} must be 1 to 255 characters of a-z, 0-9, '.', '-', '_'")]
    TrustDomain(String),
    #[error("no certificate is issued to {0}")]
    NotIssuable(ServiceName),
    #[error("certificate cannot be made")]
    Issue(#[source] rcgen::Error),
    #[error("certificate chain is not trusted")]
    Chain(#[source] webpki::Error),
    #[error("certificate chain must have 1 to 4 certificates")]
    ChainLength,
    #[error("token is longer than {max} bytes")]
    Oversize { max: usize },
    #[error("token is malformed: {0}")]
    Malformed(&'static str),
    #[error("token cannot be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("token is signed by {found}, not by {expected}")]
    WrongSigner {
        expected: ServiceName,
        found: ServiceName,
    },
    #[error("token's signature is wrong")]
    Signature,
    #[error("token's {0} is not acceptable")]
    Claim(&'static str),
    #[error("token is not for this service")]
    Audience,
    #[error(
        "token has expired; if it was made a moment ago, compare the clocks of the gateway and this machine"
    )]
    Expired,
    #[error("token is not valid yet; compare the clocks of the gateway and this machine")]
    NotYetValid,
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::File { .. }
            | Self::OpenToOthers { .. }
            | Self::Pem { .. }
            | Self::Key
            | Self::KeyMismatch
            | Self::TrustDomain(_)
            | Self::NotIssuable(_)
            | Self::Issue(_)
            | Self::Encode(_) => Code::Internal,
            _ => Code::Unauthenticated,
        }
    }

    fn reason(&self) -> Reason {
        match self.code() {
            Code::Internal => Reason::Internal,
            _ => Reason::Unauthenticated,
        }
    }
}
