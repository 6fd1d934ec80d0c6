//! What a run's first question to the model may be made of: what was said last in its session, what the session was about
//! before that, and what is remembered of elsewhere.

use std::sync::Arc;

use harombe_proto::memory::v1::Turn;
use harombe_types::{RunPrincipal, SessionId};

use crate::domain::recall::{self, Ask, Hit, Means, QUERY_MAX, Recaller};
use crate::domain::{Memory, MemoryFilter, Owner, Selection, Shown, Turns, Unshown, decode_page};
use crate::error::Error;
use crate::store::{MemoryStore, Store};

/// More turns than fit any model's context.
const TURNS_MAX: u32 = 1000;
/// Ranked for each memory that is wanted: many may belong to the turns that are shown anyway.
const RANKED_FOR_EACH: usize = 4;
const RANKED_LEAST: usize = 40;
/// Bytes of memories' texts in one answer: with its turns it must fit a message.
const RECALLED_BYTES: usize = 400_000;

/// Most summaries of one session: of so many stretches of it.
const SUMMARIES: u32 = 8;
/// Memories that a turn which a client brought along comes to at least, if it was answered.
const OF_A_CLAIMED_TURN: u64 = 2;

/// What was found for a run.
#[derive(Debug)]
pub(crate) struct Context {
    /// Newest finished turns, oldest first.
    pub(crate) turns: Vec<Turn>,
    pub(crate) turns_left_out: u64,
    /// Of what was left out, the newest stretch first.
    pub(crate) summaries: Vec<Memory>,
    /// Best first; nothing of the turns.
    pub(crate) recalled: Vec<Hit>,
    /// `None` when nothing was to be recalled.
    pub(crate) means: Option<Means>,
    pub(crate) workspace: Option<String>,
    /// The newest run of the session that has ended.
    pub(crate) last_run: Option<String>,
    /// A turn of the session is claimed, or its run was shown what may be anybody's words; left out or not.
    pub(crate) saw_outside: bool,
}

/// What is wanted of a context.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Empty recalls nothing. What is past its first 8 KiB is not looked for.
    pub(crate) query: String,
    pub(crate) max_turn_bytes: u32,
    /// 0 recalls nothing.
    pub(crate) recall_limit: u32,
}

/// Builds contexts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Contexts {
    store: Arc<dyn Store>,
    memories: Arc<dyn MemoryStore>,
    recaller: Recaller,
}

impl Contexts {
    pub(crate) fn new(store: Arc<dyn Store>, memories: Arc<dyn MemoryStore>, recaller: Recaller) -> Self {
        Self {
            store,
            memories,
            recaller,
        }
    }

    /// Both halves at once. That nothing can be recalled keeps nobody from going on.
    ///
    /// # Errors
    /// Too much is asked for, or the store's.
    pub(crate) async fn build(&self, run: &RunPrincipal, wanted: Wanted) -> Result<Context, Error> {
        let owner = Owner {
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
        };
        let selection = Selection {
            which: Turns::Answered,
            count: TURNS_MAX,
            bytes: wanted.max_turn_bytes.into(),
        };
        let ask = ask(wanted)?;
        let found = async {
            let (ask, limit) = ask.as_ref()?;
            let ranked = limit.saturating_mul(RANKED_FOR_EACH).max(RANKED_LEAST);
            Some(self.recaller.find(&owner, ask, ranked).await)
        };
        let (page, found) = tokio::join!(self.store.turns(&owner, run.session, selection), found);
        let page = decode_page(page?)?;
        let summaries = match page.left_out {
            0 => Vec::new(),
            left_out => {
                let unshown = unshown(run.session, &page.turns, left_out);
                self.memories.summaries_of_unshown(&owner, &unshown).await?
            }
        };
        let shown = shown(run, &page.turns, &summaries);
        let (recalled, means) = match (ask, found) {
            (Some((ask, limit)), Some(Ok(found))) => {
                let means = found.means;
                let hits = self.recaller.fetch(&owner, &ask, found, limit, &shown).await;
                (hits, Some(means))
            }
            (_, Some(Err(error))) => (Err(error), None),
            _ => (Ok(Vec::new()), None),
        };
        let (recalled, means) = match recalled {
            Ok(recalled) => (fitting(recalled), means),
            Err(error) => {
                tracing::warn!(%error, "a context is built without what is remembered");
                (Vec::new(), Some(Means::Degraded))
            }
        };
        Ok(Context {
            turns: page.turns,
            turns_left_out: page.left_out,
            summaries,
            recalled,
            means,
            workspace: page.workspace,
            last_run: page.last_run,
            saw_outside: page.saw_outside,
        })
    }
}

/// The session without the turns that are shown of it.
fn unshown(session: SessionId, turns: &[Turn], left_out: u64) -> Unshown {
    let shown = if turns.first().is_some_and(|first| first.claimed) {
        // they have no runs, and come before all others
        let before = left_out.saturating_mul(OF_A_CLAIMED_TURN).saturating_add(1);
        Shown::From(u32::try_from(before).unwrap_or(u32::MAX))
    } else {
        Shown::Runs(turns.iter().map(|turn| turn.run_id.clone()).collect())
    };
    Unshown {
        session,
        shown,
        limit: SUMMARIES,
    }
}

/// The question and how many memories are wanted; `None` when none are.
fn ask(wanted: Wanted) -> Result<Option<(Ask, usize)>, Error> {
    let mut query = wanted.query;
    query.truncate(query.floor_char_boundary(QUERY_MAX));
    if wanted.recall_limit == 0 || query.trim().is_empty() {
        return Ok(None);
    }
    let ask = Ask {
        query,
        limit: wanted.recall_limit,
        filter: MemoryFilter::default(),
        explain: false,
    };
    let limit = ask.check()?;
    Ok(Some((ask, limit)))
}

/// As many of the best as fit.
fn fitting(mut hits: Vec<Hit>) -> Vec<Hit> {
    let mut room = RECALLED_BYTES;
    let fits = |hit: &Hit| match room.checked_sub(hit.memory.text.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    hits.retain(fits);
    hits
}

/// What the model is shown anyway. A fact that was saved in a run need not be in what was said there.
fn shown(run: &RunPrincipal, turns: &[Turn], summaries: &[Memory]) -> recall::ShownAnyway {
    let said = turns.iter().filter(|turn| !turn.claimed);
    let claimed = turns.iter().any(|turn| turn.claimed);
    recall::ShownAnyway {
        runs: said
            .map(|turn| turn.run_id.clone())
            .chain([run.run.to_string()])
            .collect(),
        claimed_in: claimed.then_some(run.session),
        points: summaries.iter().map(|summary| summary.point).collect(),
    }
}
