//! The services behind the door, and on whose authority each call to them is made.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::TokenMinter;
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::erasure_service_client::ErasureServiceClient as LogErasureClient;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::erasure_service_client::ErasureServiceClient as ApprovalErasureClient;
use harombe_proto::memory::v1 as memory;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::erasure_service_client::ErasureServiceClient as MemoryErasureClient;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::run_journal_service_client::RunJournalServiceClient;
use harombe_proto::runtime::v1::runtime_service_client::RuntimeServiceClient;
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::{Clock, Person, RunId, RunPrincipal, ServiceName, SessionId};
use tonic::{Request, Status};

use crate::Error;
use crate::domain::uses::Uses;
use crate::grpc::Visitor;

pub(crate) struct Channels {
    pub(crate) runtime: GrpcChannel,
    pub(crate) memory: GrpcChannel,
    pub(crate) hitl: GrpcChannel,
    pub(crate) audit: GrpcChannel,
}

/// Clients of every service that the gateway calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) runtime: RuntimeServiceClient<GrpcChannel>,
    pub(crate) sessions: ConversationServiceClient<GrpcChannel>,
    pub(crate) journal: RunJournalServiceClient<GrpcChannel>,
    pub(crate) memories: PersonalMemoryServiceClient<GrpcChannel>,
    pub(crate) approvals: ApprovalServiceClient<GrpcChannel>,
    pub(crate) log: AuditServiceClient<GrpcChannel>,
    pub(crate) erasures: Erasures,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) uses: Arc<Uses>,
}

/// Clients of what each service erases of a person.
#[derive(Clone)]
pub(crate) struct Erasures {
    pub(crate) memory: MemoryErasureClient<GrpcChannel>,
    pub(crate) approvals: ApprovalErasureClient<GrpcChannel>,
    pub(crate) log: LogErasureClient<GrpcChannel>,
}

impl Peers {
    pub(crate) fn new(channels: Channels, tokens: Tokens, uses: Arc<Uses>) -> Self {
        let erasures = Erasures {
            memory: MemoryErasureClient::new(channels.memory.clone()),
            approvals: ApprovalErasureClient::new(channels.hitl.clone()),
            log: LogErasureClient::new(channels.audit.clone()),
        };
        Self {
            runtime: RuntimeServiceClient::new(channels.runtime),
            sessions: ConversationServiceClient::new(channels.memory.clone()),
            journal: RunJournalServiceClient::new(channels.memory.clone()),
            memories: PersonalMemoryServiceClient::new(channels.memory),
            approvals: ApprovalServiceClient::new(channels.hitl),
            log: AuditServiceClient::new(channels.audit),
            erasures,
            tokens: Arc::new(tokens),
            uses,
        }
    }

    /// Who sent a request that the door let in.
    pub(crate) fn visitor<T>(&self, request: &Request<T>) -> Result<Visitor, Status> {
        Visitor::of(request, &self.uses)
    }

    /// A session of the visitor's own, as memory knows it, whose agent they may use.
    pub(crate) async fn session(&self, visitor: &Visitor, id: SessionId) -> Result<memory::Session, Status> {
        let message = memory::GetSessionRequest {
            session_id: id.to_string(),
        };
        let request = self
            .tokens
            .person(message, &visitor.person, ServiceName::Memory)?;
        let response = self
            .sessions
            .clone()
            .get_session(request)
            .await
            .map_err(|status| passed_on(MEMORY, &status))?;
        let session = response
            .into_inner()
            .session
            .ok_or_else(|| nonsense(MEMORY, &"no session"))?;
        visitor.check_agent(&session.agent)?;
        Ok(session)
    }

    /// A run of the visitor's own, as memory knows it, whose agent they may use.
    pub(crate) async fn run(&self, visitor: &Visitor, id: RunId) -> Result<memory::Run, Status> {
        let message = memory::GetRunRequest {
            run_id: id.to_string(),
        };
        let request = self
            .tokens
            .person(message, &visitor.person, ServiceName::Memory)?;
        let response = self
            .journal
            .clone()
            .get_run(request)
            .await
            .map_err(|status| passed_on(MEMORY, &status))?;
        let run = response
            .into_inner()
            .run
            .ok_or_else(|| nonsense(MEMORY, &"no run"))?;
        visitor.check_agent(&run.agent)?;
        Ok(run)
    }
}

