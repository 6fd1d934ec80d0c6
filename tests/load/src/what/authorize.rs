//! LOW calls authorized as runtime asks for them: classified, granted, and recorded durably.

use std::sync::Arc;
use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_proto::hitl::v1::AuthorizeRequest;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::{CallId, Clock as _, RunId, RunPrincipal, ServiceName, SessionId, SystemClock};
use serde_json::json;
use tonic::Request;

use super::Result;
use crate::measure::{self, Report};
use crate::what::world::World;
use crate::{Plan, raw};

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let clock = SystemClock;
    let run = RunPrincipal {
        tenant: "local".parse()?,
        subject: "load".parse()?,
        agent: "default".parse()?,
        session: SessionId::generate(&clock),
        run: RunId::generate(&clock),
    };
    let lasts = plan.warmup + plan.time + Duration::from_secs(60);
    let token = world.minter()?.run(&run, clock.now().plus(lasts), clock.now())?;
    let caller = Arc::new(Caller {
        client: AuthorizationServiceClient::new(world.channel(ServiceName::Hitl, ServiceName::Runtime)?),
        token: token.as_ref().to_owned(),
        run,
    });
    let report = measure::run(plan, move || {
        let caller = Arc::clone(&caller);
        async move { measure::timed(caller.authorize()).await }
    })
    .await;
    world.close().await;
    Ok(report.with("fdatasync_p50_us", fdatasync))
}

struct Caller {
    client: AuthorizationServiceClient<GrpcChannel>,
    token: String,
    run: RunPrincipal,
}

impl Caller {
    async fn authorize(&self) -> bool {
        let (run, call) = (
            self.run.run.to_string(),
            CallId::generate(&SystemClock).to_string(),
        );
        let args = json!({ "path": "reports/2025/orders-by-region.csv" });
        let parts = CallParts {
            tenant: self.run.tenant.as_str(),
            agent: self.run.agent.as_str(),
            run: &run,
            call: &call,
            tool: "file_read",
            args: &args,
        };
        let Ok(call) = CanonicalCall::new(parts) else {
            return false;
        };
        let request = AuthorizeRequest {
            call: call.bytes().to_vec().into(),
            model_risk: 0,
        };
        let request = Request::new(request).with_token(&self.token);
        let answer = self.client.clone().authorize(request).await;
        answer.is_ok_and(|answer| matches!(answer.into_inner().outcome, Some(Outcome::Granted(_))))
    }
}
