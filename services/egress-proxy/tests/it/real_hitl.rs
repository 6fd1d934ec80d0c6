//! A grant as hitl itself makes it: the destination it names must be the one that is decided about here.

use bytes::Bytes;
use harombe_hitl::{Config, Deps};
use harombe_proto::hitl::v1::AuthorizeRequest;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::types::v1::Risk;
use harombe_rpc::{GrpcChannel, RequestExt as _, TaskSet};
use harombe_types::ServiceName;
use serde_json::json;
use tonic::Request;

use crate::world::{World, data, open};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn the_destination_that_hitl_names_is_the_one_that_is_reached() {
    let world = World::new(HELLO).await;
    let (files, tasks) = (tempfile::tempdir().expect("a directory"), TaskSet::new());
    let config = Config {
        trusted_hosts: vec!["api.allowed.test".to_owned()],
        ..Config::default()
    };
    let deps = Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock: world.clock.clone(),
        identity: world.pki.identity(ServiceName::Hitl),
        trail: world.audit.trail(ServiceName::Hitl, world.clock.clone(), &tasks),
        data: files.path().to_owned(),
    };
    let hitl = harombe_hitl::build(config, deps).await.expect("hitl");
    let channel = GrpcChannel::local(hitl.server(), ServiceName::Runtime);
    for (url, host) in [
        ("https://api.allowed.test/a?b=c", "api.allowed.test"),
        ("https://API.allowed.test:443/a?b=c", "api.allowed.test"),
        ("https://api.allowed.test./a?b=c", "api.allowed.test"),
        ("https://api.allowed.test:8443/a?b=c", "api.allowed.test:8443"),
    ] {
        let call = world.call(&json!({ "url": url }));
        let asked = AuthorizeRequest {
            call: Bytes::copy_from_slice(call.bytes()),
            model_risk: Risk::Unspecified.into(),
        };
        let asked = Request::new(asked).with_token(world.pki.run_token(&world.run));
        let answer = AuthorizationServiceClient::new(channel.clone())
            .authorize(asked)
            .await
            .expect("an answer");
        let Some(Outcome::Granted(granted)) = answer.into_inner().outcome else {
            panic!("{url} is not granted");
        };
        let request = format!("GET /a?b=c HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = world
            .send(vec![open(&granted.grant, &call), data(&request)])
            .await;
        assert_eq!(answer.end, Ok(()), "{url}");
    }
    hitl.shutdown(std::time::Duration::from_secs(5)).await;
}