/// Mints a token for each call.
pub(crate) struct Tokens {
    pub(crate) minter: TokenMinter,
    pub(crate) clock: Arc<dyn Clock>,
    /// From a run's begin to the end of its token.
    pub(crate) wall_limit: Duration,
}

impl Tokens {
    /// A request on behalf of a person, to one service.
    pub(crate) fn person<T>(
        &self,
        message: T,
        person: &Person,
        audience: ServiceName,
    ) -> Result<Request<T>, Error> {
        let token = self
            .minter
            .person(person, audience, self.clock.now())
            .map_err(Error::Mint)?;
        Ok(Request::new(message).with_token(token))
    }

    /// A request on behalf of a run of the person's, which memory has shown to be theirs.
    pub(crate) fn run<T>(&self, message: T, run: &RunPrincipal) -> Result<Request<T>, Error> {
        let now = self.clock.now();
        let token = self
            .minter
            .run(run, now.plus(self.wall_limit), now)
            .map_err(Error::Mint)?;
        Ok(Request::new(message).with_token(token))
    }

    /// A run that begins now in a session of the person's own.
    pub(crate) fn new_run(&self, person: &Person, session: &memory::Session) -> Result<RunPrincipal, Error> {
        let run = RunId::generate(&*self.clock);
        principal(person, &session.agent, &session.session_id, run)
    }
}

/// Who a run of the person's acts as.
pub(crate) fn principal(
    person: &Person,
    agent: &str,
    session: &str,
    run: RunId,
) -> Result<RunPrincipal, Error> {
    Ok(RunPrincipal {
        tenant: person.tenant.clone(),
        subject: person.subject.clone(),
        agent: agent.parse().map_err(|error| nonsense(MEMORY, &error))?,
        session: session.parse().map_err(|error| nonsense(MEMORY, &error))?,
        run,
    })
}

/// A peer as it appears in messages and errors.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What it means for a person that it cannot be reached.
    unreachable: Reason,
}

pub(crate) const RUNTIME: Peer = Peer {
    name: "runtime",
    unreachable: Reason::Unavailable,
};
pub(crate) const MEMORY: Peer = Peer {
    name: "memory",
    unreachable: Reason::MemoryUnavailable,
};
pub(crate) const HITL: Peer = Peer {
    name: "hitl",
    unreachable: Reason::HitlUnavailable,
};
pub(crate) const AUDIT: Peer = Peer {
    name: "audit",
    unreachable: Reason::AuditUnavailable,
};

/// The failure of a peer as the client sees it: the same code, reason and message. A peer that does not accept the
/// gateway's own token is no fault of the client's: it is not there for the gateway, until clocks or certificates are right.
pub(crate) fn passed_on(peer: Peer, status: &Status) -> Status {
    let mut failure = Failure::from(status);
    match (failure.code, failure.reason) {
        // Its request id stands in our log beside the one that the client gets; its words may be a library's.
        (Code::Internal, _) => Error::Failed {
            peer: peer.name,
            source: failure,
        }
        .into(),
        (Code::Unauthenticated, _) => {
            tracing::error!(peer = peer.name, why = %failure, "a peer does not accept the gateway's word");
            let name = peer.name;
            let told = format!("{name} does not accept the gateway's word; the gateway's log says why");
            Failure::new(Code::Unavailable, peer.unreachable, told).to_status()
        }
        // It is older than this gateway, as during an upgrade: nothing of the client's is missing.
        _ if status.code() == tonic::Code::Unimplemented => {
            let told = format!("{} is of an earlier version and cannot do that yet", peer.name);
            Failure::new(Code::Unavailable, peer.unreachable, told).to_status()
        }
        (Code::Unavailable, Reason::Unavailable) => {
            failure.reason = peer.unreachable;
            failure.to_status()
        }
        _ => failure.to_status(),
    }
}

pub(crate) fn nonsense(peer: Peer, what: &impl ToString) -> Error {
    Error::Peer {
        peer: peer.name,
        what: what.to_string(),
    }
}
