//! By what right: the grant, the call, the policy, the redemption and the record, in this order, before anything is dialled.

mod search;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use harombe_canonical::CanonicalCall;
use harombe_error::{Code, Failure, Reason, ServiceError as _};
use harombe_grant::{Grant, Lease, Verifier, check_call};
use harombe_proto::hitl::v1::RedeemGrantRequest;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_rpc::GrpcChannel;
use harombe_secrets::Secrets;
use harombe_trail::Trail;
use harombe_types::{CallId, Clock, RunPrincipal, ServiceName};
use serde_json::json;

use crate::Error;
use crate::domain::authority::Authority;
use crate::domain::call::FetchCall;
use crate::domain::decision::{Admitted, Allowed, Decider, Request};
use crate::domain::denial::Denial;
use crate::domain::headers::{self, Outgoing};
use crate::metrics::Numbers;
use crate::tunnel::Whom;
use crate::tunnel::record::{self, Attempt, Peer, Record};
use crate::upstream::Upstream;

pub(crate) use search::SearchAct;

/// The tools that are performed here.
const FETCH: &str = "web_fetch";
const SEARCH: &str = "web_search";

/// As much of a tool's name as a record of a refused permission shows, in characters.
const MAX_TOOL: usize = 64;

/// A call that may be performed now, once.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) attempt: Attempt,
    pub(crate) allowed: Allowed,
    pub(crate) outgoing: Outgoing,
    /// Of the response's body, in bytes: the smaller of what was asked for and what was granted.
    pub(crate) max_bytes: u64,
}

/// What a grant permits, checked and recorded.
#[derive(Debug)]
pub(crate) enum Permitted {
    Fetch(Box<Act>),
    Search(Box<SearchAct>),
}

/// What the policy says about a call before anyone is asked to approve it.
#[derive(Debug)]
pub(crate) struct Opinion {
    pub(crate) verdict: Result<(), Denial>,
    pub(crate) trusted: bool,
}

/// Decides over calls, and spends and records what it decides.
pub(crate) struct Admission {
    pub(crate) decider: Decider,
    pub(crate) verifier: Verifier,
    pub(crate) hitl: GrpcChannel,
    pub(crate) trail: Trail,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstreams: BTreeMap<String, Arc<Upstream>>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) numbers: Numbers,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("decider", &self.decider)
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// Says whether the policy could allow the call, asks nobody, and records a denial.
    pub(crate) async fn check(&self, run: &RunPrincipal, call: &[u8]) -> Result<Opinion, Error> {
        let call = read(run, call)?;
        let (attempt, verdict) = if call.0.tool() == SEARCH {
            let (attempt, _) = call.into_search()?;
            // The operator chose whom a search asks, and thereby trusts it.
            (attempt, self.searched().map(|_| true))
        } else {
            let (attempt, fetch) = call.into_fetch()?;
            (
                attempt,
                self.admit_fetch(run, &fetch)
                    .map(|admitted| self.decider.trusts(&admitted)),
            )
        };
        if let Err(denial) = &verdict {
            self.record_denial(&run.into(), &attempt, denial).await?;
        }
        let trusted = verdict.as_ref().is_ok_and(|trusted| *trusted);
        Ok(Opinion {
            verdict: verdict.map(|_| ()),
            trusted,
        })
    }

    /// The policy in force, for answers.
    pub(crate) fn policy_version(&self) -> &str {
        self.decider.policy_version()
    }

    /// Passes a call through every check and spends its grant. After this it may be dialled. A permission that is not
    /// good is recorded: somebody may be trying what they are not granted.
    pub(crate) async fn admit(
        &self,
        run: &RunPrincipal,
        grant: &str,
        call: &Bytes,
    ) -> Result<Permitted, Error> {
        let admitted = self.spend(run, grant, call).await;
        if let Err(error @ (Error::Grant(_) | Error::Lease(_) | Error::ForeignCall(_) | Error::Tool)) =
            &admitted
        {
            self.numbers.refused(error.reason().as_str());
            // Refused it is in any case, and for its own reason.
            let tool = CanonicalCall::parse(call).map(|call| call.tool().chars().take(MAX_TOOL).collect());
            let tool: String = tool.unwrap_or_default();
            if let Err(error) = self.trail.record(record::refused(run, &tool, error)).await {
                tracing::warn!(%error, "a refused permission could not be recorded");
            }
        }
        admitted
    }

    async fn spend(&self, run: &RunPrincipal, grant: &str, call: &Bytes) -> Result<Permitted, Error> {
        let call = read(run, call)?;
        let verified = self
            .verifier
            .grant(grant, ServiceName::EgressProxy, self.clock.now())?;
        check_call(&verified, &call.0)?;
        let shown = Granted {
            text: grant,
            grant: &verified,
        };
        if call.0.tool() == SEARCH {
            self.spend_search(run, &shown, call)
                .await
                .map(|act| Permitted::Search(Box::new(act)))
        } else {
            self.spend_fetch(run, &shown, call)
                .await
                .map(|act| Permitted::Fetch(Box::new(act)))
        }
    }

    async fn spend_fetch(
        &self,
        run: &RunPrincipal,
        granted: &Granted<'_>,
        call: OwnCall,
    ) -> Result<Act, Error> {
        let digest = call.0.digest();
        let (attempt, fetch) = call.into_fetch()?;
        let (allowed, outgoing) = match self.decide(run, &fetch).await {
            Ok(allowed) => allowed,
            Err(denial) => {
                self.record_denial(&run.into(), &attempt, &denial).await?;
                return Err(denial.into());
            }
        };
        let lease = self.redeem(granted, digest.as_ref()).await?;
        let target = allowed.target.authority().to_string();
        let names =
            |text: &String| Authority::parse(text, None).is_ok_and(|listed| listed.to_string() == target);
        // A list without entries permits none: hitl names the one destination of every fetch.
        if !lease.destinations.iter().any(names) {
            return Err(Error::Lease("destination"));
        }
        let act = Act {
            attempt,
            outgoing,
            max_bytes: fetch.max_bytes.min(lease.bytes),
            allowed,
        };
        self.trail
            .record(Record::allowed(run, &act, self.policy_version()))
            .await?;
        self.numbers.allowed();
        Ok(act)
    }

    /// The record of how an admitted call ended; it is written when the tunnel closes.
    pub(crate) fn closing(&self, run: &RunPrincipal, act: &Act) -> Record {
        let peer = Peer {
            upstream: String::new(),
            details: json!({ "host": act.allowed.target.authority().to_string() }),
        };
        self.begun(&run.into(), act.attempt.call, peer)
    }

    fn begun(&self, whom: &Whom, call: Option<CallId>, peer: Peer) -> Record {
        let (trail, clock, numbers) = (self.trail.clone(), self.clock.clone(), self.numbers.clone());
        Record::new(trail, clock, numbers, whom, call, peer)
    }

    async fn decide(&self, run: &RunPrincipal, fetch: &FetchCall) -> Result<(Allowed, Outgoing), Denial> {
        // What the caller's own fields make impossible is refused before any name is resolved.
        let admitted = self.admit_fetch(run, fetch)?;
        let outgoing = outgoing(fetch, &admitted.target)?;
        Ok((self.decider.decide(request(run, fetch)).await?, outgoing))
    }

    fn admit_fetch(&self, run: &RunPrincipal, fetch: &FetchCall) -> Result<Admitted, Denial> {
        let admitted = self.decider.admit(request(run, fetch))?;
        outgoing(fetch, &admitted.target)?;
        Ok(admitted)
    }

    async fn record_denial(&self, whom: &Whom, attempt: &Attempt, denial: &Denial) -> Result<(), Error> {
        self.numbers.denied(denial.code());
        let event = Record::denied(whom, attempt, denial, self.policy_version());
        Ok(self.trail.record(event).await?)
    }

    /// Spends a grant and takes the lease that continues it.
    async fn redeem(&self, granted: &Granted<'_>, digest: &[u8]) -> Result<Lease, Error> {
        let request = RedeemGrantRequest {
            grant: granted.text.to_owned(),
            call_digest: Bytes::copy_from_slice(digest),
        };
        let response = AuthorizationServiceClient::new(self.hitl.clone())
            .redeem_grant(request)
            .await;
        let lease = response
            .map_err(|status| refusal(Failure::from(status)))?
            .into_inner()
            .lease;
        let lease = self
            .verifier
            .lease(&lease, ServiceName::EgressProxy, self.clock.now())?;
        check_lease(&lease, granted.grant)?;
        Ok(lease)
    }
}

