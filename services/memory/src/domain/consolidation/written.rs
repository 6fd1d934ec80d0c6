//! Summaries that the agents' own models write: what is handed out for that, and what is taken back.

use std::sync::Arc;
use std::time::Duration;

use harombe_types::{Clock, EventId, MemoryId, RunPrincipal};

use super::model::{Segment, TURNS, Writer};
use super::summary::LONGEST;
use super::work::{Put, Putting, Taking, Work};
use crate::domain::memories::check::made_fit;
use crate::domain::{Memories, Memory, MemoryLimits, Owner};
use crate::error::Error;
use crate::metrics::{ConsolidationNumbers, Worked};
use crate::store::Consolidations;

/// How long work is somebody's: a model may think for minutes.
const HELD: Duration = Duration::from_secs(180);
/// Bytes of turns that are handed out at once, at most.
const ROOM: usize = 48 << 10;
/// How often a summary that is on its way to the log is waited for.
const TRIES: u32 = 3;

/// What [`Summaries`] is made of.
pub(crate) struct SummariesDeps {
    pub(crate) consolidations: Arc<dyn Consolidations>,
    pub(crate) memories: Memories,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) most: MemoryLimits,
    pub(crate) numbers: ConsolidationNumbers,
    /// Whether memories are kept in order at all.
    pub(crate) enabled: bool,
}

/// Hands out what is to be summed up.
pub(crate) struct Summaries(SummariesDeps);

impl Summaries {
    pub(crate) fn new(deps: SummariesDeps) -> Self {
        Self(deps)
    }

    /// What of the run's session is to be summed up, at most so many bytes of turns (0: as many as may be); `None` when it is
    /// not time for that, or somebody else is at it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn take(&self, run: &RunPrincipal, room: u32) -> Result<Option<Work>, Error> {
        if !self.0.enabled {
            return Ok(None);
        }
        let owner = Owner {
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
        };
        let store = &self.0.consolidations;
        let reach = store.reach(&owner, run.session).await?;
        // most sessions are short: nothing more is asked of them
        let Some(reach) = reach.filter(|reach| *reach >= TURNS) else {
            return Ok(None);
        };
        let last = Segment::of(run.session, reach);
        // the one before may have been left when the session went on
        let before = Segment::of(run.session, last.first.saturating_sub(1));
        let now = self.0.clock.now();
        let room = match usize::try_from(room).unwrap_or(ROOM) {
            0 => ROOM,
            room => room.min(ROOM),
        };
        for segment in [Some(before).filter(|before| *before != last), Some(last)] {
            let Some(segment) = segment else { continue };
            if !store.told(&owner, segment).await?.is_for_a_model() {
                continue;
            }
            let taking = Taking {
                owner: owner.clone(),
                segment,
                id: MemoryId::generate(&*self.0.clock),
                now,
                until: now.plus(HELD),
                room,
            };
            let work = store.take_work(taking).await?;
            if work.is_some() {
                self.0.numbers.worked(Worked::Given);
                return Ok(work);
            }
        }
        Ok(None)
    }

    /// Saves what was written of the work with this id; `None` when what it was made of has changed.
    ///
    /// # Errors
    /// It says nothing, a limit, or [`Error::Unrecorded`]: then nobody sees it until the log has it.
    pub(crate) async fn put(
        &self,
        run: RunPrincipal,
        id: MemoryId,
        text: &str,
    ) -> Result<Option<Memory>, Error> {
        let Some(text) = fitted(text) else {
            return Err(Error::Invalid("a summary must say something".to_owned()));
        };
        let putting = Putting {
            run,
            id,
            point: *MemoryId::generate(&*self.0.clock).as_uuid(),
            text,
            event: EventId::generate(&*self.0.clock),
            now: self.0.clock.now(),
            most: self.0.most,
        };
        for _ in 0..TRIES {
            match self.0.consolidations.put_summary(putting.clone()).await? {
                Put::Kept(memory, steps) => return self.kept(*memory, &steps, putting.event).await.map(Some),
                Put::First(steps) => {
                    for step in &steps {
                        // somebody else has made it, and may have it recorded at the same time
                        self.0.memories.record(step, putting.event).await?;
                    }
                }
                Put::Outdated => break,
            }
        }
        self.0.numbers.worked(Worked::Outdated);
        Ok(None)
    }

    async fn kept(
        &self,
        mut memory: Memory,
        steps: &[crate::domain::Step],
        made_now: EventId,
    ) -> Result<Memory, Error> {
        for step in steps {
            let index = self.0.memories.record(step, made_now).await?;
            memory.audit_index = Some(index);
            if step.event == made_now {
                self.0.numbers.worked(Worked::Saved);
                self.0.numbers.summarised(Writer::Model);
            }
        }
        Ok(memory)
    }
}

