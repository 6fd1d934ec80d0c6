//! A store in Vault, as long as Vault works.

use std::sync::Arc;

use harombe_secrets::{Config, Error, Secret, SecretName, Secrets, Vault, VaultConfig, VaultFault, open};
use harombe_testkit::openbao::OpenBao;

pub(crate) const TTL: u32 = 3600;

pub(crate) fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned().into()).expect("a secret")
}

/// How an application of that role reaches the server at that address.
pub(crate) fn config(bao: &OpenBao, address: String, ttl: u32, max_ttl: u32) -> VaultConfig {
    let role = bao.role("egress", "harombe", ttl, max_ttl);
    let mut config = VaultConfig {
        address,
        ..VaultConfig::default()
    };
    config.approle.role_id = role.role_id;
    config.approle.secret_id_file = role.secret_id_file;
    // A busy machine may take long; nothing here is slow on purpose.
    config.timeout = std::time::Duration::from_secs(30).into();
    config
}

pub(crate) fn store(config: VaultConfig) -> Arc<dyn Secrets> {
    let config = Config { vault: Some(config) };
    open(&config, std::path::Path::new("/nonexistent")).expect("a store")
}

#[tokio::test]
async fn what_is_set_is_got_until_it_is_removed() {
    let bao = OpenBao::start(None);
    let store = store(config(&bao, bao.address(), TTL, TTL));
    assert_eq!(store.list().await.expect("a list"), vec![]);
    assert!(matches!(store.get(&name("a")).await, Err(Error::NotFound(_))));
    store.set(&name("b"), secret("second-secret")).await.expect("set");
    store.set(&name("a"), secret("first-secret")).await.expect("set");
    store
        .set(&name("a"), secret("later \"secret\""))
        .await
        .expect("set");
    bao.bao(&[
        "kv",
        "put",
        "-mount=secret",
        "harombe/folder/x",
        "value=not-ours-to-list",
    ]);
    assert_eq!(store.list().await.expect("a list"), [name("a"), name("b")]);
    assert_eq!(
        store.get(&name("a")).await.expect("a secret").expose(),
        b"later \"secret\""
    );
    store.remove(&name("a")).await.expect("removed");
    assert!(matches!(store.get(&name("a")).await, Err(Error::NotFound(_))));
    assert!(matches!(store.remove(&name("a")).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn what_is_changed_or_deleted_in_vault_counts_at_once() {
    let bao = OpenBao::start(None);
    let store = store(config(&bao, bao.address(), TTL, TTL));
    for value in ["first-value", "second-value"] {
        bao.bao(&[
            "kv",
            "put",
            "-mount=secret",
            "harombe/key",
            &format!("value={value}"),
        ]);
        assert_eq!(
            store.get(&name("key")).await.expect("a secret").expose(),
            value.as_bytes()
        );
    }
    bao.bao(&["kv", "delete", "-mount=secret", "harombe/key"]);
    assert!(matches!(store.get(&name("key")).await, Err(Error::NotFound(_))));
    bao.bao(&["kv", "undelete", "-mount=secret", "-versions=2", "harombe/key"]);
    assert!(store.get(&name("key")).await.is_ok());
    bao.bao(&["kv", "metadata", "delete", "-mount=secret", "harombe/key"]);
    assert!(matches!(store.get(&name("key")).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn an_entry_that_is_no_secret_of_ours_is_none() {
    let bao = OpenBao::start(None);
    let store = store(config(&bao, bao.address(), TTL, TTL));
    for field in ["other=long-enough", "value=short"] {
        bao.bao(&["kv", "put", "-mount=secret", "harombe/odd", field]);
        let error = store.get(&name("odd")).await.expect_err("no secret");
        assert!(matches!(error, Error::Malformed(_)), "{field}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("long-enough"));
    }
}

#[tokio::test]
async fn the_fields_of_a_service_key_come_together() {
    let bao = OpenBao::start(None);
    let vault = Vault::new(config(&bao, bao.address(), TTL, TTL));
    bao.bao(&[
        "kv",
        "put",
        "-mount=secret",
        "harombe/runtime",
        "cert=a\nb",
        "key=c",
        "ca=d",
    ]);
    let fields = vault
        .fields(&name("runtime"), ["cert", "key", "ca"])
        .await
        .expect("fields");
    assert_eq!(fields.map(|field| field.to_string()), ["a\nb", "c", "d"]);
    let missing = vault.fields(&name("runtime"), ["cert", "nothing"]).await;
    assert!(matches!(missing, Err(Error::Malformed(_))));
}

#[tokio::test]
async fn what_the_role_may_not_do_is_refused_without_another_login() {
    let bao = OpenBao::start(None);
    let mut config = config(&bao, bao.address(), TTL, TTL);
    config.prefix = "others".to_owned();
    let store = store(config);
    let logins = || {
        let list = bao.bao(&["list", "-format=json", "auth/token/accessors"]);
        list.lines().count()
    };
    assert!(matches!(
        store.get(&name("key")).await,
        Err(Error::Vault(VaultFault::Forbidden))
    ));
    let before = logins();
    for _ in 0..3 {
        assert!(matches!(
            store.get(&name("key")).await,
            Err(Error::Vault(VaultFault::Forbidden))
        ));
    }
    assert_eq!(logins(), before);
}
