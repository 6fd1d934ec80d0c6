//! Nobody calls what the auth option does not let them, and every refusal is told.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::{CertificateAuthority, TokenMinter, TokenVerifier};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_rpc::{BuildError, Deps, Door, RequestExt as _, Server};
use harombe_types::{Clock as _, Role, ServiceName};
use tonic::{Request, Status};

use crate::on_both_paths;
use crate::world::{NAME, World, person, run};

const LIST: &str = "/harombe.hitl.v1.ApprovalService/List";

async fn list(world: &World, caller: ServiceName, token: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(ListRequest::default());
    if let Some(token) = token {
        request = request.with_token(token);
    }
    ApprovalServiceClient::new(world.channel(caller))
        .list(request)
        .await
        .map(drop)
}

/// The call is refused like this, the handler never sees it, and the refusal is told.
fn check_refused(world: &World, caller: ServiceName, answer: Result<(), Status>, code: Code, reason: Reason) {
    let failure = Failure::from(answer.unwrap_err());
    assert_eq!((failure.code, failure.reason), (code, reason), "{failure:?}");
    assert_eq!(world.toy.begun(), 0);
    assert_eq!(world.refusals.take(), [(Some(caller), LIST.to_owned(), reason)]);
}

on_both_paths! {
    async fn callers_that_the_option_does_not_name_are_refused(world: World) {
        let token = world.approver();
        for caller in ServiceName::SERVICES {
            let answer = list(&world, caller, Some(token.as_str())).await;
            if caller == ServiceName::Gateway {
                answer.unwrap();
                world.toy.seen.begun.send_replace(0);
            } else {
                check_refused(&world, caller, answer, Code::PermissionDenied, Reason::NotAllowed);
            }
        }
    }

    async fn a_token_is_needed_where_the_option_asks_for_a_principal(world: World) {
        let gateway = ServiceName::Gateway;
        let answer = list(&world, gateway, None).await;
        check_refused(&world, gateway, answer, Code::Unauthenticated, Reason::Unauthenticated);
        for token in ["", "x", "a.b.c", &"y".repeat(6000)] {
            let answer = list(&world, gateway, Some(token)).await;
            check_refused(&world, gateway, answer, Code::Unauthenticated, Reason::Unauthenticated);
        }
    }

    async fn one_kind_of_principal_does_not_pass_for_another(world: World) {
        let gateway = ServiceName::Gateway;
        let answer = list(&world, gateway, Some(world.run_token().as_str())).await;
        check_refused(&world, gateway, answer, Code::PermissionDenied, Reason::NotAllowed);

        let mut client = EgressServiceClient::new(world.channel(ServiceName::Runtime));
        let request = Request::new(CheckRequest::default()).with_token(world.approver());
        let failure = Failure::from(client.check(request).await.unwrap_err());
        assert_eq!((failure.code, failure.reason), (Code::PermissionDenied, Reason::NotAllowed));
    }

    async fn one_of_the_roles_is_needed(world: World) {
        let gateway = ServiceName::Gateway;
        for roles in [&[][..], &[Role::User], &[Role::User, Role::Auditor]] {
            let answer = list(&world, gateway, Some(world.person_token(roles).as_str())).await;
            check_refused(&world, gateway, answer, Code::PermissionDenied, Reason::NotAllowed);
        }
        for roles in [&[Role::Admin][..], &[Role::User, Role::Approver]] {
            list(&world, gateway, Some(world.person_token(roles).as_str())).await.unwrap();
        }
    }

    async fn a_token_ends_with_its_time(world: World) {
        let token = world.approver();
        world.clock.advance(Duration::from_secs(120));
        let answer = list(&world, ServiceName::Gateway, Some(token.as_str())).await;
        check_refused(
            &world, ServiceName::Gateway, answer, Code::Unauthenticated, Reason::Unauthenticated,
        );
    }

    async fn a_token_for_another_service_is_refused(world: World) {
        let person = person(&[Role::Approver]);
        let token = world.minter().person(&person, ServiceName::Memory, world.clock.now()).unwrap();
        let answer = list(&world, ServiceName::Gateway, Some(token.as_str())).await;
        check_refused(
            &world, ServiceName::Gateway, answer, Code::Unauthenticated, Reason::Unauthenticated,
        );
    }

    async fn only_the_gateway_of_this_trust_domain_mints(world: World) {
        let person = person(&[Role::Approver]);
        let runtime = world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap();
        let elsewhere = CertificateAuthority::create("toy.test", &*world.clock).unwrap();
        let foreign = elsewhere.issue(ServiceName::Gateway, &*world.clock).unwrap();
        for signer in [runtime, foreign] {
            let Ok(token) = TokenMinter::new(signer).person(&person, NAME, world.clock.now()) else {
                continue;
            };
            let answer = list(&world, ServiceName::Gateway, Some(token.as_str())).await;
            check_refused(
                &world, ServiceName::Gateway, answer, Code::Unauthenticated, Reason::Unauthenticated,
            );
        }
    }

    async fn what_a_run_carries_is_what_the_handler_gets(world: World) {
        let token = world.run_token();
        let request = Request::new(CheckRequest::default()).with_token(&token);
        world.egress().check(request).await.unwrap();
        let principal = world.toy.seen.callers.lock()[0].principal.clone().unwrap();
        assert_eq!(principal.tenant(), &run().tenant);
        assert!(matches!(principal, harombe_types::Principal::Run(_)));
    }
}

/// A header cannot say who calls: there is no header that is asked.
#[tokio::test]
async fn a_client_at_an_internal_door_is_refused() {
    let world = World::in_process();
    let answer = list(&world, ServiceName::Client, Some(world.approver().as_str())).await;
    check_refused(
        &world,
        ServiceName::Client,
        answer,
        Code::PermissionDenied,
        Reason::NotAllowed,
    );
}

#[test]
fn a_service_that_no_proto_of_ours_describes_is_not_mounted() {
    let world = World::in_process();
    let (_, health) = tonic_health::server::health_reporter();
    let deps = Deps {
        metrics: world.metrics,
        door: Door::Internal(Arc::new(TokenVerifier::new(world.pki.roots().clone()))),
        clock: world.clock,
        refusals: world.refusals,
    };
    let built = Server::builder(NAME, deps).service(health).build();
    assert!(matches!(
        built,
        Err(BuildError::UnknownService("grpc.health.v1.Health"))
    ));
}
