//! Who takes part in the conversations, and who of them a question names.
//!
//! A name in a question says whose words answer it more than what they are about, so names are taken out of the words
//! that are looked for, and whom the question is about is a feature of its own.

use std::collections::BTreeMap;

use crate::analysis::words;
use crate::index::Index;

/// Speakers whose names are looked for: those who said most.
const MAX_PARTICIPANTS: usize = 64;

/// What a program or a role is called, sorted: no names that a question could mean.
const ROLES: [&str; 14] = [
    "admin",
    "agent",
    "ai",
    "assistant",
    "bot",
    "default",
    "human",
    "local",
    "me",
    "model",
    "person",
    "root",
    "system",
    "user",
];

/// Names that are words as well, sorted, and so are only names where they are written as such.
const ALSO_WORDS: [&str; 26] = [
    "april", "art", "august", "bill", "chase", "dawn", "drew", "faith", "frank", "grace", "grant", "hope",
    "hunter", "iris", "joy", "june", "mark", "may", "pat", "rich", "robin", "rose", "sky", "sue", "summer",
    "will",
];

struct Participant {
    /// Of the index.
    number: u32,
    /// The ways to name them, longest first: all words of the name, and the first alone when nobody shares it.
    names: Vec<Vec<String>>,
}

pub(crate) struct Participants {
    all: Vec<Participant>,
}

/// A name in a text.
struct Mention {
    number: u32,
    possessive: bool,
    /// Pieces of the text.
    first: usize,
    after: usize,
}

impl Participants {
    pub(crate) fn of(index: &Index) -> Self {
        let mut speakers: Vec<_> = index
            .speakers()
            .map(|(name, number, count)| (std::cmp::Reverse(count), name, number))
            .collect();
        if speakers.len() > MAX_PARTICIPANTS {
            speakers.select_nth_unstable(MAX_PARTICIPANTS);
            speakers.truncate(MAX_PARTICIPANTS);
        }
        speakers.sort_unstable();
        let named: Vec<_> = speakers
            .into_iter()
            .map(|(_, name, number)| (number, name_words(name)))
            .filter(|(_, words)| !words.is_empty() && !words.iter().all(|word| is_role(word)))
            .collect();
        let mut sharing = BTreeMap::<String, usize>::new();
        for first in named.iter().filter_map(|(_, words)| words.first()) {
            *sharing.entry(first.to_lowercase()).or_default() += 1;
        }
        let all = named.into_iter().map(|(number, words)| {
            let first = words.first().cloned().unwrap_or_default();
            let alone = words.len() > 1 && sharing.get(&first.to_lowercase()) == Some(&1);
            let mut names = vec![words];
            names.extend(alone.then(|| vec![first]));
            Participant { number, names }
        });
        Self { all: all.collect() }
    }

    /// The words of all names.
    pub(crate) fn name_words(&self) -> impl Iterator<Item = String> {
        let names = self
            .all
            .iter()
            .filter_map(|participant| participant.names.first());
        names.flatten().flat_map(|name| words(name).collect::<Vec<_>>())
    }

    /// The number of the speaker whom a question is about: the only one it names, or the first, unless it asks about
    /// the first two together.
    pub(crate) fn target_of(&self, text: &str) -> Option<u32> {
        let pieces: Vec<_> = pieces(text).collect();
        let mentions = self.mentions(&pieces);
        let first = mentions.first()?;
        let second = mentions.iter().find(|mention| mention.number != first.number);
        let together = second.is_some_and(|second| {
            let between = pieces.get(first.after..second.first).unwrap_or_default().concat();
            matches!(between.trim(), "," | "and" | "or" | "&" | ", and" | ", or")
        });
        (!together).then_some(first.number)
    }

    /// The question as the person it names would ask it: "When did Ann's dog die?" becomes "When did my dog die?". People
    /// speak of themselves as "I" and "my", so this is nearer to what they said.
    pub(crate) fn as_if_asked_by_them(&self, text: &str) -> String {
        let pieces: Vec<_> = pieces(text).collect();
        let mut asked = String::with_capacity(text.len());
        let mut at = 0;
        for mention in self.mentions(&pieces) {
            asked.extend(pieces.get(at..mention.first).unwrap_or_default().iter().copied());
            asked.push_str(if mention.possessive { "my" } else { "I" });
            at = mention.after;
        }
        asked.extend(pieces.get(at..).unwrap_or_default().iter().copied());
        asked
    }

    fn mentions(&self, pieces: &[&str]) -> Vec<Mention> {
        let mut mentions = Vec::new();
        let mut at = 0;
        while at < pieces.len() {
            let mention = self.mention_at(pieces, at);
            at = mention.as_ref().map_or(at + 1, |mention| mention.after);
            mentions.extend(mention);
        }
        mentions
    }

    fn mention_at(&self, pieces: &[&str], first: usize) -> Option<Mention> {
        let rest = pieces.get(first..)?;
        self.all.iter().find_map(|participant| {
            let read = |name: &Vec<String>| Some((read_name(rest, name)?, name.len()));
            let (possessive, length) = participant.names.iter().find_map(read)?;
            Some(Mention {
                number: participant.number,
                possessive,
                first,
                after: first + 2 * length - 1,
            })
        })
    }
}

/// Whether the pieces begin with this name, and then whether it owns what follows.
fn read_name(pieces: &[&str], name: &[String]) -> Option<bool> {
    let mut possessive = false;
    for (at, word) in name.iter().enumerate() {
        let is_last = at + 1 == name.len();
        let piece = *pieces.get(2 * at)?;
        let owner = ["'s", "\u{2019}s"].iter().find_map(|end| piece.strip_suffix(end));
        possessive = is_last && owner.is_some();
        let piece = owner.filter(|_| is_last).unwrap_or(piece);
        let apart = at == 0
            || pieces
                .get(2 * at - 1)
                .is_some_and(|between| between.trim().is_empty());
        if !apart || !is_name(piece, word) {
            return None;
        }
    }
    Some(possessive)
}

fn is_name(piece: &str, name: &str) -> bool {
    let folded = name.to_lowercase();
    if ALSO_WORDS.binary_search(&folded.as_str()).is_ok() {
        piece == name
    } else {
        piece.to_lowercase() == folded
    }
}

/// The words of a name, as they are written. Of an address of mail, what stands before the sign.
fn name_words(name: &str) -> Vec<String> {
    let name = name.split('@').next().unwrap_or(name);
    pieces(name)
        .filter(|piece| piece.starts_with(char::is_alphanumeric))
        .map(str::to_owned)
        .collect()
}

fn is_role(word: &str) -> bool {
    ROLES.binary_search(&word.to_lowercase().as_str()).is_ok()
}

/// The text in pieces that are by turns a word and what stands between words, beginning with either; together they are
/// the text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let in_word = |char: char| char.is_alphanumeric() || matches!(char, '\'' | '\u{2019}' | '_');
        let kind = in_word(rest.chars().next()?);
        let end = rest.find(|char| in_word(char) != kind).unwrap_or(rest.len());
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests;
