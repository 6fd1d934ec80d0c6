//! What a spent grant becomes.

use harombe_types::{CallId, GrantId, LeaseId, RunId, ServiceName, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::sealed::{ISSUER, check_times, from_seconds};

pub(crate) const TYPE: &str = "harombe-lease+jwt";

/// The right of the service that redeemed a grant to act under it for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub grant: GrantId,
    /// The only service that may use it.
    pub redeemer: ServiceName,
    /// In whole seconds once signed.
    pub expires: Timestamp,
    pub connections: u32,
    /// Over all connections, both ways.
    pub bytes: u64,
    /// `host:port`; empty for none.
    pub destinations: Vec<String>,
    pub tenant: Tenant,
    pub run: RunId,
    pub call: CallId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    iss: ServiceName,
    /// The redeemer: whoever else shows the lease is refused.
    aud: ServiceName,
    jti: LeaseId,
    exp: i64,
    hrb: Extra,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    grant: GrantId,
    tenant: Tenant,
    run: RunId,
    call: CallId,
    connections: u32,
    bytes: u64,
    destinations: Vec<String>,
}

impl From<&Lease> for Claims {
    fn from(lease: &Lease) -> Self {
        Self {
            iss: ISSUER,
            aud: lease.redeemer,
            jti: lease.id,
            exp: lease.expires.as_secs(),
            hrb: Extra {
                grant: lease.grant,
                tenant: lease.tenant.clone(),
                run: lease.run,
                call: lease.call,
                connections: lease.connections,
                bytes: lease.bytes,
                destinations: lease.destinations.clone(),
            },
        }
    }
}

impl Claims {
    pub(crate) fn check(self, redeemer: ServiceName, now: Timestamp) -> Result<Lease, Error> {
        if self.iss != ISSUER {
            return Err(Error::Claim("issuer"));
        }
        if self.aud != redeemer {
            return Err(Error::Redeemer);
        }
        check_times(0, self.exp, now)?;
        Ok(Lease {
            id: self.jti,
            grant: self.hrb.grant,
            redeemer: self.aud,
            expires: from_seconds(self.exp),
            connections: self.hrb.connections,
            bytes: self.hrb.bytes,
            destinations: self.hrb.destinations,
            tenant: self.hrb.tenant,
            run: self.hrb.run,
            call: self.hrb.call,
        })
    }
}
