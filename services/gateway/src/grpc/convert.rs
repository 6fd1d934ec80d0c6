//! From the words of the services within to those of the public interface.

use harombe_proto::{agent::v1 as public, memory::v1 as memory, runtime::v1 as runtime};

/// Without the workspace's address, which is nobody's business outside, and the subject, who is the caller.
pub(crate) fn session(session: memory::Session) -> public::Session {
    public::Session {
        session_id: session.session_id,
        agent: session.agent,
        created_at: session.created_at,
        updated_at: session.updated_at,
        turns: session.turns,
        active_run_id: session.active_run_id,
    }
}

pub(crate) fn run(run: memory::Run) -> public::Run {
    let state = run_state(run.state());
    public::Run {
        run_id: run.run_id,
        session_id: run.session_id,
        agent: run.agent,
        state: state.into(),
        started_at: run.started_at,
        finished_at: run.finished_at,
        cursor: run.cursor,
    }
}

fn run_state(state: memory::RunState) -> public::RunState {
    match state {
        memory::RunState::Unspecified => public::RunState::Unspecified,
        memory::RunState::Active => public::RunState::Active,
        memory::RunState::Finished => public::RunState::Finished,
        memory::RunState::Failed => public::RunState::Failed,
        memory::RunState::Cancelled => public::RunState::Cancelled,
    }
}

pub(crate) fn agent(agent: runtime::Agent) -> public::Agent {
    public::Agent {
        name: agent.name,
        description: agent.description,
        model: agent.model,
        tools: agent.tools,
    }
}

pub(crate) fn tool(tool: runtime::Tool) -> public::Tool {
    public::Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters,
    }
}
