//! `agent.v1.KeyService`.

use std::sync::Arc;

use harombe_proto::agent::v1::key_service_server::KeyService;
use harombe_proto::agent::v1::{
    self as public, CreateKeyRequest, CreateKeyResponse, ListKeysRequest, ListKeysResponse, RevokeKeyRequest,
    RevokeKeyResponse,
};
use harombe_rpc::CallerExt as _;
use harombe_types::{Person, Tenant, Timestamp};
use tonic::{Request, Response, Status};

use crate::Error;
use crate::domain::key::{Bearer, Key, KeyLimits};
use crate::domain::keys::Keys;
use crate::domain::secret::KeyId;
use crate::domain::uses::Uses;

pub(crate) struct KeyGrpc {
    pub(crate) keys: Arc<Keys>,
    pub(crate) uses: Arc<Uses>,
}

#[tonic::async_trait]
impl KeyService for KeyGrpc {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let person = request.person()?;
        let bearer = bearer(request.into_inner(), &person)?;
        let (key, secret) = self.keys.create(&person, bearer).await?;
        Ok(Response::new(CreateKeyResponse {
            key: Some(shown(key)),
            api_key: secret.reveal(),
        }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let person = request.person()?;
        let ListKeysRequest {
            limit,
            after_key_id,
            tenant,
        } = request.into_inner();
        let tenant = named(&tenant)?;
        let after = match after_key_id.as_str() {
            "" => None,
            id => Some(key_id(id)?),
        };
        let keys = self.keys.list(&person, tenant.as_ref(), limit, after).await?;
        Ok(Response::new(ListKeysResponse {
            keys: keys.into_iter().map(shown).collect(),
        }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let person = request.person()?;
        let RevokeKeyRequest { key_id: id, tenant } = request.into_inner();
        let (id, tenant) = (key_id(&id)?, named(&tenant)?);
        let revoked = self.keys.revoke(&person, tenant.as_ref(), &id).await;
        // Whether or not the log has it.
        if matches!(revoked, Ok(_) | Err(Error::Unrecorded(_))) {
            self.uses.end(&id);
        }
        Ok(Response::new(RevokeKeyResponse {
            key: Some(shown(revoked?)),
        }))
    }
}

/// Empty names none.
fn named(tenant: &str) -> Result<Option<Tenant>, Error> {
    match tenant {
        "" => Ok(None),
        tenant => Ok(Some(tenant.parse()?)),
    }
}

fn key_id(text: &str) -> Result<KeyId, Error> {
    text.parse().map_err(|_| Error::KeyId)
}

fn bearer(request: CreateKeyRequest, by: &Person) -> Result<Bearer, Error> {
    let limits = request.limits.unwrap_or_default();
    let roles = request.roles.iter().map(|role| role.parse());
    let agents = request.agents.iter().map(|agent| agent.parse());
    Ok(Bearer {
        tenant: named(&request.tenant)?.unwrap_or_else(|| by.tenant.clone()),
        name: request.name,
        subject: request.subject.parse()?,
        roles: roles.collect::<Result<_, _>>()?,
        agents: agents.collect::<Result<_, _>>()?,
        allow_self: request.allow_self,
        limits: KeyLimits {
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
            streams: limits.streams,
            messages_per_day: limits.messages_per_day,
        },
        expires_at: request.expires_at.as_ref().map(Timestamp::from),
    })
}

fn shown(key: Key) -> public::Key {
    let bearer = key.bearer;
    let (revoked_at, revoked_by) = match key.revoked {
        Some(revoked) => (Some(revoked.at.into()), revoked.by.to_string()),
        None => (None, String::new()),
    };
    public::Key {
        key_id: key.id.to_string(),
        tenant: bearer.tenant.to_string(),
        name: bearer.name,
        subject: bearer.subject.to_string(),
        roles: bearer.roles.iter().map(ToString::to_string).collect(),
        agents: bearer.agents.iter().map(ToString::to_string).collect(),
        allow_self: bearer.allow_self,
        limits: Some(public::KeyLimits {
            requests_per_second: bearer.limits.requests_per_second,
            burst: bearer.limits.burst,
            streams: bearer.limits.streams,
            messages_per_day: bearer.limits.messages_per_day,
        }),
        created_at: Some(key.created_at.into()),
        created_by: key.created_by,
        expires_at: bearer.expires_at.map(Into::into),
        revoked_at,
        revoked_by,
    }
}
