//! A store in Vault while Vault does not work: no secrets, within bounds of time, and all of them again when it does.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Reason, ServiceError as _};
use harombe_secrets::{Error, Secrets, VaultFault};
use harombe_testkit::openbao::OpenBao;

use crate::proxy::{Mood, Proxy};
use crate::vault::{TTL, config, name, secret, store};

async fn fault(store: &Arc<dyn Secrets>) -> VaultFault {
    let error = store.get(&name("key")).await.expect_err("no secret");
    assert_eq!(error.reason(), Reason::CredentialUnavailable);
    match error {
        Error::Vault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// Asks until the secret is there again; what failed may rest for a moment.
async fn recovered(store: &Arc<dyn Secrets>) {
    for _ in 0..600 {
        if store.get(&name("key")).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no secret came back: {:?}", store.get(&name("key")).await);
}

#[tokio::test]
async fn sealed_stopped_and_started_again() {
    let mut bao = OpenBao::start();
    let store = store(config(&bao, bao.address(), TTL, TTL));
    store
        .set(&name("key"), secret("the-credential"))
        .await
        .expect("set");
    bao.seal();
    assert_eq!(fault(&store).await, VaultFault::NotReady);
    bao.unseal();
    recovered(&store).await;
    bao.stop();
    assert_eq!(fault(&store).await, VaultFault::Unreachable);
    let error = store.get(&name("key")).await.expect_err("nobody there");
    assert_eq!(
        (error.code(), error.retry_after().is_some()),
        (Code::Unavailable, true)
    );
    bao.start_again();
    assert_eq!(
        fault(&store).await,
        VaultFault::NotReady,
        "sealed after its start"
    );
    bao.unseal();
    recovered(&store).await;
}

#[tokio::test]
async fn down_at_the_start_and_there_later() {
    let mut bao = OpenBao::start();
    let config = config(&bao, bao.address(), TTL, TTL);
    bao.bao(&[
        "kv",
        "put",
        "-mount=secret",
        "harombe/key",
        "value=the-credential",
    ]);
    bao.stop();
    let store = store(config);
    assert_eq!(fault(&store).await, VaultFault::Unreachable);
    bao.start_again();
    bao.unseal();
    recovered(&store).await;
}

#[tokio::test]
async fn slow_and_gone() {
    let bao = OpenBao::start();
    let proxy = Proxy::before(bao.socket()).await;
    let mut config = config(&bao, proxy.address(), TTL, TTL);
    config.timeout = Duration::from_secs(2).into();
    let store = store(config);
    bao.bao(&[
        "kv",
        "put",
        "-mount=secret",
        "harombe/key",
        "value=the-credential",
    ]);
    recovered(&store).await;
    proxy.set(Mood::Slow);
    assert_eq!(fault(&store).await, VaultFault::Slow);
    proxy.set(Mood::Open);
    recovered(&store).await;
    proxy.set(Mood::Gone);
    assert_eq!(fault(&store).await, VaultFault::Unreachable);
    proxy.set(Mood::Open);
    recovered(&store).await;
}

#[tokio::test]
async fn a_crowd_waits_for_one_login_and_is_answered_in_time() {
    let bao = OpenBao::start();
    let proxy = Proxy::before(bao.socket()).await;
    let mut config = config(&bao, proxy.address(), TTL, TTL);
    config.timeout = Duration::from_secs(2).into();
    let store = store(config);
    proxy.set(Mood::Slow);
    let crowd = (0..300).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.get(&name("key")).await })
    });
    for asked in crowd.collect::<Vec<_>>() {
        let answer = tokio::time::timeout(Duration::from_secs(60), asked)
            .await
            .expect("an answer");
        assert!(matches!(
            answer.expect("a task"),
            Err(Error::Vault(VaultFault::Slow))
        ));
    }
    assert!(
        proxy.connections() < 10,
        "{} connections for one login",
        proxy.connections()
    );
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced() {
    let bao = OpenBao::start();
    let store = store(config(&bao, bao.address(), TTL, TTL));
    store
        .set(&name("key"), secret("the-credential"))
        .await
        .expect("set");
    bao.bao(&["token", "revoke", "-mode=path", "auth/approle"]);
    assert!(
        store.get(&name("key")).await.is_ok(),
        "a new login replaces it within the same question"
    );
}

#[tokio::test]
async fn without_its_role_or_its_secret_id_nobody_logs_in() {
    let bao = OpenBao::start();
    let config = config(&bao, bao.address(), TTL, TTL);
    let file = config.approle.secret_id_file.clone();
    let store = store(config);
    store
        .set(&name("key"), secret("the-credential"))
        .await
        .expect("set");
    let forget = || bao.bao(&["token", "revoke", "-mode=path", "auth/approle"]);

    let secret_id = std::fs::read_to_string(&file).expect("a secret id");
    std::fs::write(&file, "00000000-0000-0000-0000-000000000000").expect("written");
    forget();
    let error = store.get(&name("key")).await.expect_err("no login");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(matches!(error, Error::Vault(VaultFault::Login)), "{error:?}");

    std::fs::write(&file, format!("{secret_id}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("opened");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(fault(&store).await, VaultFault::SecretId);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).expect("closed");
    recovered(&store).await;

    bao.bao(&["delete", "auth/approle/role/egress"]);
    forget();
    assert_eq!(fault(&store).await, VaultFault::Login);
}

/// Tokens that live for two seconds, and for four at most: renewed, and at the end of all renewals replaced, while nobody asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_kept_alive_over_its_renewals_and_past_their_end() {
    let bao = OpenBao::start();
    let store = store(config(&bao, bao.address(), 2, 4));
    let accessors = || {
        let list: serde_json::Value =
            serde_json::from_str(&bao.bao(&["list", "-format=json", "auth/token/accessors"])).expect("json");
        let list = list.as_array().expect("a list").clone();
        list.iter()
            .map(|accessor| accessor.as_str().expect("text").to_owned())
            .collect::<BTreeSet<_>>()
    };
    let others = accessors();
    store
        .set(&name("key"), secret("the-credential"))
        .await
        .expect("set");
    // Past the first token's last end there is another one, although nobody asked for anything.
    let replaced = async {
        let mut ours = BTreeSet::new();
        while ours.len() < 2 {
            ours.extend(accessors().difference(&others).cloned());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replaced)
        .await
        .expect("a later token");
    assert!(store.get(&name("key")).await.is_ok());
}
