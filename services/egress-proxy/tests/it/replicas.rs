//! Several proxies side by side, and one whose credentials are in Vault.

use std::sync::Arc;

use harombe_egress_proxy::config::{Search, Upstream};
use harombe_egress_proxy::{Config, Service};
use harombe_error::Reason;
use harombe_secrets::{AppRole, Secrets, VaultConfig};
use harombe_testkit::openbao::OpenBao;
use harombe_types::ServiceName;
use serde_json::json;

use crate::model::{Model, Reply};
use crate::upstream::KEY;
use crate::world::{World, data, open, open_upstream};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn config(model: &Model) -> Config {
    let upstream = Upstream {
        search: Some(Search::Searxng),
        credential: Some("key".to_owned()),
        services: vec![ServiceName::Runtime],
        ..Upstream::new(model.url())
    };
    Config {
        upstreams: [("model".to_owned(), upstream)].into(),
        ..Config::default()
    }
}

async fn shutdown(services: impl IntoIterator<Item = Service>) {
    for service in services {
        service.shutdown(std::time::Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_grant_is_spent_once_whichever_proxy_is_asked() {
    let model = Model::start(None, [Reply::json("{\"results\":[]}")]).await;
    let world = World::new("").await;
    world.credential("key", KEY).await;
    let secrets: Arc<dyn Secrets> = Arc::new(world.secrets.clone());
    let one = world.another(config(&model), secrets.clone()).await;
    let two = world.another(config(&model), secrets).await;
    for _ in 0..8 {
        let call = world.call_of("web_search", &json!({"query": "x"}));
        let grant = world.grant(&call, |_| ());
        let ask = |service| world.send_to(service, vec![open(&grant, &call), data(GET)]);
        let (first, second) = tokio::join!(ask(&one), ask(&two));
        let spent = [&first, &second].map(|answer| answer.end.is_ok());
        assert_eq!(
            spent.iter().filter(|spent| **spent).count(),
            1,
            "{first:?} {second:?}"
        );
        let refused = if first.end.is_ok() { second } else { first };
        assert_eq!(refused.reason(), Reason::GrantRedeemed);
    }
    assert_eq!((model.heard().len(), world.hitl.redeemed()), (8, 8));
    for service in [&one, &two] {
        let answer = world
            .send_to(service, vec![open_upstream("model"), data(GET)])
            .await;
        assert_eq!(answer.end, Ok(()));
    }
    shutdown([one, two]).await;
}

#[tokio::test]
async fn without_vault_nothing_is_sent() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let mut bao = OpenBao::start();
    let role = bao.role("egress", "harombe", 3600, 3600);
    bao.bao(&[
        "kv",
        "put",
        "-mount=secret",
        "harombe/key",
        &format!("value={KEY}"),
    ]);
    let vault = VaultConfig {
        address: bao.address(),
        approle: AppRole {
            role_id: role.role_id,
            secret_id_file: role.secret_id_file,
            ..AppRole::default()
        },
        timeout: std::time::Duration::from_secs(30).into(),
        ..VaultConfig::default()
    };
    let world = World::new("").await;
    let secrets = harombe_secrets::Config { vault: Some(vault) };
    let secrets = harombe_secrets::open(&secrets, world.files.path()).expect("a store");
    let service = world.another(config(&model), secrets).await;
    let ask = || world.send_to(&service, vec![open_upstream("model"), data(GET)]);
    assert_eq!(ask().await.end, Ok(()));
    assert!(model.heard()[0].head.contains(KEY));
    let call = world.call_of("web_search", &json!({"query": "x"}));
    let grant = world.grant(&call, |_| ());
    for stop in [false, true] {
        if stop {
            bao.stop();
        } else {
            bao.seal();
        }
        assert_eq!(ask().await.reason(), Reason::CredentialUnavailable);
        let searched = world
            .send_to(&service, vec![open(&grant, &call), data(GET)])
            .await;
        assert_eq!(searched.reason(), Reason::CredentialUnavailable);
    }
    assert_eq!(
        (model.heard().len(), world.hitl.redeemed()),
        (1, 0),
        "nothing sent, nothing spent"
    );
    shutdown([service]).await;
}
