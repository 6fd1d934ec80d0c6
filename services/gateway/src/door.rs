//! Who comes through the door in the embedded profile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_error::{Code, Failure, Reason};
use harombe_rpc::{Authenticator, InProcess};
use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{Clock, Person, ServiceName, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use tonic::transport::server::UdsConnectInfo;

use crate::domain::owner::admits;

/// A user who is turned away again this soon is not recorded again; the refusals are counted all the same.
const RECORD_EVERY: Duration = Duration::from_secs(10);
/// Users remembered for that.
const REMEMBERED: usize = 1024;

/// Takes every process of the socket's owner for the one person of the embedded profile, and nobody else.
pub struct SocketOwner {
    /// User id of the process that owns the socket.
    uid: u32,
    person: Person,
    trail: Trail,
    clock: Arc<dyn Clock>,
    recorded: Mutex<HashMap<Option<u32>, Timestamp>>,
}

impl SocketOwner {
    /// `uid` is the user id of this process; `person` is whom the owner is taken for.
    #[must_use]
    pub fn new(uid: u32, person: Person, trail: Trail, clock: Arc<dyn Clock>) -> Self {
        Self {
            uid,
            person,
            trail,
            clock,
            recorded: Mutex::default(),
        }
    }

    async fn turn_away(&self, peer: Option<u32>) -> Failure {
        if self.is_news(peer) {
            let event = Event::new(Kind::LoginRefused, &self.person.tenant)
                .outcome(Outcome::Denied)
                .details(json!({"door": "socket", "uid": peer}));
            // Refused it is in any case; the refusal does not wait for the log to come back.
            if let Err(error) = self.trail.record(event).await {
                tracing::error!(%error, uid = peer, "a refused login could not be recorded");
            }
        }
        let message = "this socket is for the user who started harombe";
        Failure::new(Code::Unauthenticated, Reason::Unauthenticated, message)
    }

    fn is_news(&self, peer: Option<u32>) -> bool {
        let now = self.clock.now();
        let mut recorded = self.recorded.lock();
        if recorded
            .get(&peer)
            .is_some_and(|at| *at <= now && now < at.plus(RECORD_EVERY))
        {
            return false;
        }
        if recorded.len() >= REMEMBERED {
            recorded.clear();
        }
        recorded.insert(peer, now);
        true
    }
}

#[async_trait]
impl Authenticator for SocketOwner {
    async fn authenticate(&self, parts: &http::request::Parts) -> Result<Person, Failure> {
        // The composition's own command line, in this very process.
        if parts.extensions.get::<InProcess>() == Some(&InProcess(ServiceName::Client)) {
            return Ok(self.person.clone());
        }
        let credentials = parts
            .extensions
            .get::<UdsConnectInfo>()
            .and_then(|info| info.peer_cred);
        let peer = credentials.map(|credentials| credentials.uid());
        if admits(self.uid, peer) {
            Ok(self.person.clone())
        } else {
            Err(self.turn_away(peer).await)
        }
    }
}
