//! Every method of every service refuses whoever its auth option does not name: walked, not listed.

use std::time::Duration;

use harombe_e2e::{Stage, Topology, World, reason_of};
use harombe_error::Reason;
use harombe_proto::options::v1::PrincipalKind;
use harombe_types::{
    Clock as _, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, SystemClock, Tenant,
};
use tonic::Code;

use crate::descriptors::{Method, methods};
use crate::support::{ANSWER, start};

both!(every_method_refuses_whom_its_option_does_not_name);

const EVERYBODY: [ServiceName; 8] = [
    ServiceName::Gateway,
    ServiceName::Runtime,
    ServiceName::Memory,
    ServiceName::SandboxBroker,
    ServiceName::EgressProxy,
    ServiceName::Hitl,
    ServiceName::Audit,
    ServiceName::Client,
];

fn tenant() -> Tenant {
    "local".parse().unwrap()
}

fn person_token(world: &World, roles: &[Role], audience: ServiceName) -> String {
    let person = Person {
        tenant: tenant(),
        subject: "owner".parse().unwrap(),
        roles: roles.iter().copied().collect(),
        allow_self: false,
    };
    let minted = world.minter().person(&person, audience, SystemClock.now());
    minted.unwrap().into()
}

fn run_token(world: &World) -> String {
    let run = RunPrincipal {
        tenant: tenant(),
        subject: "owner".parse().unwrap(),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(&SystemClock),
        run: RunId::generate(&SystemClock),
    };
    let now = SystemClock.now();
    let minted = world.minter().run(&run, now.plus(Duration::from_secs(60)), now);
    minted.unwrap().into()
}

/// One walk's world, and how many refusals it saw.
struct Walk {
    world: World,
    /// Over the network nobody comes in without a service's certificate.
    apart: bool,
    refused: usize,
}

impl Walk {
    async fn refuses(&mut self, method: &Method, caller: ServiceName, token: Option<&str>, expected: Reason) {
        let channel = self.world.channel(method.server, caller).unwrap();
        let code = match expected {
            Reason::Unauthenticated => Code::Unauthenticated,
            _ => Code::PermissionDenied,
        };
        let status = method
            .call(channel, token)
            .await
            .expect_err(&format!("{} let {caller} in", method.path));
        assert_eq!(
            (status.code(), reason_of(&status)),
            (code, expected),
            "{} to {caller}: {status}",
            method.path
        );
        self.refused += 1;
    }

    async fn internal(&mut self, method: &Method) {
        let audience = method.server;
        let run = run_token(&self.world);
        let everything = person_token(&self.world, &Role::ALL, audience);
        for caller in EVERYBODY {
            if self.apart && caller == ServiceName::Client {
                continue;
            }
            if !method.callers.contains(&caller) {
                // Whatever it shows. A caller that may not call is told that first.
                for token in [None, Some(run.as_str()), Some(everything.as_str())] {
                    self.refuses(method, caller, token, Reason::NotAllowed).await;
                }
                continue;
            }
            let other_kind = match method.principal {
                PrincipalKind::Run => &everything,
                PrincipalKind::Person => &run,
                // A service that speaks for itself shows nothing.
                PrincipalKind::None => continue,
                PrincipalKind::Unspecified => panic!("{} names no principal", method.path),
            };
            self.refuses(method, caller, None, Reason::Unauthenticated).await;
            self.refuses(method, caller, Some("nonsense"), Reason::Unauthenticated)
                .await;
            // Runs have no business with audit: their tokens are not for it.
            let for_it = method.server != ServiceName::Audit;
            let reason = if for_it {
                Reason::NotAllowed
            } else {
                Reason::Unauthenticated
            };
            self.refuses(method, caller, Some(other_kind), reason).await;
            if method.principal == PrincipalKind::Person {
                self.person(method, caller).await;
            }
        }
    }

    async fn person(&mut self, method: &Method, caller: ServiceName) {
        assert!(!method.roles.is_empty(), "{} asks for no role", method.path);
        let others: Vec<_> = Role::ALL
            .into_iter()
            .filter(|role| !method.roles.contains(role))
            .collect();
        let without = person_token(&self.world, &others, method.server);
        self.refuses(method, caller, Some(&without), Reason::NotAllowed)
            .await;
        // A token is for one service only.
        for audience in ServiceName::SERVICES {
            if audience != method.server {
                let elsewhere = person_token(&self.world, &Role::ALL, audience);
                self.refuses(method, caller, Some(&elsewhere), Reason::Unauthenticated)
                    .await;
            }
        }
    }

    /// At the public door nobody is believed who is not at the socket; no token changes that.
    async fn public(&mut self, method: &Method) {
        let token = person_token(&self.world, &Role::ALL, ServiceName::Gateway);
        for caller in ServiceName::SERVICES {
            for token in [None, Some(token.as_str())] {
                self.refuses(method, caller, token, Reason::Unauthenticated).await;
            }
        }
    }
}

async fn every_method_refuses_whom_its_option_does_not_name(stage: &Stage) {
    // Refusals are counted for ten seconds by the clock, and here other callers come in than over the network.
    stage.leave_out("rpc.refused");
    let world = start(stage, ANSWER).await;
    let apart = stage.topology() == Topology::Processes;
    let mut walk = Walk {
        world,
        apart,
        refused: 0,
    };
    let methods = methods();
    assert!(methods.len() > 40, "{} methods are not all", methods.len());
    for method in &methods {
        if method.server == ServiceName::Gateway {
            // Over the network it is the gateway's own tests that come with every kind of key.
            if !apart {
                walk.public(method).await;
            }
        } else {
            walk.internal(method).await;
        }
    }
    println!("{} methods refused {} calls", methods.len(), walk.refused);
    let log = walk.world.stop().await.log().await;
    // One entry for each caller, method and reason, not one for each attempt.
    let recorded = log.count("rpc.refused");
    assert!((100..walk.refused).contains(&recorded), "{recorded}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_door_leads_to_nothing_internal() {
    let world = start(Topology::Embedded, ANSWER).await;
    let mut closed = 0;
    for mut method in methods() {
        if method.callers.contains(&ServiceName::Client)
            || (method.principal == PrincipalKind::Person && method.callers.contains(&ServiceName::Gateway))
        {
            continue;
        }
        method.server = ServiceName::Gateway;
        let channel = world.channel(ServiceName::Gateway, ServiceName::Client).unwrap();
        let status = method.call(channel, None).await.expect_err(&method.path);
        assert!(
            [Code::Unimplemented, Code::PermissionDenied].contains(&status.code()),
            "{}: {status}",
            method.path
        );
        closed += 1;
    }
    assert!(closed > 15, "{closed}");
    world.stop().await.log().await;
}
