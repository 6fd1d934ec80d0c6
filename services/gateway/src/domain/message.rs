//! What a message must look like before anything is asked of others.

use crate::Error;

/// The longest text, in bytes.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;
const MAX_CLIENT_ID: usize = 128;

pub(crate) fn check(client_message_id: &str, text: &str) -> Result<(), Error> {
    let id = client_message_id;
    if id.is_empty() || id.len() > MAX_CLIENT_ID || id.chars().any(char::is_control) {
        return Err(Error::ClientMessageId);
    }
    if text.is_empty() {
        return Err(Error::NoText);
    }
    if text.len() > MAX_TEXT {
        return Err(Error::LongText {
            size: text.len(),
            max: MAX_TEXT,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_texts_have_their_bounds() {
        let ok = |id: &str, text: &str| check(id, text).is_ok();
        assert!(ok("1", "hello"));
        assert!(ok(&"x".repeat(128), &"x".repeat(MAX_TEXT)));
        assert!(!ok("", "hello"));
        assert!(!ok(&"x".repeat(129), "hello"));
        assert!(!ok("a\nb", "hello"));
        assert!(!ok("1", ""));
        assert!(!ok("1", &"x".repeat(MAX_TEXT + 1)));
    }
}
