//! Tells English from other languages in Latin letters: it has the fewest tokens by far, because tokenizers learnt from it.

/// Words that are frequent in English and are none, or rare, in its neighbours. In order.
const COMMON: [&[u8]; 72] = [
    b"about", b"after", b"all", b"and", b"are", b"as", b"at", b"be", b"been", b"but", b"by", b"can",
    b"could", b"did", b"do", b"don't", b"for", b"from", b"had", b"has", b"have", b"he", b"her", b"him",
    b"his", b"how", b"i", b"i'm", b"if", b"into", b"is", b"it", b"it's", b"its", b"me", b"more", b"my",
    b"no", b"not", b"of", b"only", b"or", b"our", b"out", b"over", b"she", b"so", b"some", b"than", b"that",
    b"that's", b"the", b"their", b"them", b"there", b"these", b"they", b"this", b"to", b"up", b"was", b"we",
    b"were", b"what", b"when", b"which", b"who", b"with", b"would", b"yes", b"you", b"your",
];

/// Fewer words say nothing about a language.
const LEAST: usize = 8;

/// Whether at least 18 of 100 words are among the most frequent of English; in real texts it is more than 30.
pub(super) fn is_english(text: &str) -> bool {
    let (mut words, mut common) = (0_usize, 0_usize);
    let parts = text
        .as_bytes()
        .split(|byte| !byte.is_ascii_alphabetic() && *byte != b'\'');
    for word in parts.filter(|word| !word.is_empty()) {
        words += 1;
        common += usize::from(is_common(word));
    }
    words >= LEAST && common * 100 >= words * 18
}

fn is_common(word: &[u8]) -> bool {
    let by_letters = |known: &&[u8]| {
        let letters = word.iter().map(u8::to_ascii_lowercase);
        known.iter().copied().cmp(letters)
    };
    COMMON.binary_search_by(by_letters).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order() {
        assert!(COMMON.is_sorted());
    }

    #[test]
    fn english_is_english_and_its_neighbours_are_not() {
        for (text, expected) in [
            (
                "I prefer short answers, and the figures of the north are to be shown first.",
                true,
            ),
            ("DID YOU KNOW THAT IT WAS THERE ALL OF THE TIME?", true),
            (
                "Ich mag kurze Antworten, und was im Norden war, will man so zuerst sehen.",
                false,
            ),
            (
                "Je préfère les réponses courtes, et les chiffres du nord sont à montrer en premier.",
                false,
            ),
            (
                "fn main() { let total: u64 = rows.iter().map(|row| row.count).sum(); }",
                false,
            ),
            ("the end", false),
        ] {
            assert_eq!(is_english(text), expected, "{text}");
        }
    }
}
