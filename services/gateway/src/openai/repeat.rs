//! Requests that are sent again: a completion with the same `Idempotency-Key` is the same run, in the same session.

use aws_lc_rs::digest;
use http::HeaderMap;

use crate::door::{Offered, offered};

const HEADER: &str = "idempotency-key";

/// The client's name for its request.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER)?.to_str().ok()
}

/// The session of a request that names none: made of its name, its model and the key that came with it, so that nobody needs to
/// remember either, and empty for one without a name. In the form of an id of our own.
pub(super) fn session_id(headers: &HeaderMap, model: &str) -> String {
    let Some(name) = key(headers) else {
        return String::new();
    };
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"completion");
    if let Offered::Key(key) = offered(headers) {
        // Of its secret, so that nobody else can be there first.
        context.update(key.digest().as_bytes());
    }
    context.update(model.as_bytes());
    context.update(b"\0");
    context.update(name.as_bytes());
    let digest = context.finish();
    let Some((bytes, _)) = digest.as_ref().split_first_chunk::<16>() else {
        return String::new();
    };
    let id = u128::from_be_bytes(*bytes) & !(0xF << 76) & !(0b11 << 62) | 7 << 76 | 0b10 << 62;
    let hex = format!("{id:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| hex.get(group).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use harombe_types::SessionId;

    use super::*;
    use crate::domain::secret::ApiKey;

    fn of(bearer: &ApiKey, name: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", bearer.reveal().parse().unwrap());
        headers.insert(HEADER, name.parse().unwrap());
        session_id(&headers, "default")
    }

    #[test]
    fn a_name_is_one_session_of_one_key() {
        let (ann, bob) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let id = of(&ann, "1");
        id.parse::<SessionId>().unwrap();
        assert!(
            id[14..].starts_with('7') && id[19..].starts_with(['8', '9', 'a', 'b']),
            "{id}"
        );
        assert_eq!(id, of(&ann, "1"));
        assert_ne!(id, of(&ann, "2"));
        assert_ne!(id, of(&bob, "1"));
        assert_eq!(session_id(&HeaderMap::new(), "default"), "");
    }
}
