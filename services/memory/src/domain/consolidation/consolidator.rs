//! The use case: one cycle looks at some changes of some owners, the tenants in turn, and writes what came of each look at once
//! with how far it reached. So whoever is interrupted, or overtaken by another process, repeats nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_types::{Clock, EventId, MemoryId, Timestamp};
use uuid::Uuid;

use super::budget::{Allowance, Cycle};
use super::facts::{Fact, links};
use super::model::{Behind, Link, NewSummary, Plan, Segment, Writer};
use super::summary::{Line, summary};
use crate::domain::recall::Workers;
use crate::domain::{Actor, Memories, Memory, MemoryKind, MemoryLimits, NewMemory, Owner, Saving};
use crate::error::Error;
use crate::metrics::ConsolidationNumbers;
use crate::store::{Consolidations, MemoryStore};

/// Owners that are looked at one after the other, tenants in turn.
const OWNERS: u32 = 32;
/// Changes of an owner that are looked at together.
const PAGE: u32 = 64;
/// Facts that may belong to those of a page.
const ALIKE: u32 = 1024;
/// Most turns that a summary is made of.
const TURNS: u32 = 400;
/// How long a process that has fallen silent keeps others from going on.
const HELD: Duration = Duration::from_secs(120);

/// What a [`Consolidator`] is made of.
pub(crate) struct ConsolidatorDeps {
    pub(crate) store: Arc<dyn MemoryStore>,
    pub(crate) consolidations: Arc<dyn Consolidations>,
    pub(crate) memories: Memories,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) most: MemoryLimits,
    pub(crate) allowance: Allowance,
    pub(crate) numbers: ConsolidationNumbers,
    /// This process, among those that may share the store.
    pub(crate) holder: Uuid,
}

/// Keeps what is remembered in order.
pub(crate) struct Consolidator {
    deps: ConsolidatorDeps,
    worker: Workers,
}

/// What came of a segment.
enum Segmented {
    Nothing,
    Summary(Box<NewSummary>),
    /// The summary before is not on record yet: nothing can take its place.
    Later,
}

/// What came of looking at a page of changes.
enum Looked {
    /// It is written.
    On,
    /// Somebody else was there, or must be waited for.
    Later,
}

impl Consolidator {
    pub(crate) fn new(deps: ConsolidatorDeps) -> Self {
        Self {
            deps,
            worker: Workers::new(1),
        }
    }

    /// Does as much as may be done at a time; `None` while another process does.
    ///
    /// # Errors
    /// The store or audit cannot be reached; the next cycle goes on.
    pub(crate) async fn cycle(&self) -> Result<Option<Cycle>, Error> {
        let now = self.now();
        let until = now.plus(HELD);
        if !self
            .deps
            .consolidations
            .hold(self.deps.holder, now, until)
            .await?
        {
            return Ok(None);
        }
        let begun = Instant::now();
        let mut cycle = Cycle::default();
        let done = self.work(&mut cycle).await;
        self.deps.numbers.cycle(cycle, begun.elapsed());
        self.deps
            .numbers
            .set_behind(self.deps.consolidations.count_behind().await?);
        done.map(|()| Some(cycle))
    }

