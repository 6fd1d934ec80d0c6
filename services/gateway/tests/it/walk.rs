//! Every public method, for callers who may not call it.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::agent::v1::CreateKeyRequest;
use harombe_testkit::NOW;
use harombe_types::Role;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::Request;
use tonic_prost::ProstCodec;

use crate::network::Network;
use crate::world::{NOT_ALLOWED, UNKNOWN, World, key_for, revoke};

struct Method {
    path: String,
    roles: Vec<String>,
}

/// What clients reach: methods for clients, and those for people that the gateway forwards.
fn public() -> Vec<Method> {
    let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap();
    let auth = pool.get_extension_by_name("harombe.options.v1.auth").unwrap();
    let texts = |message: &DynamicMessage, field: &str| -> Vec<String> {
        let list = message.get_field_by_name(field).unwrap();
        let list = list.as_list().unwrap();
        list.iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    };
    let mut public = Vec::new();
    for service in pool.services() {
        let services = [
            "agent.v1",
            "memory.v1.PersonalMemoryService",
            "hitl.v1.ApprovalService",
            "audit.v1.AuditService",
        ];
        if !services.iter().any(|name| service.full_name().contains(name)) {
            continue;
        }
        for method in service.methods() {
            let options = method.options();
            let rule = options.get_extension(&auth);
            let rule = rule.as_message().unwrap();
            let callers = texts(rule, "callers");
            let person = rule.get_field_by_name("principal").unwrap().as_enum_number() == Some(3);
            if person
                && callers
                    .iter()
                    .any(|caller| caller == "client" || caller == "gateway")
            {
                public.push(Method {
                    path: format!("/{}/{}", service.full_name(), method.name()),
                    roles: texts(rule, "roles"),
                });
            }
        }
    }
    assert!(public.len() > 20, "only {} methods", public.len());
    public
}

/// What the method says to an empty message, to the first one at least; `None` when it says no error.
async fn call(network: &Network, path: &str) -> Option<(Code, Reason)> {
    let mut client = tonic::client::Grpc::new(network.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let path = path.parse().unwrap();
    let answered = client.server_streaming(Request::new(()), path, codec).await;
    let failure = match answered {
        Err(status) => Failure::from(status),
        Ok(answers) => match answers.into_inner().message().await {
            Err(status) => Failure::from(status),
            Ok(_) => return None,
        },
    };
    Some((failure.code, failure.reason))
}

#[tokio::test]
async fn nobody_gets_past_the_door_without_a_key_in_force() {
    let world = World::new().await;
    let everything: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let (revoked, id) = world.key(key_for("ann", &everything)).await;
    world.keys().revoke_key(revoke(&id)).await.unwrap();
    let expiring = CreateKeyRequest {
        expires_at: Some(NOW.plus(Duration::from_secs(1)).into()),
        ..key_for("ann", &everything)
    };
    let (expired, _) = world.key(expiring).await;
    world.clock.advance(Duration::from_secs(1));
    let network = Network::new(&world.gateway);
    let callers = [
        network.clone().from("192.0.2.1"),
        network.clone().from("192.0.2.2").with_key(&revoked),
        network.clone().from("192.0.2.3").with_key(&expired),
        network.clone().from("192.0.2.4").with_key("hrb_nonsense"),
        network
            .from("192.0.2.5")
            .with_header("authorization", "Basic YTpi"),
    ];
    // So many methods that each caller would be told to wait.
    for (method, n) in public().iter().zip(0_u32..) {
        world.clock.advance(Duration::from_secs(60));
        for caller in &callers {
            assert_eq!(
                call(caller, &method.path).await,
                Some(UNKNOWN),
                "{} {n}",
                method.path
            );
        }
    }
    assert!(world.runtime.seen.lock().is_empty());
    assert!(world.hitl.seen.lock().is_empty() && world.log.seen.lock().is_empty());
}

#[tokio::test]
async fn a_key_without_the_role_is_refused_and_one_with_it_is_not() {
    let world = World::new().await;
    let network = Network::new(&world.gateway);
    for role in Role::ALL {
        let (key, _) = world.key(key_for("ann", &[role.as_str()])).await;
        let caller = network.clone().with_key(&key);
        for method in public() {
            let answered = call(&caller, &method.path).await;
            if method.roles.iter().any(|wanted| wanted == role.as_str()) {
                // Whatever an empty message deserves.
                assert!(
                    !matches!(answered, Some(NOT_ALLOWED | UNKNOWN)),
                    "{role} {}: {answered:?}",
                    method.path
                );
            } else {
                assert_eq!(answered, Some(NOT_ALLOWED), "{role} {}", method.path);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_for_clients_is_for_no_key() {
    let world = World::new().await;
    let everything: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let (key, _) = world.key(key_for("ann", &everything)).await;
    let caller = Network::new(&world.gateway).with_key(&key);
    for path in [
        "/harombe.audit.v1.AuditService/Append",
        "/harombe.audit.v1.AuditService/AppendBatch",
    ] {
        assert_eq!(call(&caller, path).await, Some(NOT_ALLOWED), "{path}");
    }
    for path in [
        "/harombe.memory.v1.ConversationService/BeginTurn",
        "/harombe.hitl.v1.AuthorizationService/RedeemGrant",
        "/harombe.runtime.v1.RuntimeService/Run",
    ] {
        assert!(call(&caller, path).await.is_some(), "{path}");
    }
}
