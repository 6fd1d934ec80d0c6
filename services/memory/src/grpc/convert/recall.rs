//! What recall found, as messages.

use harombe_proto::memory::v1 as pb;

use crate::domain::Context;
use crate::domain::consolidation::Work;
use crate::domain::recall::{Hit, Means};

impl From<Means> for pb::RecallMeans {
    fn from(means: Means) -> Self {
        match means {
            Means::Hybrid => Self::Hybrid,
            Means::Lexical => Self::Lexical,
            Means::Degraded => Self::Degraded,
        }
    }
}

impl From<Hit> for pb::MemoryHit {
    fn from(hit: Hit) -> Self {
        let explanation = hit.parts.into_iter().map(|part| pb::ScorePart {
            feature: part.feature.to_owned(),
            value: part.value,
            contribution: part.contribution,
        });
        Self {
            memory: Some(hit.memory.into()),
            score: hit.score,
            explanation: explanation.collect(),
        }
    }
}

impl From<Context> for pb::BuildContextResponse {
    fn from(context: Context) -> Self {
        let means = context.means.map_or(pb::RecallMeans::Unspecified, Into::into);
        let mut summaries = context.summaries.into_iter().map(|summary| pb::MemoryHit {
            memory: Some(summary.into()),
            ..pb::MemoryHit::default()
        });
        Self {
            turns: context.turns,
            turns_left_out: context.turns_left_out,
            summary: summaries.next(),
            earlier_summaries: summaries.collect(),
            recalled: context.recalled.into_iter().map(Into::into).collect(),
            means: means.into(),
            workspace_id: context.workspace.unwrap_or_default(),
            last_run_id: context.last_run.unwrap_or_default(),
            saw_outside: context.saw_outside,
        }
    }
}

impl From<Work> for pb::SummaryWork {
    fn from(work: Work) -> Self {
        Self {
            memory_id: work.id.to_string(),
            former: work.former.map(Into::into),
            turns: work.turns.into_iter().map(Into::into).collect(),
        }
    }
}
