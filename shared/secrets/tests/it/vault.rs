//! A store in Vault, as long as Vault works.

use std::sync::Arc;

use harombe_secrets::{Config, Error, Secret, SecretName, Secrets, Vault, VaultConfig, VaultFault, open};
use harombe_testkit::openbao::OpenBao;
use harombe_types::ServiceName;

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
    let bao = OpenBao::start();
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
    let bao = OpenBao::start();
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
    let bao = OpenBao::start();
    let store = store(config(&bao, bao.address(), TTL, TTL));
    for field in ["other=long-enough", "value=short"] {
        bao.bao(&["kv", "put", "-mount=secret", "harombe/odd", field]);
        let error = store.get(&name("odd")).await.expect_err("no secret");
        assert!(matches!(error, Error::Malformed(_)), "{field}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("long-enough"));
    }
}

#[tokio::test]
async fn a_service_finds_its_own_certificate_and_no_others() {
    let bao = OpenBao::start();
    let vault = Vault::new(config(&bao, bao.address(), TTL, TTL));
    let (clock, files) = (
        harombe_testkit::clock(),
        tempfile::tempdir().expect("a directory"),
    );
    let now = harombe_testkit::NOW;
    harombe_testkit::TestPki::new(clock)
        .identity(ServiceName::Runtime)
        .save(files.path())
        .expect("saved");
    let put = |entry: &str, fields: &[&str]| {
        let text = |field: &&str| format!("{field}=@{}", files.path().join(format!("{field}.pem")).display());
        let fields: Vec<_> = fields.iter().map(text).collect();
        let mut command = vec!["kv", "put", "-mount=secret", entry];
        command.extend(fields.iter().map(String::as_str));
        bao.bao(&command);
    };
    let none = vault.identity(ServiceName::Runtime, now).await;
    assert!(matches!(none, Err(Error::NoIdentity(ServiceName::Runtime))));
    put("harombe/services/runtime", &["cert", "key", "ca"]);
    let identity = vault
        .identity(ServiceName::Runtime, now)
        .await
        .expect("an identity");
    assert_eq!(identity.name(), ServiceName::Runtime);
    put("harombe/services/memory", &["cert", "key", "ca"]);
    let another = vault.identity(ServiceName::Memory, now).await;
    assert!(
        matches!(another, Err(Error::NoIdentity(ServiceName::Memory))),
        "runtime's, not memory's"
    );
    put("harombe/services/hitl", &["cert", "ca"]);
    let half = vault.identity(ServiceName::Hitl, now).await;
    assert!(matches!(half, Err(Error::NoIdentity(ServiceName::Hitl))));
    std::fs::write(files.path().join("key.pem"), "no key").expect("written");
    put("harombe/services/runtime", &["cert", "key", "ca"]);
    let odd = vault.identity(ServiceName::Runtime, now).await;
    assert!(matches!(odd, Err(Error::Identity { .. })));
}

#[tokio::test]
async fn what_the_role_may_not_do_is_refused_without_another_login() {
    let bao = OpenBao::start();
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
