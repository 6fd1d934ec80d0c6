use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Reason, ServiceError as _};
use harombe_identity::{CertificateAuthority, jws};
use harombe_types::{
    CallId, GrantId, LeaseId, ManualClock, RunId, RunPrincipal, ServiceName, SessionId, Subject, Timestamp,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const BROKER: ServiceName = ServiceName::SandboxBroker;

struct World {
    ca: CertificateAuthority,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at(NOW);
        Self {
            ca: CertificateAuthority::create("test", &clock).unwrap(),
            clock,
        }
    }

    fn signer(&self, service: ServiceName) -> Signer {
        Signer::new(self.ca.issue(service, &self.clock).unwrap())
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(self.ca.roots().clone())
    }

    fn call(&self, run: RunId, call: CallId, tool: &str) -> CanonicalCall {
        CanonicalCall::new(CallParts {
            tenant: "local",
            agent: "default",
            run: &run.to_string(),
            call: &call.to_string(),
            tool,
            args: &json!({"language": "python", "code": "print(1)"}),
        })
        .unwrap()
    }

    fn grant(&self) -> (Grant, CanonicalCall) {
        let (run, id) = (RunId::generate(&self.clock), CallId::generate(&self.clock));
        let call = self.call(run, id, "code_execute");
        let grant = Grant {
            id: GrantId::generate(&self.clock),
            audience: BROKER,
            not_before: NOW,
            expires: NOW.plus(Duration::from_secs(60)),
            tenant: "local".parse().unwrap(),
            subject: "ann".parse().unwrap(),
            agent: "default".parse().unwrap(),
            session: SessionId::generate(&self.clock),
            run,
            call: id,
            tool: "code_execute".to_owned(),
            digest: *call.digest().as_bytes(),
            policy_version: "7".to_owned(),
            limits: Limits {
                time_ms: Some(30_000),
                memory_bytes: Some(1 << 29),
                ..Limits::default()
            },
            destinations: Vec::new(),
            credentials: Vec::new(),
            approvers: vec!["ann".parse().unwrap()],
        };
        (grant, call)
    }

    fn lease(&self) -> Lease {
        let (grant, _) = self.grant();
        Lease {
            id: LeaseId::generate(&self.clock),
            grant: grant.id,
            redeemer: BROKER,
            expires: NOW.plus(Duration::from_secs(60)),
            connections: 3,
            bytes: 1 << 20,
            destinations: vec!["example.com:443".to_owned()],
            tenant: grant.tenant,
            run: grant.run,
            call: grant.call,
        }
    }
}

#[test]
fn a_grant_reads_back_what_hitl_signed_and_nobody_else() {
    let world = World::new();
    let (grant, _) = world.grant();
    let token = world.signer(ServiceName::Hitl).grant(&grant).unwrap();
    assert_eq!(world.verifier().grant(&token, BROKER, NOW).unwrap(), grant);
    for service in ServiceName::SERVICES
        .into_iter()
        .filter(|name| *name != ServiceName::Hitl)
    {
        let token = world.signer(service).grant(&grant).unwrap();
        let refused = world.verifier().grant(&token, BROKER, NOW).unwrap_err();
        assert_eq!(refused.reason(), Reason::GrantInvalid, "{service}");
    }
    let stranger = World::new().signer(ServiceName::Hitl).grant(&grant).unwrap();
    assert!(matches!(
        world.verifier().grant(&stranger, BROKER, NOW),
        Err(Error::Token(_))
    ));
}

#[test]
fn a_grant_is_for_one_service_and_a_tool_of_its_own() {
    let world = World::new();
    let (mut grant, _) = world.grant();
    let signer = world.signer(ServiceName::Hitl);
    let token = signer.grant(&grant).unwrap();
    let refused = world.verifier().grant(&token, ServiceName::EgressProxy, NOW);
    assert!(matches!(refused, Err(Error::Audience)));
    for tool in ["web_fetch", "memory_save", "", "CODE_EXECUTE"] {
        grant.tool = tool.to_owned();
        assert!(
            matches!(signer.grant(&grant), Err(Error::Unsignable(_))),
            "{tool}"
        );
    }
}

#[test]
fn it_holds_from_its_begin_to_its_end() {
    let world = World::new();
    let signer = world.signer(ServiceName::Hitl);
    let (grant, _) = world.grant();
    let (grant, lease) = (
        signer.grant(&grant).unwrap(),
        signer.lease(&world.lease()).unwrap(),
    );
    let verifier = world.verifier();
    let at = |seconds: i64| Timestamp::from_millis(NOW.as_millis() + seconds * 1000);
    for (seconds, good) in [(0, true), (59, true), (60, false), (61, false)] {
        let found = verifier.grant(&grant, BROKER, at(seconds));
        assert_eq!(found.is_ok(), good, "{seconds}");
        if let Err(error) = found {
            assert_eq!(error.reason(), Reason::GrantExpired);
        }
        assert_eq!(
            verifier.lease(&lease, BROKER, at(seconds)).is_ok(),
            good,
            "{seconds}"
        );
    }
    assert!(verifier.grant(&grant, BROKER, at(-60)).is_ok());
    let early = verifier.grant(&grant, BROKER, at(-61)).unwrap_err();
    assert_eq!(early.reason(), Reason::GrantInvalid);
}

