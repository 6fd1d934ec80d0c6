//! Making, finding and revoking keys. What opens a door leaves its record first, and what closes one closes it first.

use std::sync::Arc;
use std::time::Duration;

use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{Clock, EventId, Person, Principal, Subject, Tenant, Timestamp};
use serde_json::{Value, json};

use super::key::{Bearer, Key, Revocation, Revoker, Unfit};
use super::secret::{ApiKey, KeyId};
use crate::Error;
use crate::store::{First, Store};

/// A key that was begun this long ago and is not in use belongs to a gateway that died meanwhile.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
/// A revocation is left to whoever revokes this long before somebody else sees to its record.
const SETTLING: Duration = Duration::from_secs(30);
const LISTED: u32 = 100;
const MOST_LISTED: u32 = 1000;
const SETTLED_AT_ONCE: u32 = 100;

pub(crate) struct Keys {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) trail: Trail,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) operator: Tenant,
}

/// How the first key of an installation came to be, or did not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstKey {
    /// It may be used now.
    Ready,
    /// There are other keys.
    NotNeeded,
}

impl Keys {
    /// A new key for `bearer`. It opens nothing before the log has it.
    pub(crate) async fn create(&self, by: &Person, bearer: Bearer) -> Result<(Key, ApiKey), Error> {
        if bearer.tenant != by.tenant && by.tenant != self.operator {
            return Err(Error::OtherTenant);
        }
        let now = self.clock.now();
        bearer.check(now)?;
        let secret = ApiKey::generate()?;
        let key = Key {
            id: secret.id().clone(),
            digest: secret.digest(),
            bearer,
            created_at: now,
            created_by: format!("{}/{}", by.tenant, by.subject),
            revoked: None,
        };
        self.store.add(&key, self.abandoned(now)).await?;
        if let Err(error) = self.record_created(&key, by).await {
            self.drop_unused(&key.id).await;
            return Err(error.into());
        }
        self.store.activate(&key.id).await?;
        Ok((key, secret))
    }

    /// The keys of `tenant`, or of the person's own.
    pub(crate) async fn list(
        &self,
        by: &Person,
        tenant: Option<&Tenant>,
        limit: u32,
        after: Option<KeyId>,
    ) -> Result<Vec<Key>, Error> {
        let tenant = self.within_reach(by, tenant).ok_or(Error::NoSuchTenant)?;
        let limit = match limit {
            0 => LISTED,
            limit => limit.min(MOST_LISTED),
        };
        self.store.list(tenant, limit, after.as_ref()).await
    }

    /// No gateway takes the key any more once this is in the store, whether or not the log can be reached.
    pub(crate) async fn revoke(
        &self,
        by: &Person,
        tenant: Option<&Tenant>,
        id: &KeyId,
    ) -> Result<Key, Error> {
        let tenant = self.within_reach(by, tenant).ok_or(Error::NoSuchKey)?;
        let revocation = Revocation {
            at: self.clock.now(),
            by: Revoker {
                tenant: (*tenant != by.tenant).then(|| by.tenant.clone()),
                subject: by.subject.clone(),
            },
            event: EventId::generate(&*self.clock),
            recorded: false,
        };
        let key = self.store.revoke(tenant, id, &revocation).await?;
        let key = key.ok_or(Error::NoSuchKey)?;
        self.record_revoked(&key).await.map_err(Error::Unrecorded)?;
        Ok(key)
    }

