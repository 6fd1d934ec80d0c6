//! Sessions and turns.

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::conversation_service_server::ConversationService;
use harombe_proto::memory::v1::{Author, RunState, Turn};
use harombe_rpc::{CallerExt as _, RequestExt as _};
use tonic::{Request, Response, Status};

use super::{Memory, PERIOD, Run, claimed_turn, lease, not_used, put};

#[tonic::async_trait]
impl ConversationService for Memory {
    async fn create_session(
        &self,
        _: Request<wire::CreateSessionRequest>,
    ) -> Result<Response<wire::CreateSessionResponse>, Status> {
        not_used()
    }

    async fn get_session(
        &self,
        _: Request<wire::GetSessionRequest>,
    ) -> Result<Response<wire::GetSessionResponse>, Status> {
        not_used()
    }

    async fn list_sessions(
        &self,
        _: Request<wire::ListSessionsRequest>,
    ) -> Result<Response<wire::ListSessionsResponse>, Status> {
        not_used()
    }

    async fn delete_session(
        &self,
        _: Request<wire::DeleteSessionRequest>,
    ) -> Result<Response<wire::DeleteSessionResponse>, Status> {
        not_used()
    }

    async fn list_messages(
        &self,
        _: Request<wire::ListMessagesRequest>,
    ) -> Result<Response<wire::ListMessagesResponse>, Status> {
        not_used()
    }

    async fn begin_turn(
        &self,
        request: Request<wire::BeginTurnRequest>,
    ) -> Result<Response<wire::BeginTurnResponse>, Status> {
        let principal = request.run()?;
        let (run_id, session) = (principal.run.to_string(), principal.session.to_string());
        let token = request.token().unwrap().to_owned();
        let wire::BeginTurnRequest {
            client_message_id,
            text,
            entries,
            history,
            client_instructions,
        } = request.into_inner();
        let mut state = self.state.lock();
        let lost = state.lose_begin;
        let before = state
            .runs
            .iter_mut()
            .find(|(_, run)| run.session == session && run.client_message_id == client_message_id);
        if let Some((run_id, run)) = before {
            let run_id = run_id.clone();
            if lost {
                run.epoch += 1;
                let lease = lease(run);
                state.lose_begin = false;
                return Ok(Response::new(wire::BeginTurnResponse {
                    run_id,
                    lease,
                    ..wire::BeginTurnResponse::default()
                }));
            }
            return Ok(Response::new(wire::BeginTurnResponse {
                run_id,
                existing: true,
                ..wire::BeginTurnResponse::default()
            }));
        }
        let holds = |run: &Run| run.state == RunState::Active && run.session == session;
        if state.runs.values().any(holds) {
            let busy = Failure::new(
                Code::FailedPrecondition,
                Reason::SessionBusy,
                "another run is active",
            );
            return Err(busy.to_status());
        }
        let mut run = Run {
            token,
            session,
            text,
            client_message_id,
            client_instructions,
            epoch: 1,
            expires: self.clock.now().plus(PERIOD),
            state: RunState::Active,
            ..Run::default()
        };
        let cursor = put(&mut run, entries);
        let lease = lease(&run);
        state.runs.insert(run_id.clone(), run);
        if lost {
            return Err(Status::unavailable("away"));
        }
        let last_run_id = state.last_run();
        let claimed = history.into_iter().map(claimed_turn);
        state.turns.extend(claimed);
        Ok(Response::new(wire::BeginTurnResponse {
            run_id,
            existing: false,
            lease,
            cursor,
            last_run_id,
        }))
    }

    async fn finish_turn(
        &self,
        request: Request<wire::FinishTurnRequest>,
    ) -> Result<Response<wire::FinishTurnResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let wire::FinishTurnRequest {
            epoch,
            messages,
            entries,
            state,
            saw_outside,
        } = request.into_inner();
        let (cursor, text) = self.held(&run_id, epoch, |run| {
            run.state = RunState::try_from(state).unwrap();
            Ok((put(run, entries), run.text.clone()))
        })?;
        let user = wire::Message {
            author: Author::User.into(),
            text,
            ..wire::Message::default()
        };
        let messages = std::iter::once(user).chain(messages).collect();
        let mut state = self.state.lock();
        state.saw_outside.push(saw_outside);
        state.turns.push(Turn {
            run_id,
            messages,
            claimed: false,
        });
        Ok(Response::new(wire::FinishTurnResponse { cursor }))
    }

    async fn attach_workspace(
        &self,
        request: Request<wire::AttachWorkspaceRequest>,
    ) -> Result<Response<wire::AttachWorkspaceResponse>, Status> {
        let mut state = self.state.lock();
        if state.workspace.is_empty() {
            state.workspace = request.into_inner().workspace_id;
        }
        Ok(Response::new(wire::AttachWorkspaceResponse {
            workspace_id: state.workspace.clone(),
        }))
    }
}