#[test]
fn a_lease_is_its_redeemers_own() {
    let world = World::new();
    let lease = world.lease();
    let token = world.signer(ServiceName::Hitl).lease(&lease).unwrap();
    assert_eq!(world.verifier().lease(&token, BROKER, NOW).unwrap(), lease);
    let other = world.verifier().lease(&token, ServiceName::EgressProxy, NOW);
    assert!(matches!(other, Err(Error::Redeemer)));
    let forged = world.signer(BROKER).lease(&lease).unwrap();
    assert!(world.verifier().lease(&forged, BROKER, NOW).is_err());
    let redeemer = Lease {
        redeemer: ServiceName::Runtime,
        ..lease
    };
    assert!(world.signer(ServiceName::Hitl).lease(&redeemer).is_err());
}

#[test]
fn grants_leases_and_principal_tokens_do_not_pass_for_one_another() {
    let world = World::new();
    let signer = world.signer(ServiceName::Hitl);
    let (grant, _) = world.grant();
    let lease = signer.lease(&world.lease()).unwrap();
    let token = signer.grant(&grant).unwrap();
    assert!(world.verifier().grant(&lease, BROKER, NOW).is_err());
    assert!(world.verifier().lease(&token, BROKER, NOW).is_err());

    let run = RunPrincipal {
        tenant: grant.tenant,
        subject: grant.subject,
        agent: grant.agent,
        session: grant.session,
        run: grant.run,
    };
    let gateway = world.ca.issue(ServiceName::Gateway, &world.clock).unwrap();
    let minter = harombe_identity::TokenMinter::new(gateway);
    let principal = minter.run(&run, NOW.plus(Duration::from_secs(60)), NOW).unwrap();
    assert!(world.verifier().grant(principal.as_str(), BROKER, NOW).is_err());
    // Signed by hitl, of the right type, and yet not a grant.
    let hitl = world.ca.issue(ServiceName::Hitl, &world.clock).unwrap();
    for claims in [json!({}), json!([]), json!({"iss": "hitl"})] {
        let token = jws::sign(&hitl, "harombe-grant+jwt", &claims).unwrap();
        assert!(world.verifier().grant(&token, BROKER, NOW).is_err());
    }
}

#[test]
fn a_grant_is_for_exactly_one_call() {
    let world = World::new();
    let (grant, call) = world.grant();
    check_call(&grant, &call).unwrap();
    let check = |changed: Grant, call: &CanonicalCall| {
        let refused = check_call(&changed, call).unwrap_err();
        assert_eq!(refused.reason(), Reason::CallMismatch);
    };
    check(
        Grant {
            digest: [7; 32],
            ..grant.clone()
        },
        &call,
    );
    check(
        Grant {
            tenant: "other".parse().unwrap(),
            ..grant.clone()
        },
        &call,
    );
    check(
        Grant {
            agent: "other".parse().unwrap(),
            ..grant.clone()
        },
        &call,
    );
    check(
        Grant {
            run: RunId::generate(&world.clock),
            ..grant.clone()
        },
        &call,
    );
    check(
        Grant {
            call: CallId::generate(&world.clock),
            ..grant.clone()
        },
        &call,
    );
    check(
        Grant {
            tool: "file_read".to_owned(),
            ..grant.clone()
        },
        &call,
    );
    check(grant.clone(), &world.call(grant.run, grant.call, "file_read"));
}

#[test]
fn the_tools_of_the_contract_have_their_service() {
    for tool in ["code_execute", "file_read", "file_write", "file_list"] {
        assert_eq!(audience_for(tool), Some(ServiceName::SandboxBroker));
    }
    for tool in ["web_fetch", "web_search"] {
        assert_eq!(audience_for(tool), Some(ServiceName::EgressProxy));
    }
    for tool in ["", "memory_save", "code_execute ", "file_delete"] {
        assert_eq!(audience_for(tool), None);
    }
}

fn subjects() -> impl Strategy<Value = Vec<Subject>> {
    prop::collection::vec(
        "[a-z][a-z0-9@.]{0,20}".prop_map(|text| text.parse().unwrap()),
        0..4,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_is_what_is_read(
        digest: [u8; 32],
        policy_version in ".{0,40}",
        destinations in prop::collection::vec(".{0,60}", 0..5),
        approvers in subjects(),
        time_ms: Option<u64>,
        connections: Option<u32>,
        begin in 0i64..5, life in 1i64..1000,
    ) {
        let world = World::new();
        let (grant, _) = world.grant();
        let not_before = Timestamp::from_millis(NOW.as_millis() - begin * 1000);
        let expires = Timestamp::from_millis(NOW.as_millis() + life * 1000);
        let limits = Limits { time_ms, connections, ..Limits::default() };
        let grant = Grant { digest, policy_version, destinations, approvers, limits, not_before, expires, ..grant };
        let token = world.signer(ServiceName::Hitl).grant(&grant).unwrap();
        prop_assert_eq!(world.verifier().grant(&token, BROKER, NOW).unwrap(), grant);
    }

    #[test]
    fn any_changed_byte_is_refused(at: prop::sample::Index, to in 0u8..128) {
        let world = World::new();
        let token = world.signer(ServiceName::Hitl).grant(&world.grant().0).unwrap();
        let mut bytes = token.into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        let refused = world.verifier().grant(&changed, BROKER, NOW).unwrap_err();
        prop_assert_eq!(refused.reason(), Reason::GrantInvalid);
    }
}