    /// The keys of a person of one's own tenant that are not revoked, or whose revocation the log may not have.
    pub(crate) async fn to_revoke(&self, by: &Person, subject: &Subject) -> Result<Vec<Key>, Error> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(&by.tenant, MOST_LISTED, after.as_ref()).await?;
            let last = page.last().map(|key| key.id.clone());
            let full = page.len() >= usize::try_from(MOST_LISTED).unwrap_or(usize::MAX);
            let settled = |key: &Key| key.revoked.as_ref().is_some_and(|revoked| revoked.recorded);
            let theirs = |key: &Key| key.bearer.subject == *subject && !settled(key);
            found.extend(page.into_iter().filter(theirs));
            match last {
                Some(last) if full => after = Some(last),
                _ => return Ok(found),
            }
        }
    }

    /// The key whose secret this is, if it may be used now.
    pub(crate) async fn find(&self, offered: &ApiKey) -> Result<Result<Key, Unfit>, Error> {
        let Some(key) = self.store.find(offered.id()).await? else {
            return Ok(Err(Unfit::Unknown));
        };
        if !key.digest.matches(&offered.digest()) {
            return Ok(Err(Unfit::Unknown));
        }
        Ok(key.fit(self.clock.now()).map(|()| key))
    }

    /// Whether a key that was good is good still.
    pub(crate) async fn is_fit(&self, id: &KeyId) -> Result<bool, Error> {
        let key = self.store.find(id).await?;
        Ok(key.is_some_and(|key| key.fit(self.clock.now()).is_ok()))
    }

    /// Puts the first key of an installation in force, unless there are others. Of several gateways that try at the same
    /// time one succeeds; whoever died half way may try again with the same key.
    pub(crate) async fn admit_first(&self, secret: &ApiKey, bearer: Bearer) -> Result<FirstKey, Error> {
        let now = self.clock.now();
        let created_by = format!("{}/{}", bearer.tenant, bearer.subject);
        let key = Key {
            id: secret.id().clone(),
            digest: secret.digest(),
            bearer,
            created_at: now,
            created_by,
            revoked: None,
        };
        match self.store.add_first(&key, self.abandoned(now)).await? {
            First::Kept => {
                let event = Event::new(Kind::KeyCreated, &key.bearer.tenant).details(created_details(&key));
                self.trail.record(event).await?;
                self.store.activate(&key.id).await?;
                Ok(FirstKey::Ready)
            }
            First::Active => Ok(FirstKey::Ready),
            First::Others => Ok(FirstKey::NotNeeded),
        }
    }

    /// Whether nobody has made a key yet, or is about to.
    pub(crate) async fn is_empty(&self) -> Result<bool, Error> {
        self.store.is_empty(self.abandoned(self.clock.now())).await
    }

    /// Whether some key has come into force, be it revoked by now.
    pub(crate) async fn any_in_force(&self) -> Result<bool, Error> {
        let none = self.store.is_empty(Timestamp::from_millis(i64::MAX)).await?;
        Ok(!none)
    }

    /// Records revocations whose gateway did not come to it.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(millis(SETTLING)));
        for key in self.store.unrecorded(before, SETTLED_AT_ONCE).await? {
            self.record_revoked(&key).await?;
        }
        Ok(())
    }

    /// The tenant that is meant; there is no other than one's own but to the operator's admins.
    fn within_reach<'a>(&self, by: &'a Person, asked: Option<&'a Tenant>) -> Option<&'a Tenant> {
        let tenant = asked.unwrap_or(&by.tenant);
        (*tenant == by.tenant || by.tenant == self.operator).then_some(tenant)
    }

    fn abandoned(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_sub(millis(ABANDONED)))
    }

    async fn record_created(&self, key: &Key, by: &Person) -> Result<(), harombe_trail::Error> {
        let tenant = &key.bearer.tenant;
        let principal = Principal::Person(by.clone());
        let own = Event::new(Kind::KeyCreated, &by.tenant).principal(&principal);
        if *tenant != by.tenant {
            // Their own log says so too; there the operator's people are nobody whose data key could seal it.
            let theirs = Event::new(Kind::KeyCreated, tenant).details(created_details(key));
            self.trail.record(theirs).await?;
        }
        self.trail.record(own.details(created_details(key))).await
    }

    async fn record_revoked(&self, key: &Key) -> Result<(), harombe_trail::Error> {
        let Some(revocation) = key.revoked.as_ref().filter(|revocation| !revocation.recorded) else {
            return Ok(());
        };
        let Revoker { tenant, subject } = &revocation.by;
        let details = json!({
            "key_id": key.id.as_str(),
            "by": revocation.by.to_string(),
            "person": key.bearer.subject.as_str(),
        });
        let event = Event::new(Kind::KeyRevoked, &key.bearer.tenant)
            .id(revocation.event)
            .at(revocation.at);
        let event = match tenant {
            None => event.subject(subject),
            Some(operator) => {
                let mut details = details.clone();
                details["tenant"] = key.bearer.tenant.as_str().into();
                let own = Event::new(Kind::KeyRevoked, operator)
                    .id(twin(revocation.event))
                    .at(revocation.at)
                    .subject(subject);
                self.trail.record(own.details(details)).await?;
                // Their own log says so too, as of one that was made for them.
                event
            }
        };
        self.trail.record(event.details(details)).await?;
        // It is in the log; if that cannot be noted it is told to the log once more, under the same id.
        if let Err(error) = self.store.revocation_recorded(&key.id).await {
            tracing::warn!(%error, key = %key.id, "a recorded revocation could not be noted");
        }
        Ok(())
    }

    async fn drop_unused(&self, id: &KeyId) {
        // It opens nothing as it is; the next key that is made sweeps it away.
        if let Err(error) = self.store.discard(id).await {
            tracing::warn!(%error, key = %id, "a key that was not made could not be removed");
        }
    }
}

/// Another id, and for the same one always the same: a revocation may be recorded in two logs.
fn twin(event: EventId) -> EventId {
    let mut text = event.to_string();
    let last = if text.pop() == Some('0') { '1' } else { '0' };
    text.push(last);
    text.parse().unwrap_or(event)
}

/// The event of a login that was refused.
pub(crate) fn login_refused(tenant: &Tenant, details: Value) -> Event {
    Event::new(Kind::LoginRefused, tenant)
        .outcome(Outcome::Denied)
        .details(details)
}

fn created_details(key: &Key) -> Value {
    let bearer = &key.bearer;
    let roles: Vec<_> = bearer.roles.iter().map(|role| role.as_str()).collect();
    json!({
        "key_id": key.id.as_str(),
        "name": bearer.name,
        "tenant": bearer.tenant.as_str(),
        "person": bearer.subject.as_str(),
        "roles": roles,
        "agents": bearer.agents.iter().map(|agent| agent.as_str()).collect::<Vec<_>>(),
        "allow_self": bearer.allow_self,
        "expires_at": bearer.expires_at.map(|expires| expires.to_string()),
        "by": key.created_by,
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
