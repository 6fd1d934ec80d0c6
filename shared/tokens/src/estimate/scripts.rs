//! What a character costs that is not ASCII, by its script.

/// Marks letters that words in Latin script are made of.
pub(super) const LATIN: u64 = 0;

/// First and last character, and thousandths of a token for each. What is in none of them costs its bytes: no tokenizer here
/// makes more of it.
const SCRIPTS: [(u32, u32, u64); 25] = [
    (0x0080, 0x024f, LATIN),
    (0x0250, 0x036f, 1500),
    (0x0370, 0x03ff, 1100), // Greek
    (0x0400, 0x052f, 1030), // Cyrillic
    (0x0530, 0x058f, 2000), // Armenian
    (0x0590, 0x05ff, 1200), // Hebrew
    (0x0600, 0x06ff, 1060), // Arabic
    (0x0700, 0x08ff, 2000),
    (0x0900, 0x097f, 1360), // Devanagari
    (0x0980, 0x0dff, 2200), // other scripts of India
    (0x0e00, 0x0e7f, 1150), // Thai
    (0x0e80, 0x10ff, 2600),
    (0x1100, 0x11ff, 3000),
    (0x1e00, 0x1eff, LATIN), // Vietnamese
    (0x1f00, 0x1fff, 2200),
    (0x2000, 0x206f, 1500),   // punctuation
    (0x2070, 0x2bff, 1700),   // signs, arrows, boxes
    (0x3000, 0x303f, 1050),   // punctuation of East Asia
    (0x3040, 0x30ff, 1080),   // kana
    (0x3400, 0x4dbf, 3000),   // rare Han
    (0x4e00, 0x9fff, 1420),   // Han
    (0xac00, 0xd7af, 2080),   // Hangul
    (0xfe00, 0xfe0f, 1200),   // variation selectors
    (0xff00, 0xffef, 1200),   // full width
    (0x1f000, 0x1faff, 2950), // emoji
];

/// Thousandths of a token; [`LATIN`] for what is part of a word in Latin script, and for its signs.
pub(super) fn rate(letter: char) -> u64 {
    let code = u32::from(letter);
    let after = SCRIPTS.partition_point(|(first, _, _)| *first <= code);
    match after.checked_sub(1).and_then(|at| SCRIPTS.get(at)) {
        Some((_, last, LATIN)) if code <= *last => {
            if letter.is_alphabetic() {
                LATIN
            } else {
                1000
            }
        }
        Some((_, last, rate)) if code <= *last => *rate,
        _ => letter.len_utf8() as u64 * 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_one_rate() {
        assert!(SCRIPTS.is_sorted());
        assert!(SCRIPTS.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for (letter, expected) in [
            ('é', LATIN),
            ('ế', LATIN),
            ('×', 1000),
            ('я', 1030),
            ('🎉', 2950),
            ('\u{1d11e}', 4000),
        ] {
            assert_eq!(rate(letter), expected, "{letter}");
        }
    }
}