/// A grant as it was shown, and what it says.
struct Granted<'a> {
    text: &'a str,
    grant: &'a Grant,
}

/// What hitl said, unless it said nothing: whatever keeps its answer away means that nothing is permitted.
fn refusal(failure: Failure) -> Error {
    let silent = matches!(
        failure.code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal
    );
    let explained = matches!(
        failure.reason,
        Reason::AuditUnavailable | Reason::StoreUnavailable
    );
    if silent && !explained {
        Error::Hitl
    } else {
        Error::Refused(failure)
    }
}

fn request<'a>(run: &'a RunPrincipal, fetch: &'a FetchCall) -> Request<'a> {
    Request {
        agent: &run.agent,
        method: &fetch.method,
        url: &fetch.url,
    }
}

fn outgoing(fetch: &FetchCall, target: &crate::domain::target::Target) -> Result<Outgoing, Denial> {
    headers::outgoing(
        fetch
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
        target,
    )
}

/// A canonical call that belongs to the run which shows it.
struct OwnCall(CanonicalCall, CallId);

fn read(run: &RunPrincipal, bytes: &[u8]) -> Result<OwnCall, Error> {
    let call = CanonicalCall::parse(bytes).map_err(Error::Call)?;
    let same = |what, same: bool| {
        if same {
            Ok(())
        } else {
            Err(Error::ForeignCall(what))
        }
    };
    same("tenant", call.tenant() == run.tenant.as_str())?;
    same("agent", call.agent() == run.agent.as_str())?;
    same("run", call.run() == run.run.to_string())?;
    let id = call
        .call()
        .parse()
        .map_err(|_| Error::Frame("the call's id is not an id"))?;
    Ok(OwnCall(call, id))
}

impl OwnCall {
    fn into_fetch(self) -> Result<(Attempt, FetchCall), Error> {
        let Self(call, id) = self;
        if call.tool() != FETCH {
            return Err(Error::Tool);
        }
        let fetch = FetchCall::from_args(call.args().clone()).map_err(Error::Arguments)?;
        Ok((Attempt::fetch(id, &fetch.method, &fetch.url), fetch))
    }
}

/// A lease must continue the very grant that was shown.
fn check_lease(lease: &Lease, grant: &Grant) -> Result<(), Error> {
    let same = |what, same: bool| if same { Ok(()) } else { Err(Error::Lease(what)) };
    same("grant", lease.grant == grant.id)?;
    same("tenant", lease.tenant == grant.tenant)?;
    same("run", lease.run == grant.run)?;
    same("call", lease.call == grant.call)?;
    same("number of connections", lease.connections > 0)
}
