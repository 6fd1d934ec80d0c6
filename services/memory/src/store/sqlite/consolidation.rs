//! Consolidation on SQLite. Its writes wait in a lane of their own, so that they hold up nobody's.

use async_trait::async_trait;
use harombe_types::{SessionId, Timestamp};
use uuid::Uuid;

use super::memories::statements;
use super::{Lane, SqliteStore};
use crate::domain::consolidation::{Behind, Plan, Put, Putting, Segment, Taking, Told, Work};
use crate::domain::{Memory, Owner, Step};
use crate::error::Error;
use crate::store::consolidation::Consolidations;

#[async_trait]
impl Consolidations for SqliteStore {
    /// The file has one process: it always is.
    async fn hold(&self, _: Uuid, _: Timestamp, _: Timestamp) -> Result<bool, Error> {
        Ok(true)
    }

    /// Nobody waits for it.
    async fn let_go(&self, _: Uuid) -> Result<(), Error> {
        Ok(())
    }

    async fn behind(&self, limit: u32) -> Result<Vec<Behind>, Error> {
        self.read(|reader| Box::pin(statements::behind(reader, limit)))
            .await
    }

    async fn count_behind(&self) -> Result<u64, Error> {
        self.read(|reader| Box::pin(statements::count_behind(reader)))
            .await
    }

    async fn put_off(&self, owner: &Owner, now: Timestamp) -> Result<(), Error> {
        let owner = owner.clone();
        self.write_in(&Lane::Consolidation, move |tx| {
            Box::pin(async move { statements::put_off(tx, &owner, now).await })
        })
        .await
    }

    async fn alike(&self, owner: &Owner, keys: &[i64], limit: u32) -> Result<Vec<Memory>, Error> {
        let (owner, keys) = (owner.clone(), keys.to_vec());
        self.read(|reader| Box::pin(async move { statements::alike(reader, &owner, &keys, limit).await }))
            .await
    }

    async fn reach(&self, owner: &Owner, session: SessionId) -> Result<Option<u32>, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::reach(reader, &owner, session).await }))
            .await
    }

    async fn told(&self, owner: &Owner, segment: Segment) -> Result<Told, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::told(reader, &owner, segment).await }))
            .await
    }

    async fn turns(&self, owner: &Owner, segment: Segment, limit: u32) -> Result<Vec<Memory>, Error> {
        let owner = owner.clone();
        self.read(|reader| Box::pin(async move { statements::turns(reader, &owner, segment, limit).await }))
            .await
    }

    async fn consolidate(&self, plan: Plan) -> Result<Option<Vec<Step>>, Error> {
        self.write_in(&Lane::Consolidation, move |tx| {
            Box::pin(async move { statements::consolidate(tx, &plan).await })
        })
        .await
    }

    async fn take_work(&self, taking: Taking) -> Result<Option<Work>, Error> {
        let tenant = taking.owner.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::take_work(tx, &taking).await })
        })
        .await
    }

    async fn put_summary(&self, putting: Putting) -> Result<Put, Error> {
        let tenant = putting.run.tenant.clone();
        self.write(&tenant, move |tx| {
            Box::pin(async move { statements::put_summary(tx, &putting).await })
        })
        .await
    }
}
