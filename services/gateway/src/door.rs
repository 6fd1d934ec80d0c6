//! Who comes through the door: the owner of the socket, and whoever has an API key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_error::{Code, Failure, Reason, ServiceError as _, to_status};
use harombe_rpc::{Authenticator, InProcess, PeerAddr, Place};
use harombe_trail::Trail;
use harombe_types::{Person, ServiceName, Tenant};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::{Value, json};
use tonic::transport::server::UdsConnectInfo;

use crate::Error;
use crate::domain::key::Unfit;
use crate::domain::keys::{Keys, login_refused};
use crate::domain::logins::{Failed, Logins, Origin};
use crate::domain::owner::admits;
use crate::domain::secret::{ApiKey, KeyId};
use crate::domain::uses::Uses;
use crate::metrics::{Limited, Numbers};

/// As SDKs of some providers send it.
const KEY_HEADER: &str = "x-api-key";
/// Until a lane is worth another try.
const BUSY: Duration = Duration::from_secs(1);

/// What a request shows of its sender.
#[derive(Debug)]
pub(crate) enum Offered {
    Nothing,
    Key(ApiKey),
    /// Something that is no key of ours.
    Other,
}

/// The key in a request's headers.
pub(crate) fn offered(headers: &HeaderMap) -> Offered {
    let text = match headers.get(AUTHORIZATION) {
        Some(value) => value.to_str().ok().and_then(bearer),
        None => match headers.get(KEY_HEADER) {
            Some(value) => value.to_str().ok(),
            None => return Offered::Nothing,
        },
    };
    match text.map(str::parse) {
        Some(Ok(key)) => Offered::Key(key),
        _ => Offered::Other,
    }
}

/// The credentials of `Bearer`, whose name is written in any case (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credentials) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credentials.trim_start_matches(' '))
}

/// The owner of the socket.
pub(crate) struct Owner {
    /// User id of the process that owns it.
    pub(crate) uid: u32,
    /// Whom the owner is taken for.
    pub(crate) person: Person,
}

/// Lets people in, or turns them away and says so in the log.
pub(crate) struct FrontDoor {
    pub(crate) owner: Owner,
    pub(crate) keys: Arc<Keys>,
    pub(crate) uses: Arc<Uses>,
    pub(crate) logins: Logins,
    pub(crate) trail: Trail,
    pub(crate) numbers: Numbers,
}

/// Why somebody is turned away.
struct Why {
    /// For the log.
    word: &'static str,
    /// For who knocks.
    message: &'static str,
    /// In whose log it is of interest.
    tenant: Option<Tenant>,
    key: Option<KeyId>,
}

impl FrontDoor {
    async fn by_key(&self, offered: &ApiKey, origin: Origin) -> Result<Person, Failure> {
        let lane = match self.logins.wait(origin) {
            Some(_) if self.uses.get(offered.id()).is_none() => match self.logins.lane() {
                Some(lane) => Some(lane),
                None => return Err(self.slow_down(BUSY)),
            },
            _ => None,
        };
        let found = self.keys.find(offered).await.map_err(|error| failure(&error))?;
        drop(lane);
        let key = match found {
            Ok(key) => key,
            Err(unfit) => {
                self.uses_end(&unfit, offered.id());
                return Err(self.turn_away(origin, Why::unfit(unfit, offered.id())).await);
            }
        };
        self.uses.of(&key).request().map_err(|error| failure(&error))?;
        Ok(key.bearer.person())
    }

    /// What a key has open that was good before ends with it. A wrong secret ends nothing.
    fn uses_end(&self, unfit: &Unfit, id: &KeyId) {
        if *unfit != Unfit::Unknown {
            self.uses.end(id);
        }
    }

    fn slow_down(&self, wait: Duration) -> Failure {
        self.numbers.limited(Limited::Logins);
        let message = "too many logins from this address have failed";
        let mut failure = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, message);
        failure.retry_after = Some(wait);
        failure
    }

    async fn turn_away(&self, origin: Origin, why: Why) -> Failure {
        self.numbers.refused(why.word);
        let Failed { record, wait } = self.logins.failed(origin);
        if let Some(attempts) = record {
            let tenant = why.tenant.as_ref().unwrap_or(&self.keys.operator);
            let event = login_refused(tenant, details(origin, &why, attempts));
            // Refused it is in any case; the refusal does not wait for the log to come back.
            if let Err(error) = self.trail.record(event).await {
                tracing::error!(%error, ?origin, "a refused login could not be recorded");
            }
        }
        match (wait, origin) {
            // At a socket it is the kernel that says who knocks: there is nothing to guess.
            (Some(wait), Origin::Address(_) | Origin::Rest) => self.slow_down(wait),
            _ => Failure::new(Code::Unauthenticated, Reason::Unauthenticated, why.message),
        }
    }
}

