//! Which statements give a single-valued attribute of somebody a value. The list is closed, and what is not exactly of one of
//! its forms says nothing here: a wrong guess would hide what holds.
//!
//! Subjects: `I`, `we`, `[the] user`, a name of up to three words, and of these, or `my` and a word, what they own. Forms:
//! `S live(s) in N` · `S work(s) at|for N` (N begins with a capital) · `S's favourite Y is V` · `S's A is V` for the attributes
//! of [`OWNED`] · `S am|is N years old` · `the deadline [for|of P] is V`. One sentence; no question, negation, condition, doubt or
//! list in it.

use super::words::{Word, is_filler, words};

/// What somebody has one of, sorted.
const OWNED: [&str; 20] = [
    "address",
    "age",
    "birth date",
    "birthday",
    "blood type",
    "date of birth",
    "e-mail",
    "e-mail address",
    "employer",
    "first name",
    "home address",
    "job title",
    "last name",
    "mobile number",
    "name",
    "native language",
    "phone number",
    "shoe size",
    "time zone",
    "timezone",
];
/// Words with which a statement says more, less or something else than that an attribute has a value; sorted.
#[rustfmt::skip]
const ELSE: [&str; 60] = [
    "?", "almost", "and", "as", "because", "before", "but", "by", "could", "during", "either", "else", "except",
    "former", "formerly", "from", "hardly", "if", "in", "maybe", "might", "must", "nearly", "neither", "never", "no",
    "nobody", "none", "nor", "not", "once", "only", "or", "ought", "perhaps", "possibly", "previously", "probably",
    "said", "says", "should", "since", "sometimes", "supposedly", "temporarily", "than", "then", "though", "unless",
    "unlike", "until", "usually", "was", "were", "when", "where", "while", "without", "would", "yet",
];
/// Words that stand for somebody else each time, sorted.
const SOMEBODY: [&str; 18] = [
    "anybody",
    "anyone",
    "everybody",
    "everyone",
    "he",
    "it",
    "nobody",
    "one",
    "people",
    "she",
    "somebody",
    "someone",
    "that",
    "there",
    "they",
    "this",
    "who",
    "you",
];
/// Words that only say that it is so today, sorted.
const NOW: [&str; 3] = ["currently", "now", "still"];
/// Most words of a value.
const VALUE: usize = 12;
/// Most words of a statement that is looked at.
const STATEMENT: usize = 40;

/// An attribute of somebody, and the value that it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// Of whom, and what.
    pub(super) attribute: String,
    pub(super) value: Vec<String>,
}

impl Given {
    /// Whether the other gives the same attribute a value that this one's does not agree with: where one only says more, both
    /// hold.
    pub(super) fn differs(&self, other: &Self) -> bool {
        self.attribute == other.attribute
            && !self.value.starts_with(&other.value)
            && !other.value.starts_with(&self.value)
    }
}

/// What the text says of an attribute, if that is all it says.
pub(super) fn given(text: &str) -> Option<Given> {
    let mut words = words(text);
    let inner = words.len().checked_sub(1)?;
    if words.len() > STATEMENT || words.iter().take(inner).any(|word| word.ends) || text.contains([';', '"'])
    {
        return None;
    }
    words.retain(|word| NOW.binary_search(&word.text.as_str()).is_err());
    deadline(&words)
        .or_else(|| lives_or_works(&words))
        .or_else(|| years_old(&words))
        .or_else(|| owned(&words))
}

fn deadline(words: &[Word]) -> Option<Given> {
    let rest = after(words, &["the", "deadline"])?;
    let (of, value) = split_at(rest, &["is"])?;
    let of = match of.split_first() {
        None => String::new(),
        Some((link, of)) if matches!(link.text.as_str(), "for" | "of") && !of.is_empty() => plain(of)?,
        Some(_) => return None,
    };
    made("deadline", &of, value)
}

fn lives_or_works(words: &[Word]) -> Option<Given> {
    let (subject, rest) = subject(words)?;
    let (verb, rest) = rest.split_first()?;
    let (link, value) = rest.split_first()?;
    let live_and_work = if matches!(subject.as_str(), "i" | "we") {
        ["live", "work"]
    } else {
        // of several nobody knows whether they are all
        ["lives", "works"]
    };
    let what = match (verb.text.as_str(), link.text.as_str()) {
        (verb, "in") if verb == live_and_work[0] => "home",
        (verb, "at" | "for") if verb == live_and_work[1] => "work",
        _ => return None,
    };
    // "in a house", "for fun"
    value.first().filter(|word| word.capital)?;
    made(what, &subject, value)
}

