//! Who calls, and the key by which they came: what a handler knows beyond the person.

use std::sync::Arc;

use futures_util::StreamExt as _;
use harombe_rpc::CallerExt as _;
use harombe_types::Person;
use tonic::{Request, Response, Status};

use super::Answers;
use crate::Error;
use crate::domain::uses::{Live, Slot, Uses};
use crate::door::{Offered, offered};

pub(crate) struct Visitor {
    pub(crate) person: Person,
    /// `None` for the owner of the socket, who has no limits.
    pub(crate) key: Option<Arc<Live>>,
}

impl Visitor {
    /// The sender of a request that the door let in: what its headers show was verified there.
    pub(crate) fn of<T>(request: &Request<T>, uses: &Uses) -> Result<Self, Status> {
        let person = request.person()?;
        let key = match offered(request.metadata().as_ref()) {
            Offered::Nothing => None,
            Offered::Key(key) => Some(uses.get(key.id()).ok_or(Error::KeyEnded)?),
            Offered::Other => return Err(Error::KeyEnded.into()),
        };
        Ok(Self { person, key })
    }

    /// Whether they may use that agent.
    pub(crate) fn may_use(&self, agent: &str) -> bool {
        self.key.as_ref().is_none_or(|key| key.is_for(agent))
    }

    /// Whether they may use some agents only.
    pub(crate) fn is_scoped(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.is_scoped())
    }

    pub(crate) fn check_agent(&self, agent: &str) -> Result<(), Error> {
        if self.may_use(agent) {
            Ok(())
        } else {
            Err(Error::OtherAgent(agent.to_owned()))
        }
    }

    /// A place for a stream.
    pub(crate) fn slot(&self) -> Result<Option<Slot>, Error> {
        self.key.as_ref().map(|key| key.stream()).transpose()
    }

    /// A place for an upload or a download.
    pub(crate) fn transfer(&self) -> Result<Option<Slot>, Error> {
        self.key.as_ref().map(|key| key.transfer()).transpose()
    }
}

/// The stream in its place: the place is free when the stream ends, and the stream ends when the key does.
pub(crate) fn held<T>(slot: Option<Slot>, answers: Response<Answers<T>>) -> Response<Answers<T>>
where
    T: Send + 'static,
{
    let Some(slot) = slot else { return answers };
    answers.map(|answers| {
        let begun = Some((slot, answers));
        let held = futures_util::stream::unfold(begun, |state| async move {
            let (slot, mut answers) = state?;
            tokio::select! {
                biased;
                () = slot.ended() => Some((Err(Error::KeyEnded.into()), None)),
                item = answers.next() => item.map(|item| (item, Some((slot, answers)))),
            }
        });
        Box::pin(held) as Answers<T>
    })
}
