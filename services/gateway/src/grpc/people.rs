//! `agent.v1.PeopleService`.

use std::sync::Arc;

use harombe_proto::agent::v1::people_service_server::PeopleService;
use harombe_proto::agent::v1::{ErasePersonRequest, ErasePersonResponse};
use harombe_types::Subject;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::Workspaces;
use super::erasure::Erasure;
use crate::Error;
use crate::domain::keys::Keys;
use crate::peers::Peers;

pub(crate) struct PeopleGrpc {
    pub(crate) peers: Peers,
    pub(crate) keys: Arc<Keys>,
    pub(crate) workspaces: Workspaces,
    /// Cancelled when the gateway stops.
    pub(crate) stop: CancellationToken,
}

#[tonic::async_trait]
impl PeopleService for PeopleGrpc {
    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<ErasePersonResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let subject: Subject = request.get_ref().subject.parse().map_err(Error::Name)?;
        // Their key would be revoked under their feet, and whoever found it could leave nobody to look into it.
        if visitor.key.is_some() && visitor.person.subject == subject {
            return Err(Error::OwnPerson.into());
        }
        let erasure = Erasure {
            peers: &self.peers,
            keys: &self.keys,
            workspaces: &self.workspaces,
            stop: &self.stop,
            by: visitor.person,
            subject,
            erased: ErasePersonResponse::default(),
        };
        erasure.carry_out().await.map(Response::new)
    }
}