fn years_old(words: &[Word]) -> Option<Given> {
    let (subject, rest) = subject(words)?;
    let [is, years, unit, old] = rest else { return None };
    let fits = matches!(is.text.as_str(), "am" | "is") && unit.text == "years" && old.text == "old";
    let number = years.text.chars().all(|letter| letter.is_ascii_digit());
    (fits && number).then_some(())?;
    made("age", &subject, std::slice::from_ref(years))
}

fn owned(words: &[Word]) -> Option<Given> {
    let (owner, rest) = owner(words)?;
    let (what, value) = split_at(rest, &["is"])?;
    let what = plain(what)?;
    let known = OWNED.binary_search(&what.as_str()).is_ok();
    let favourite = what
        .strip_prefix("favourite ")
        .is_some_and(|what| what.split(' ').count() <= 3);
    (known || favourite).then_some(())?;
    made(&what, &owner, value)
}

fn made(what: &str, of: &str, value: &[Word]) -> Option<Given> {
    let mut value: Vec<String> = value.iter().map(|word| word.text.clone()).collect();
    value.retain(|word| !is_filler(word));
    let clear = !value.is_empty()
        && value.len() <= VALUE
        && value.iter().all(|word| is_clear(word))
        && !value.iter().any(|word| word.contains(['/', '|', '&']));
    clear.then(|| Given {
        attribute: format!("{what}\n{of}"),
        value,
    })
}

fn is_clear(word: &str) -> bool {
    ELSE.binary_search(&word).is_err()
}

/// Words of which none says something else.
fn plain(words: &[Word]) -> Option<String> {
    let clear = !words.is_empty() && words.iter().all(|word| is_clear(&word.text));
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    clear.then(|| texts.join(" "))
}

fn after<'w>(words: &'w [Word], begin: &[&str]) -> Option<&'w [Word]> {
    let begins =
        begin.len() <= words.len() && words.iter().zip(begin).all(|(word, begin)| word.text == *begin);
    begins.then(|| words.get(begin.len()..)).flatten()
}

/// What is before the first of these words, and after it.
fn split_at<'w>(words: &'w [Word], at: &[&str]) -> Option<(&'w [Word], &'w [Word])> {
    let at = words.iter().position(|word| at.contains(&word.text.as_str()))?;
    Some((words.get(..at)?, words.get(at + 1..)?))
}

/// Who does it, and what follows.
fn subject(words: &[Word]) -> Option<(String, &[Word])> {
    if let Some(rest) = after(words, &["i"]) {
        return Some(("i".to_owned(), rest));
    }
    if let Some(rest) = after(words, &["we"]) {
        return Some(("we".to_owned(), rest));
    }
    if let Some(rest) = after(words, &["the", "user"]).or_else(|| after(words, &["user"])) {
        return Some(("user".to_owned(), rest));
    }
    if let Some([who, rest @ ..]) = after(words, &["my"]) {
        return (!is_owner(who) && is_clear(&who.text)).then(|| (format!("my {}", who.text), rest));
    }
    let name = name_words(words);
    let (name, rest) = words.split_at_checked(name)?;
    let unnamed = |word: &Word| is_owner(word) || SOMEBODY.binary_search(&word.text.as_str()).is_ok();
    if name.iter().any(unnamed) {
        return None;
    }
    Some((plain(name)?, rest))
}

/// Whose it is, and what follows: `my`, `my sister's`, `Ann's`.
fn owner(words: &[Word]) -> Option<(String, &[Word])> {
    if let Some(rest) = after(words, &["my"]) {
        return match rest.split_first() {
            Some((who, rest)) if is_owner(who) => Some((format!("my {}", bare(who)), rest)),
            _ => Some(("i".to_owned(), rest)),
        };
    }
    if let Some(rest) = after(words, &["the", "user's"]).or_else(|| after(words, &["user's"])) {
        return Some(("user".to_owned(), rest));
    }
    let at = words.iter().take(3).position(is_owner)?;
    let (name, rest) = words.split_at_checked(at + 1)?;
    let named = name.iter().all(|word| word.capital && is_clear(&word.text));
    let texts: Vec<String> = name.iter().map(bare).collect();
    named.then(|| (texts.join(" "), rest))
}

fn is_owner(word: &Word) -> bool {
    word.text.ends_with("'s")
}

fn bare(word: &Word) -> String {
    word.text.strip_suffix("'s").unwrap_or(&word.text).to_owned()
}

/// How many words at the beginning are a name: up to three with capitals.
fn name_words(words: &[Word]) -> usize {
    words.iter().take(3).take_while(|word| word.capital).count()
}

#[cfg(test)]
mod tests;