    /// Lets another process go on at once. Without it, others wait for as long as this one may be silent.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub(crate) async fn let_go(&self) -> Result<(), Error> {
        self.deps.consolidations.let_go(self.deps.holder).await
    }

    async fn work(&self, cycle: &mut Cycle) -> Result<(), Error> {
        let mut put_off = HashSet::new();
        loop {
            let mut behind = self.deps.consolidations.behind(OWNERS).await?;
            behind.retain(|behind| !put_off.contains(&behind.owner));
            if behind.is_empty() {
                return Ok(());
            }
            for behind in behind {
                if cycle.has_spent(self.deps.allowance) {
                    return Ok(());
                }
                let goes_on = match self.look(&behind, cycle).await {
                    Ok(looked) => matches!(looked, Looked::On),
                    Err(error) if error.is_unavailable() => return Err(error),
                    Err(error) => {
                        tracing::error!(%error, "memories of an owner cannot be consolidated; others go on");
                        false
                    }
                };
                if !goes_on {
                    // the others first
                    self.deps
                        .consolidations
                        .put_off(&behind.owner, self.now())
                        .await?;
                    put_off.insert(behind.owner);
                }
            }
        }
    }

    async fn look(&self, behind: &Behind, cycle: &mut Cycle) -> Result<Looked, Error> {
        let owner = &behind.owner;
        let mut changed = self.deps.store.changed_since(owner, behind.looked, PAGE).await?;
        let is_last = changed.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let (summaries, seen) = self.summaries(owner, &changed, cycle).await?;
        let whole = seen == changed.len();
        changed.truncate(seen);
        cycle.looked_at(seen);
        let reached = match changed.last() {
            Some(last) if !(whole && is_last) => last.rev,
            // what was changed last of all may be gone
            last if whole => last.map_or(behind.rev, |last| last.rev.max(behind.rev)),
            _ => return Ok(Looked::Later),
        };
        let (facts, links) = self.facts(owner, changed, cycle).await?;
        let plan = Plan {
            owner: owner.clone(),
            from: behind.looked,
            to: reached,
            facts,
            links,
            event: EventId::generate(&*self.deps.clock),
            summaries,
            now: self.now(),
        };
        self.write(plan).await
    }

    async fn write(&self, plan: Plan) -> Result<Looked, Error> {
        let written = match self.deps.consolidations.consolidate(plan.clone()).await {
            Err(error @ Error::TooManyMemories { .. }) => {
                tracing::warn!(%error, "sessions get no summary");
                let plan = Plan {
                    summaries: Vec::new(),
                    ..plan.clone()
                };
                self.deps.consolidations.consolidate(plan).await
            }
            written => written,
        };
        let steps = match written {
            // what a summary is to take the place of has changed since it was read
            Err(Error::Superseded(_) | Error::NotFound(_)) | Ok(None) => return Ok(Looked::Later),
            Ok(Some(steps)) => steps,
            Err(error) => return Err(error),
        };
        for step in &steps {
            self.deps.memories.record(step, step.event).await?;
            if step.event == plan.event {
                plan.links
                    .iter()
                    .for_each(|link| self.deps.numbers.linked(link.why));
            } else {
                self.deps.numbers.summarised(Writer::Sentences);
            }
        }
        Ok(Looked::On)
    }

    /// What the facts among the changes are found by, and what they are linked to.
    async fn facts(
        &self,
        owner: &Owner,
        changed: Vec<Memory>,
        cycle: &mut Cycle,
    ) -> Result<(Vec<super::Keyed>, Vec<Link>), Error> {
        if !changed.iter().any(|memory| memory.kind == MemoryKind::Fact) {
            return Ok((Vec::new(), Vec::new()));
        }
        let read = move || -> Vec<Fact> { changed.iter().filter_map(Fact::read).collect() };
        let facts = self.run(cycle, read).await;
        let keyed: Vec<_> = facts.iter().map(Fact::keyed).collect();
        let keys: Vec<i64> = keyed.iter().flat_map(|fact| fact.keys.iter().copied()).collect();
        let alike = self.deps.consolidations.alike(owner, &keys, ALIKE).await?;
        cycle.looked_at(alike.len());
        let linked = move || {
            let there: Vec<Fact> = alike.iter().filter_map(Fact::read).collect();
            links(facts, &there)
        };
        let links = self.run(cycle, linked).await;
        Ok((keyed, links))
    }

    /// Summaries of sessions with turns among the changes, and how many of the changes could be looked at.
    async fn summaries(
        &self,
        owner: &Owner,
        changed: &[Memory],
        cycle: &mut Cycle,
    ) -> Result<(Vec<NewSummary>, usize), Error> {
        let mut summaries = Vec::new();
        let mut segments = HashSet::new();
        for (at, memory) in changed.iter().enumerate() {
            let Some(session) = memory.session.filter(|_| memory.kind == MemoryKind::Turn) else {
                continue;
            };
            let segment = Segment::of(session, memory.ordinal);
            // the one before may have been waiting for the session to go on
            let before = Segment::of(session, segment.first.saturating_sub(1));
            for segment in [before, segment] {
                if !segments.insert(segment) {
                    continue;
                }
                match self.segment(owner, segment, cycle).await? {
                    Segmented::Nothing => {}
                    Segmented::Summary(summary) => summaries.push(*summary),
                    Segmented::Later => return Ok((summaries, at)),
                }
            }
            if cycle.has_spent(self.deps.allowance) {
                return Ok((summaries, at + 1));
            }
        }
        Ok((summaries, changed.len()))
    }

    async fn segment(&self, owner: &Owner, segment: Segment, cycle: &mut Cycle) -> Result<Segmented, Error> {
        let told = self.deps.consolidations.told(owner, segment).await?;
        if !told.is_due() {
            return Ok(Segmented::Nothing);
        }
        if told.former.is_some_and(|former| former.pending) {
            return Ok(Segmented::Later);
        }
        let turns = self.deps.consolidations.turns(owner, segment, TURNS).await?;
        cycle.looked_at(turns.len());
        let lines: Vec<Line> = turns
            .iter()
            .map(|turn| Line {
                speaker: turn.speaker.clone(),
                text: turn.text.clone(),
            })
            .collect();
        let text = self.run(cycle, move || summary(&lines)).await;
        let supersedes = told
            .former
            .filter(|former| former.current)
            .map(|former| former.id);
        let (Some(text), Some(last)) = (text, turns.last()) else {
            return Ok(Segmented::Nothing);
        };
        let label = turns.iter().map(|turn| turn.label).max().unwrap_or(last.label);
        let mut sources: Vec<u64> = turns.iter().map(|turn| turn.seq).collect();
        sources.sort_unstable();
        let memory = NewMemory {
            id: MemoryId::generate(&*self.deps.clock),
            point: *MemoryId::generate(&*self.deps.clock).as_uuid(),
            kind: MemoryKind::Summary,
            text,
            speaker: String::new(),
            time: last.time,
            valid_to: None,
            superseded_by: None,
            supersedes,
            agent: last.agent.clone(),
            session: Some(segment.session),
            run: None,
            // it was not said: it has no place among what was
            ordinal: Some(0),
            label,
            importance: crate::domain::memories::check::IMPORTANCE,
            hidden_at: None,
            erased_at: None,
        };
        let saving = Saving {
            owner: owner.clone(),
            memories: vec![memory],
            event: EventId::generate(&*self.deps.clock),
            actor: Actor::Service,
            now: self.now(),
            most: self.deps.most,
        };
        Ok(Segmented::Summary(Box::new(NewSummary {
            saving,
            segment,
            by: Writer::Sentences,
            former: told.former.map(|former| former.id),
            reaches: last.ordinal,
            sources,
        })))
    }

    /// Runs the work beside those that serve, and counts what it takes.
    async fn run<T: Send + 'static>(
        &self,
        cycle: &mut Cycle,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let timed = move || {
            let begun = Instant::now();
            (work(), begun.elapsed())
        };
        let (done, took) = self.worker.run(timed).await;
        cycle.processor = cycle.processor.saturating_add(took);
        done
    }

    fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }
}