/// The text as it is kept: what is too long ends with a sentence, or with a word. `None` when nothing is left.
fn fitted(text: &str) -> Option<String> {
    let text = made_fit(text);
    let text = text.trim();
    if text.len() <= LONGEST {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let window = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
    let ends = |letter: char| matches!(letter, '.' | '!' | '?' | '\u{2026}' | '。' | '！' | '？' | '\n');
    let sentence = window
        .char_indices()
        .rev()
        .find(|(at, letter)| ends(*letter) && is_over(text, at + letter.len_utf8()))
        .map(|(at, letter)| at + letter.len_utf8())
        .filter(|end| *end >= LONGEST / 4);
    let word = || {
        window
            .rfind(char::is_whitespace)
            .filter(|end| *end >= LONGEST / 4)
    };
    let end = sentence.or_else(word).unwrap_or(window.len());
    Some(window.get(..end).unwrap_or(window).trim_end().to_owned())
}

/// Whether a sentence that ends here is over: "3.5" goes on.
fn is_over(text: &str, end: usize) -> bool {
    let next = text.get(end..).and_then(|rest| rest.chars().next());
    let last = text.get(..end).and_then(|text| text.chars().next_back());
    let wide = last.is_some_and(|letter| !letter.is_ascii());
    wide || last == Some('\n') || next.is_none_or(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_ends_with_a_sentence() {
        let check = |text: &str, expected: &str| assert_eq!(fitted(text).as_deref(), Some(expected));
        check("  All is well.\r\n", "All is well.");
        check("a\0b\u{1b}[31m", "a\u{fffd}b\u{fffd}[31m");
        let sentence = format!("{}.", "word ".repeat(199).trim_end());
        let two = format!("{sentence} Costs 3.5 million {}", "and more ".repeat(200));
        check(&two, &sentence);
        let lines = format!("{}\n{}", "a".repeat(900), "b".repeat(900));
        check(&lines, &"a".repeat(900));
        let words = "word ".repeat(1000);
        let kept = fitted(&words).unwrap();
        assert!(kept.len() <= LONGEST && kept.ends_with("word"), "{kept}");
        let one = "ö".repeat(1000);
        let kept = fitted(&one).unwrap();
        assert_eq!(kept.len(), LONGEST);
        // a sentence at the very beginning is too little
        let short = format!("Yes. {}", "word ".repeat(1000));
        assert!(fitted(&short).unwrap().len() > LONGEST / 2);
        let wide = format!("{}。{}", "好".repeat(300), "好".repeat(900));
        assert!(fitted(&wide).unwrap().ends_with("。"));
        assert_eq!(fitted(" \n\t "), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_fits(text in "\\PC{0,900}|[\\x00-\\u{2ff}.!?\\n ]{0,2500}") {
            if let Some(kept) = fitted(&text) {
                proptest::prop_assert!(kept.len() <= LONGEST && !kept.is_empty());
                let odd = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
                proptest::prop_assert!(!kept.chars().any(odd));
            }
        }
    }
}