#[async_trait]
impl Authenticator for FrontDoor {
    async fn authenticate(&self, parts: &Parts) -> Result<Person, Failure> {
        let origin = origin(parts);
        match offered(&parts.headers) {
            Offered::Key(key) => return self.by_key(&key, origin).await,
            Offered::Other => return Err(self.turn_away(origin, Why::malformed()).await),
            Offered::Nothing => {}
        }
        // The composition's own command line, in this very process.
        if parts.extensions.get::<InProcess>() == Some(&InProcess(ServiceName::Client)) {
            return Ok(self.owner.person.clone());
        }
        match origin {
            Origin::Socket(peer) if admits(self.owner.uid, peer) => Ok(self.owner.person.clone()),
            Origin::Socket(_) => Err(self.turn_away(origin, Why::stranger()).await),
            Origin::Address(_) | Origin::Rest => Err(self.turn_away(origin, Why::no_key()).await),
        }
    }

    /// The owner of the socket has as many as they like.
    fn place(&self, parts: &Parts) -> Result<Option<Place>, Failure> {
        let Offered::Key(key) = offered(&parts.headers) else {
            return Ok(None);
        };
        let live = self.uses.get(key.id()).ok_or(Error::KeyEnded);
        let place = live.and_then(|live| live.call());
        place
            .map(|place| Some(Box::new(place) as Place))
            .map_err(|error| failure(&error))
    }
}

fn origin(parts: &Parts) -> Origin {
    if let Some(PeerAddr(peer)) = parts.extensions.get::<PeerAddr>() {
        return Origin::address(peer.ip());
    }
    let info = parts.extensions.get::<UdsConnectInfo>();
    let credentials = info.and_then(|info| info.peer_cred);
    Origin::Socket(credentials.map(|credentials| credentials.uid()))
}

impl Why {
    fn stranger() -> Self {
        Self {
            word: "stranger",
            message: "this socket is for the user who started harombe",
            tenant: None,
            key: None,
        }
    }

    fn no_key() -> Self {
        Self {
            word: "no key",
            message: "an API key is needed, as authorization: Bearer hrb_…",
            tenant: None,
            key: None,
        }
    }

    fn malformed() -> Self {
        Self {
            word: "malformed",
            message: "this is no API key; one begins with hrb_ and is sent as authorization: Bearer or x-api-key",
            tenant: None,
            key: None,
        }
    }

    fn unfit(unfit: Unfit, id: &KeyId) -> Self {
        let (word, message, tenant) = match unfit {
            Unfit::Unknown => ("unknown", "this API key is not known", None),
            Unfit::Expired(tenant) => ("expired", "this API key has expired", Some(tenant)),
            Unfit::Revoked(tenant) => ("revoked", "this API key was revoked", Some(tenant)),
        };
        Self {
            word,
            message,
            tenant,
            key: Some(id.clone()),
        }
    }
}

fn details(origin: Origin, why: &Why, attempts: u64) -> Value {
    let mut details = match origin {
        Origin::Socket(uid) => json!({"door": "socket", "uid": uid}),
        Origin::Address(ip) => json!({"door": "network", "peer": ip.to_string()}),
        Origin::Rest => json!({"door": "network", "peer": "several"}),
    };
    if let Some(object) = details.as_object_mut() {
        object.insert("why".to_owned(), why.word.into());
        if let Some(key) = &why.key {
            object.insert("key_id".to_owned(), key.as_str().into());
        }
        if attempts > 1 {
            object.insert("attempts".to_owned(), attempts.into());
        }
    }
    details
}

/// As it is sent; an internal error keeps its cause to itself.
fn failure(error: &Error) -> Failure {
    if error.code() == Code::Internal {
        return Failure::from(&to_status(error));
    }
    let mut failure = Failure::new(error.code(), error.reason(), error.to_string());
    failure.retry_after = error.retry_after();
    failure
}

#[cfg(test)]
mod tests;
