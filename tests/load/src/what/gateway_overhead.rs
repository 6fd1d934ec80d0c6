//! What the gateway itself adds to a call: a session read from memory as the gateway reads it, over mutual TLS, in turn with
//! the same through the public door, where a key is looked up, a token minted, and the same call made.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_proto::agent::v1::GetSessionRequest;
use harombe_proto::memory::v1::GetSessionRequest as Direct;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_rpc::{Balanced, GrpcChannel, RequestExt as _};
use harombe_types::{Clock as _, Person, Role, ServiceName, SystemClock};
use tonic::Request;

use super::Result;
use super::message::begin;
use super::world::{SCRIPT, World};
use crate::measure::{Report, micros, nanos, quantile};
use crate::{Plan, raw};

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::processes(plan, SCRIPT).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let mut ways = Ways::open(&world).await?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    let from = Instant::now() + plan.warmup;
    let until = from + plan.time;
    while Instant::now() < until {
        let (one, other) = (ways.direct().await?, ways.through().await?);
        if Instant::now() >= from {
            direct.push(nanos(one));
            through.push(nanos(other));
        }
    }
    drop(ways);
    world.close().await;
    direct.sort_unstable();
    through.sort_unstable();
    let spent: u64 = through.iter().sum();
    let (inner, outer) = (quantile(&direct, 0.5), quantile(&through, 0.5));
    Ok(Report::of(through, Duration::from_nanos(spent))
        .with("direct_p50_us", micros(inner))
        .with("overhead_p50_us", micros(outer.saturating_sub(inner)))
        .with("fdatasync_p50_us", fdatasync))
}

/// Both ways to the same session.
struct Ways {
    session: String,
    person: Person,
    minter: TokenMinter,
    memory: ConversationServiceClient<GrpcChannel>,
    door: harombe::attach::Client,
}

impl Ways {
    async fn open(world: &World) -> Result<Self> {
        let cluster = world.cluster()?;
        let keys = cluster.identity(ServiceName::Gateway);
        let identity = ServiceIdentity::load(&keys, SystemClock.now())?;
        let target = cluster.uri(ServiceName::Memory)?;
        let target = target.authority().ok_or("memory has no address")?.to_string();
        // As the gateway itself is connected.
        let memory = GrpcChannel::balanced(&Balanced {
            targets: vec![target],
            identity: identity.clone(),
            server: ServiceName::Memory,
            resolve_every: Duration::from_secs(10),
        })?;
        let mut door = world.client()?;
        Ok(Self {
            session: begin(&mut door).await?,
            person: Person {
                tenant: "local".parse()?,
                subject: cluster.subject.parse()?,
                roles: BTreeSet::from(Role::ALL),
                allow_self: true,
            },
            minter: TokenMinter::new(identity),
            memory: ConversationServiceClient::new(memory),
            door,
        })
    }

    /// Only the call is timed: memory has not seen the token before, as it has not seen the gateway's.
    async fn direct(&mut self) -> Result<Duration> {
        let token = self
            .minter
            .person(&self.person, ServiceName::Memory, SystemClock.now())?;
        let request = Direct {
            session_id: self.session.clone(),
        };
        let request = Request::new(request).with_token(&token);
        let began = Instant::now();
        self.memory.get_session(request).await?;
        Ok(began.elapsed())
    }

    async fn through(&mut self) -> Result<Duration> {
        let request = GetSessionRequest {
            session_id: self.session.clone(),
        };
        let began = Instant::now();
        self.door.agent.get_session(request).await?;
        Ok(began.elapsed())
    }
}
