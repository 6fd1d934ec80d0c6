//! What each part of the ranking is worth: the same index and vectors, ranked with less than everything.
//!
//! This goes past the service, so that parts can be left out, and searches the vectors exactly.

use std::time::Instant;

use harombe_embedding::{Embedder, Purpose};
use harombe_retrieval::{
    Ablation, DENSE_DEPTH, DenseView, Feature, Filter, Index, Item, Kind, Passages, Query, Ranked, rank_with,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conversation::{Conversation, Turn};
use crate::figures::{LIMIT, Tally};
use crate::run::Result;

/// A line of the table.
struct Row {
    name: &'static str,
    with: &'static [Feature],
    /// Whether words beside an item count for it.
    neighbours: bool,
    /// Whether the question is embedded as its person would ask it.
    rewritten: bool,
}

/// From the simplest to all there is.
const ROWS: [Row; 9] = {
    use Feature::{Asks, Importance, Meaning, Nearby, Recency, Repetition, Speaker, TellsTime, Time, Words};
    const fn row(name: &'static str, with: &'static [Feature], neighbours: bool) -> Row {
        Row {
            name,
            with,
            neighbours,
            rewritten: true,
        }
    }
    [
        Row {
            rewritten: false,
            ..row("dense, question as asked", &[Meaning], false)
        },
        row("dense", &[Meaning], false),
        row("sparse", &[Words], false),
        row("fusion", &[Words, Meaning], false),
        row("+ neighbours", &[Words, Meaning, Nearby], true),
        row("+ speaker", &[Words, Meaning, Nearby, Speaker], true),
        row(
            "+ time",
            &[Words, Meaning, Nearby, Speaker, Time, TellsTime],
            true,
        ),
        row(
            "+ asks",
            &[Words, Meaning, Nearby, Speaker, Time, TellsTime, Asks],
            true,
        ),
        row(
            "+ MMR and priors",
            &[
                Words, Meaning, Nearby, Speaker, Time, TellsTime, Asks, Repetition, Importance, Recency,
            ],
            true,
        ),
    ]
};

/// A conversation in memory, with the vectors of its turns and questions.
pub(crate) struct Indexed<'a> {
    conversation: &'a Conversation,
    index: Index,
    turns: Vec<Vec<f32>>,
    /// Of each question as it was asked.
    asked: Vec<Vec<f32>>,
    /// Of each question as its person would ask it.
    rewritten: Vec<Vec<f32>>,
}

impl<'a> Indexed<'a> {
    pub(crate) async fn new(conversation: &'a Conversation, embedder: &impl Embedder) -> Result<Self> {
        let mut index = Index::new();
        for (number, turn) in conversation.turns.iter().enumerate() {
            index.put(item(number, turn));
        }
        let turns = conversation.turns.iter().enumerate();
        let passages = turns.map(|(number, turn)| Passages::of(&item(number, turn)));
        let passages = passages.flat_map(|passages| passages.texts).collect();
        let asked: Vec<_> = conversation
            .questions
            .iter()
            .map(|question| question.text.clone())
            .collect();
        let rewritten = asked.iter().flat_map(|text| index.query_views(text)).collect();
        Ok(Self {
            conversation,
            turns: embedder.embed(passages, Purpose::Passage).await?,
            asked: embed_questions(embedder, asked).await?,
            rewritten: embed_questions(embedder, rewritten).await?,
            index,
        })
    }

    /// Asks all questions.
    fn ask(&self, row: &Row) -> Tally {
        let mut tally = Tally::default();
        tally.add_unasked(&self.conversation.unasked);
        let without: Vec<_> = Feature::ALL
            .into_iter()
            .filter(|feature| !row.with.contains(feature))
            .collect();
        let ablation = Ablation {
            without: &without,
            neighbours: row.neighbours,
        };
        let vectors = if row.rewritten {
            &self.rewritten
        } else {
            &self.asked
        };
        for (question, vector) in self.conversation.questions.iter().zip(vectors) {
            let began = Instant::now();
            let query = Query {
                text: &question.text,
                now_ms: self.conversation.turns.last().map_or(0, |turn| turn.time_ms),
                limit: LIMIT,
                filter: Filter::default(),
                dense: vec![self.nearest(vector)],
                beyond: Vec::new(),
            };
            let found: Vec<_> = rank_with(&self.index, &query, &ablation)
                .iter()
                .filter_map(turn_of)
                .collect();
            tally.add(question.category, &found, &question.evidence, began.elapsed());
        }
        tally
    }

    fn nearest(&self, vector: &[f32]) -> DenseView {
        let cosine = |other: &Vec<f32>| other.iter().zip(vector).map(|(left, right)| left * right).sum();
        let cosines = self
            .turns
            .iter()
            .enumerate()
            .map(|(turn, other)| (id(turn), cosine(other)));
        let mut hits: Vec<(Uuid, f32)> = cosines.collect();
        hits.sort_by(|left, right| right.1.total_cmp(&left.1));
        hits.truncate(DENSE_DEPTH as usize);
        DenseView { hits }
    }
}

/// One object for each line of the table.
pub(crate) fn table(conversations: &[Indexed<'_>]) -> Value {
    let measured = ROWS.iter().map(|row| {
        let mut tally = Tally::default();
        for conversation in conversations {
            tally.absorb(conversation.ask(row));
        }
        let mut line = tally.to_json();
        line["name"] = json!(row.name);
        line
    });
    measured.collect()
}

async fn embed_questions(embedder: &impl Embedder, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::with_capacity(texts.len());
    for text in texts {
        vectors.extend(embedder.embed(vec![text], Purpose::Query).await?);
    }
    Ok(vectors)
}

fn item(number: usize, turn: &Turn) -> Item {
    Item {
        id: id(number),
        text: turn.text.clone(),
        speaker: turn.speaker.clone(),
        session: Some(Uuid::from_u128(u128::from(turn.session))),
        ordinal: turn.ordinal,
        time_ms: turn.time_ms,
        kind: Kind::Turn,
        label: 0,
        agent: String::new(),
        importance: 0.5,
        superseded: false,
    }
}

fn id(turn: usize) -> Uuid {
    Uuid::from_u128(turn as u128)
}

fn turn_of(hit: &Ranked) -> Option<usize> {
    usize::try_from(hit.id.as_u128()).ok()
}
