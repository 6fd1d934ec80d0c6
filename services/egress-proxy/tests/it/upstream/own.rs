//! A service that speaks for itself: through to an upstream of its own, and nowhere else.

use harombe_egress_proxy::Config;
use harombe_error::{Failure, Reason};
use harombe_proto::egress::v1::tunnel_response::Frame;
use harombe_proto::egress::v1::{OwnTunnelRequest, TunnelRequest};
use harombe_types::ServiceName;
use serde_json::json;

use super::{GET, details, world};
use crate::model::{Model, Reply};
use crate::world::{URL, World, data, open, open_upstream};

/// Sends these frames in the service's own name; the bytes that came back.
async fn send(world: &World, service: ServiceName, frames: Vec<TunnelRequest>) -> Result<String, Failure> {
    let frames = frames
        .into_iter()
        .map(|frame| OwnTunnelRequest { frame: Some(frame) });
    let opened = world.client(service).own_tunnel(tokio_stream::iter(frames)).await;
    let mut answers = opened.map_err(Failure::from)?.into_inner();
    let mut bytes = Vec::new();
    while let Some(answer) = answers.message().await.map_err(Failure::from)? {
        if let Some(Frame::Data(data)) = answer.frame.and_then(|frame| frame.frame) {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(String::from_utf8(bytes).expect("text"))
}

#[tokio::test]
async fn a_service_asks_an_upstream_in_its_own_name() {
    let model = Model::start(None, [Reply::json("{\"ok\":true}")]).await;
    let world = world(&model.url(), |upstream| {
        upstream.services = vec![ServiceName::Memory];
        upstream.credential = None;
    })
    .await;
    let answer = send(
        &world,
        ServiceName::Memory,
        vec![open_upstream("model"), data(GET)],
    )
    .await;
    let answer = answer.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"ok\":true}"),
        "{answer}"
    );
    let events = world.end().await.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.kind.as_str(),
                event.outcome.as_str(),
                event.principal.as_str(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("egress.decided", "ok", "service"),
            ("egress.closed", "ok", "service")
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event.run_id.is_empty() && event.subject.is_empty())
    );
    assert_eq!(details(&events[0])["upstream"], json!("model"));
    assert!(
        events
            .iter()
            .all(|event| details(event)["caller"] == json!("memory")),
        "the log says whose it was"
    );
}

#[tokio::test]
async fn services_and_runs_do_not_take_each_others_places() {
    let model = Model::start(None, [Reply::json("{}"), Reply::json("{}")]).await;
    let own = super::upstream(&model.url(), |upstream| {
        upstream.services = vec![ServiceName::Memory, ServiceName::Runtime];
        upstream.credential = None;
    });
    let configure = |config: &mut Config| {
        config.upstreams.insert("model".to_owned(), own);
        (config.max_tunnels, config.max_own_tunnels) = (1, 1);
    };
    let world = World::with("", configure, |_| ()).await;
    let busy = |answer: Result<String, Failure>| answer.expect_err("full").reason == Reason::LimitExceeded;
    let again = || vec![open_upstream("model"), data(GET)];

    let (_frames, mut run) = world.open().await;
    run.message().await.expect("opened").expect("opened");
    assert_eq!(world.ask("model", GET).await.reason(), Reason::LimitExceeded);
    send(&world, ServiceName::Memory, again())
        .await
        .expect("a place of its own");

    let (held, frames) = tokio::sync::mpsc::channel(1);
    let opening = OwnTunnelRequest {
        frame: Some(open_upstream("model")),
    };
    held.send(opening).await.expect("room");
    let frames = tokio_stream::wrappers::ReceiverStream::new(frames);
    let opened = world.client(ServiceName::Memory).own_tunnel(frames).await;
    let mut own = opened.expect("a tunnel").into_inner();
    own.message().await.expect("opened").expect("opened");
    assert!(busy(send(&world, ServiceName::Memory, again()).await));
}

#[tokio::test]
async fn a_service_goes_nowhere_but_to_upstreams_that_may_be_its() {
    let model = Model::start(None, []).await;
    let world = world(&model.url(), |upstream| upstream.credential = None).await;
    let refused = send(
        &world,
        ServiceName::Memory,
        vec![open_upstream("model"), data(GET)],
    )
    .await;
    assert_eq!(refused.expect_err("refused").reason, Reason::EgressDenied);
    let call = world.call(&json!({ "url": URL }));
    let granted = vec![open(&world.grant(&call, |_| ()), &call), data(GET)];
    let refused = send(&world, ServiceName::Memory, granted).await;
    assert_eq!(refused.expect_err("refused").reason, Reason::InvalidArgument);
    // runs have tunnels of their own
    let refused = send(
        &world,
        ServiceName::Runtime,
        vec![open_upstream("model"), data(GET)],
    )
    .await;
    assert_eq!(refused.expect_err("refused").reason, Reason::NotAllowed);
    assert_eq!((world.dialled(), model.heard().len()), (0, 0));
}
