//! Compact JWS (RFC 7515) in the one form that we use: EdDSA, a `typ`, and the signer's certificate chain in `x5c`.
//!
//! Anything else in the header is refused, `crit` and `kid` included, so that no library option has to be right.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use harombe_types::{ServiceName, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::roots::{MAX_CHAIN, verify_signature};
use crate::{Error, ServiceIdentity, TrustRoots};

/// The longest token that is made or read, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// By how much another machine's clock may be ahead of ours. Tokens are made to be used at once, so that one which is used
/// early gives nobody anything; their ends are kept to the second.
const LEEWAY: Duration = Duration::from_secs(60);

const ALGORITHM: &str = "EdDSA";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    x5c: Vec<String>,
}

/// Signs `claims` as a token of type `typ`.
///
/// # Errors
/// The claims cannot be encoded or the token would be longer than [`MAX_TOKEN`].
pub fn sign(signer: &ServiceIdentity, typ: &str, claims: &impl Serialize) -> Result<String, Error> {
    let header = Header {
        alg: ALGORITHM.to_owned(),
        typ: typ.to_owned(),
        x5c: signer
            .chain()
            .iter()
            .map(|certificate| STANDARD.encode(certificate))
            .collect(),
    };
    let mut token = String::with_capacity(2048);
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&header).map_err(Error::Encode)?, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).map_err(Error::Encode)?, &mut token);
    let signature = signer.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    if token.len() > MAX_TOKEN {
        return Err(Error::Oversize { max: MAX_TOKEN });
    }
    Ok(token)
}

/// The claims of a token of type `typ` that `expected` signed with a certificate valid at `now`. What the claims
/// say, their times included, is the caller's to check.
///
/// # Errors
/// The token is not of that form, its chain is not trusted, another service signed it, or it was changed.
pub fn verify<T: DeserializeOwned>(
    token: &str,
    typ: &str,
    roots: &TrustRoots,
    expected: ServiceName,
    now: Timestamp,
) -> Result<T, Error> {
    if token.len() > MAX_TOKEN {
        return Err(Error::Oversize { max: MAX_TOKEN });
    }
    let (signed, signature) = token
        .rsplit_once('.')
        .ok_or(Error::Malformed("it needs three parts"))?;
    let (header, claims) = signed
        .split_once('.')
        .ok_or(Error::Malformed("it needs three parts"))?;
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| Error::Malformed("header is not ours"))?;
    if header.alg != ALGORITHM {
        return Err(Error::Malformed("algorithm is not EdDSA"));
    }
    if header.typ != typ {
        return Err(Error::Malformed("type is another"));
    }
    let chain = decode_chain(&header.x5c)?;
    let leaf = chain.first().ok_or(Error::ChainLength)?;
    let found = roots.verify_chain(&chain, now)?;
    if found != expected {
        return Err(Error::WrongSigner { expected, found });
    }
    // `decode` refuses a second dot in the claims: it is outside the alphabet.
    let claims = decode(claims)?;
    verify_signature(leaf, signed.as_bytes(), &decode(signature)?)?;
    serde_json::from_slice(&claims).map_err(|_| Error::Malformed("claims are not ours"))
}

/// Whether a token with these times (seconds since the epoch) may be used at `now`: before `exp`, and not before
/// `iat` and `nbf` but for a small leeway.
///
/// # Errors
/// It has expired or is not valid yet.
pub fn check_times(iat: i64, nbf: i64, exp: i64, now: Timestamp) -> Result<(), Error> {
    if now.as_secs() >= exp {
        return Err(Error::Expired);
    }
    if now.plus(LEEWAY).as_secs() < nbf.max(iat) {
        return Err(Error::NotYetValid);
    }
    Ok(())
}

/// One spelling only: no padding, no line breaks, no stray bits.
fn decode(text: &str) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Error::Malformed("a part is not base64url"))
}

fn decode_chain(x5c: &[String]) -> Result<Vec<CertificateDer<'static>>, Error> {
    if x5c.is_empty() || x5c.len() > MAX_CHAIN {
        return Err(Error::ChainLength);
    }
    x5c.iter()
        .map(|text| STANDARD.decode(text).map(CertificateDer::from))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Malformed("x5c is not base64"))
}
