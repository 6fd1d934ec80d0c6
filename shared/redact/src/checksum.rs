//! Numbers that tell a made-up token from a real one: entropy, and the CRC that GitHub and npm put at the end.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Longer values are judged by their beginning, so that the cost of one check is bounded.
const SAMPLE: usize = 256;

/// Shannon entropy in bits per byte over the first 256 bytes.
pub(crate) fn entropy(bytes: &[u8]) -> f64 {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let mut counts = [0_u16; 256];
    for byte in sample {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u16::try_from(sample.len()).unwrap_or(u16::MAX)).max(1.0);
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

/// Whether the last six characters are the base-62 CRC-32 of those before, as in GitHub and npm tokens
/// (`payload` is the token without its prefix).
pub(crate) fn crc_matches(payload: &[u8]) -> bool {
    let Some((body, check)) = payload.split_last_chunk::<6>() else {
        return false;
    };
    base62(crc32(body)) == *check
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

fn base62(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        let place = usize::try_from(number % 62).unwrap_or(0);
        *digit = BASE62.get(place).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_the_ieee_polynomial() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_token_carries_the_crc_of_its_body() {
        let body = b"abcdefghijABCDEFGHIJ0123456789";
        let mut token = body.to_vec();
        token.extend_from_slice(&base62(crc32(body)));
        assert!(crc_matches(&token));
        token[3] ^= 1;
        assert!(!crc_matches(&token));
    }

    #[test]
    fn entropy_counts_bits() {
        assert!(entropy(b"aaaaaaaa") < 0.01);
        assert!((entropy(b"abcdabcd") - 2.0).abs() < 1e-9);
        assert!(entropy(b"") < 0.01);
    }
}
