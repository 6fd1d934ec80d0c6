//! Principal tokens (CONTRACTS §1): for whom a call is made, as the gateway vouches for it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use harombe_types::{
    AgentName, Person, Principal, Role, RunId, RunPrincipal, ServiceName, SessionId, Subject, Tenant,
    Timestamp,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::{Error, ServiceIdentity, TrustRoots, jws};

const TYPE: &str = "harombe-principal+jwt";

/// How long a PERSON token lives: one request.
pub const PERSON_LIFETIME: Duration = Duration::from_secs(60);

/// The services that act for a run.
pub const RUN_AUDIENCES: [ServiceName; 5] = [
    ServiceName::Runtime,
    ServiceName::Memory,
    ServiceName::Hitl,
    ServiceName::SandboxBroker,
    ServiceName::EgressProxy,
];

const CACHED_TOKENS: usize = 2048;

/// A signed token. It is a credential, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

/// Times are whole seconds, as JWT has them; `exp` is rounded down, so that nothing lives longer than asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: ServiceName,
    sub: Subject,
    aud: BTreeSet<ServiceName>,
    iat: i64,
    nbf: i64,
    exp: i64,
    hrb: Extra,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Extra {
    Person {
        tenant: Tenant,
        roles: BTreeSet<Role>,
        allow_self: bool,
    },
    Run {
        tenant: Tenant,
        agent: AgentName,
        session: SessionId,
        run: RunId,
    },
}

/// Mints tokens; only the gateway has one.
#[derive(Clone, Debug)]
pub struct TokenMinter(ServiceIdentity);

impl TokenMinter {
    /// `gateway`'s identity; what another service signs, nobody accepts.
    #[must_use]
    pub fn new(gateway: ServiceIdentity) -> Self {
        Self(gateway)
    }

    /// A PERSON token for one request to one service, good for [`PERSON_LIFETIME`].
    ///
    /// # Errors
    /// The token cannot be encoded.
    pub fn person(&self, person: &Person, audience: ServiceName, now: Timestamp) -> Result<Token, Error> {
        let extra = Extra::Person {
            tenant: person.tenant.clone(),
            roles: person.roles.clone(),
            allow_self: person.allow_self,
        };
        self.mint(
            &person.subject,
            [audience].into(),
            now,
            now.plus(PERSON_LIFETIME),
            extra,
        )
    }

    /// A RUN token for [`RUN_AUDIENCES`], good until `expires`, the run's wall limit.
    ///
    /// # Errors
    /// The token cannot be encoded.
    pub fn run(&self, run: &RunPrincipal, expires: Timestamp, now: Timestamp) -> Result<Token, Error> {
        let extra = Extra::Run {
            tenant: run.tenant.clone(),
            agent: run.agent.clone(),
            session: run.session,
            run: run.run,
        };
        self.mint(&run.subject, RUN_AUDIENCES.into(), now, expires, extra)
    }

    fn mint(
        &self,
        subject: &Subject,
        aud: BTreeSet<ServiceName>,
        now: Timestamp,
        expires: Timestamp,
        hrb: Extra,
    ) -> Result<Token, Error> {
        let claims = Claims {
            iss: ServiceName::Gateway,
            sub: subject.clone(),
            aud,
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: expires.as_secs(),
            hrb,
        };
        jws::sign(&self.0, TYPE, &claims).map(Token)
    }
}

/// Verifies tokens without asking anybody; remembers for half a minute those that it has verified.
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    roots: TrustRoots,
    verified: Arc<Mutex<Cache<[u8; 32], Arc<Claims>>>>,
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("sub", &self.sub)
            .finish_non_exhaustive()
    }
}

impl TokenVerifier {
    #[must_use]
    pub fn new(roots: TrustRoots) -> Self {
        Self {
            roots,
            verified: Arc::new(Mutex::new(Cache::new(CACHED_TOKENS))),
        }
    }

    /// For whom the bearer of `token` acts at `audience` at `now`.
    ///
    /// # Errors
    /// The gateway did not sign it, or it is for another service, expired, or not valid yet.
    pub fn verify(&self, token: &str, audience: ServiceName, now: Timestamp) -> Result<Principal, Error> {
        let key = to_array(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let known = self.verified.lock().get(&key, now);
        let claims = match known {
            Some(claims) => claims,
            None => {
                let claims: Claims = jws::verify(token, TYPE, &self.roots, ServiceName::Gateway, now)?;
                let claims = Arc::new(claims);
                check_form(&claims)?;
                self.verified.lock().insert(key, now, Arc::clone(&claims));
                claims
            }
        };
        if !claims.aud.contains(&audience) {
            return Err(Error::Audience);
        }
        jws::check_times(claims.iat, claims.nbf, claims.exp, now)?;
        Ok(principal(&claims))
    }
}

fn check_form(claims: &Claims) -> Result<(), Error> {
    if claims.iss != ServiceName::Gateway {
        return Err(Error::Claim("issuer"));
    }
    match claims.hrb {
        Extra::Person { .. } => {
            if claims.aud.len() != 1 {
                return Err(Error::Claim("number of audiences"));
            }
            let lifetime = claims.exp.saturating_sub(claims.iat);
            if i64::try_from(PERSON_LIFETIME.as_secs()).is_ok_and(|most| lifetime > most) {
                return Err(Error::Claim("lifetime"));
            }
        }
        Extra::Run { .. } => {
            if !claims.aud.iter().all(|service| RUN_AUDIENCES.contains(service)) {
                return Err(Error::Claim("audience"));
            }
        }
    }
    Ok(())
}

fn principal(claims: &Claims) -> Principal {
    let subject = claims.sub.clone();
    match claims.hrb.clone() {
        Extra::Person {
            tenant,
            roles,
            allow_self,
        } => Principal::Person(Person {
            tenant,
            subject,
            roles,
            allow_self,
        }),
        Extra::Run {
            tenant,
            agent,
            session,
            run,
        } => Principal::Run(RunPrincipal {
            tenant,
            subject,
            agent,
            session,
            run,
        }),
    }
}

/// A SHA-256 digest as an array.
pub(crate) fn to_array(digest: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(digest) {
        *to = *from;
    }
    array
}
