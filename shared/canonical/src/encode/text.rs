//! String literals as RFC 8785 §3.2.2.2 wants them: escaped only where JSON demands it, in the shortest form.

use std::cmp::Ordering;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes `text` in quotes.
pub(super) fn write(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
    {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, after)) = special.split_first() {
            escape(out, *byte);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The order of member names: by their UTF-16 code units (RFC 8785 §3.2.3). It differs from the order of UTF-8 bytes
/// only where a character beyond U+FFFF meets one from U+E000 on, whose UTF-8 begins with 0xEE or more.
pub(super) fn compare_keys(left: &str, right: &str) -> Ordering {
    let may_differ = |text: &str| text.bytes().any(|byte| byte >= 0xee);
    if may_differ(left) && may_differ(right) {
        return left.encode_utf16().cmp(right.encode_utf16());
    }
    left.cmp(right)
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
