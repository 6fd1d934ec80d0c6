//! The permission itself.

use harombe_canonical::CanonicalCall;
use harombe_types::{AgentName, CallId, GrantId, RunId, ServiceName, SessionId, Subject, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::sealed::{ISSUER, check_times, from_seconds, hex};

pub(crate) const TYPE: &str = "harombe-grant+jwt";

/// Permission for one call, once, by one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    /// The one service that may perform the call.
    pub audience: ServiceName,
    /// Both in whole seconds once signed.
    pub not_before: Timestamp,
    pub expires: Timestamp,
    pub tenant: Tenant,
    /// On whose behalf.
    pub subject: Subject,
    pub agent: AgentName,
    pub session: SessionId,
    pub run: RunId,
    pub call: CallId,
    pub tool: String,
    /// SHA-256 of the canonical call.
    pub digest: [u8; 32],
    /// Of the rules that rated the call.
    pub policy_version: String,
    pub limits: Limits,
    /// Hosts that the act may reach, `host:port`; empty for none.
    pub destinations: Vec<String>,
    /// Names of credentials that may be put on the wire; never the credentials.
    pub credentials: Vec<String>,
    /// Who said yes; empty when a rule did.
    pub approvers: Vec<Subject>,
}

/// Upper bounds of the act; where one is absent the performing service's own default holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// Thousandths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_millis: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub processes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_bytes: Option<u64>,
    /// Connections to the destinations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connections: Option<u32>,
    /// Bytes over all connections, both ways.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer_bytes: Option<u64>,
}

/// Whether the grant is for exactly this call: digest, tenant, agent, run, call and tool.
///
/// # Errors
/// Says what differs, without the values.
pub fn check_call(grant: &Grant, call: &CanonicalCall) -> Result<(), Error> {
    let same = |what, same: bool| if same { Ok(()) } else { Err(Error::Mismatch(what)) };
    same("digest", grant.digest == *call.digest().as_bytes())?;
    same("tenant", grant.tenant.as_str() == call.tenant())?;
    same("agent", grant.agent.as_str() == call.agent())?;
    same("run", grant.run.to_string() == call.run())?;
    same("call id", grant.call.to_string() == call.call())?;
    same("tool", grant.tool == call.tool())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    iss: ServiceName,
    aud: ServiceName,
    sub: Subject,
    jti: GrantId,
    nbf: i64,
    exp: i64,
    hrb: Extra,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    tenant: Tenant,
    agent: AgentName,
    session: SessionId,
    run: RunId,
    call: CallId,
    tool: String,
    #[serde(with = "hex")]
    digest: [u8; 32],
    policy_version: String,
    limits: Limits,
    destinations: Vec<String>,
    credentials: Vec<String>,
    approvers: Vec<Subject>,
}

impl From<&Grant> for Claims {
    fn from(grant: &Grant) -> Self {
        Self {
            iss: ISSUER,
            aud: grant.audience,
            sub: grant.subject.clone(),
            jti: grant.id,
            nbf: grant.not_before.as_secs(),
            exp: grant.expires.as_secs(),
            hrb: Extra {
                tenant: grant.tenant.clone(),
                agent: grant.agent.clone(),
                session: grant.session,
                run: grant.run,
                call: grant.call,
                tool: grant.tool.clone(),
                digest: grant.digest,
                policy_version: grant.policy_version.clone(),
                limits: grant.limits,
                destinations: grant.destinations.clone(),
                credentials: grant.credentials.clone(),
                approvers: grant.approvers.clone(),
            },
        }
    }
}

impl Claims {
    pub(crate) fn check(self, audience: ServiceName, now: Timestamp) -> Result<Grant, Error> {
        if self.iss != ISSUER {
            return Err(Error::Claim("issuer"));
        }
        if self.aud != audience {
            return Err(Error::Audience);
        }
        if crate::audience_for(&self.hrb.tool) != Some(audience) {
            return Err(Error::Claim("tool"));
        }
        check_times(self.nbf, self.exp, now)?;
        let Extra {
            tenant,
            agent,
            session,
            run,
            call,
            tool,
            ..
        } = self.hrb;
        Ok(Grant {
            id: self.jti,
            audience: self.aud,
            not_before: from_seconds(self.nbf),
            expires: from_seconds(self.exp),
            tenant,
            subject: self.sub,
            agent,
            session,
            run,
            call,
            tool,
            digest: self.hrb.digest,
            policy_version: self.hrb.policy_version,
            limits: self.hrb.limits,
            destinations: self.hrb.destinations,
            credentials: self.hrb.credentials,
            approvers: self.hrb.approvers,
        })
    }
}
