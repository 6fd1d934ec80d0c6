//! A text as the words and numbers that an expression of time is made of.

/// A word or number of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// In lower case.
    pub(super) word: String,
    pub(super) capital: bool,
}

impl Token {
    /// A number in digits, also with the ending of an ordinal: 7, 7th, 1st.
    pub(super) fn digits(&self) -> Option<u32> {
        let end = self
            .word
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(self.word.len());
        let (number, ending) = self.word.split_at_checked(end)?;
        if number.len() > 4 || !matches!(ending, "" | "st" | "nd" | "rd" | "th") {
            return None;
        }
        number.parse().ok()
    }

    /// A number in digits or words that counts something.
    pub(super) fn count(&self) -> Option<i32> {
        const WORDS: [(&str, i32); 16] = [
            ("a", 1),
            ("an", 1),
            ("one", 1),
            ("two", 2),
            ("three", 3),
            ("four", 4),
            ("five", 5),
            ("six", 6),
            ("seven", 7),
            ("eight", 8),
            ("nine", 9),
            ("ten", 10),
            ("eleven", 11),
            ("twelve", 12),
            ("couple", 2),
            ("few", 3),
        ];
        let by_word = WORDS.iter().find(|(word, _)| *word == self.word);
        by_word
            .map(|(_, count)| *count)
            .or_else(|| i32::try_from(self.digits()?).ok())
    }
}

/// Tokens of a question that are read.
const MAX_TOKENS: usize = 2000;

/// Dates such as 2023-05-07 stay together.
pub(super) fn of(text: &str) -> Vec<Token> {
    text.split(|char: char| !(char.is_alphanumeric() || char == '-'))
        .flat_map(|piece| {
            let whole = is_iso_date(piece);
            piece.split(move |char| char == '-' && !whole)
        })
        .filter(|piece| !piece.is_empty())
        .take(MAX_TOKENS)
        .map(|piece| Token {
            word: piece.to_lowercase(),
            capital: piece.starts_with(char::is_uppercase),
        })
        .collect()
}

fn is_iso_date(piece: &str) -> bool {
    let bytes = piece.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                *byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}
