use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.to_owned())).expect("a secret")
}

fn store() -> (TempDir, SealedFile) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SealedFile::new(&dir.path().join("egress"));
    (dir, store)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn what_is_set_is_got_until_it_is_removed() {
    let (_dir, store) = store();
    assert_eq!(store.list().await.expect("a list"), vec![]);
    assert!(matches!(store.get(&name("a")).await, Err(Error::NotFound(_))));
    store.set(&name("b"), secret("second-secret")).await.expect("set");
    store.set(&name("a"), secret("first-secret")).await.expect("set");
    store.set(&name("a"), secret("later-secret")).await.expect("set");
    assert_eq!(store.list().await.expect("a list"), [name("a"), name("b")]);
    let got = SealedFile::new(store.places.sealed.parent().expect("a directory"))
        .get(&name("a"))
        .await;
    assert_eq!(got.expect("a secret").expose(), b"later-secret");
    store.remove(&name("a")).await.expect("removed");
    assert!(matches!(store.get(&name("a")).await, Err(Error::NotFound(_))));
    assert!(matches!(store.remove(&name("a")).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn the_file_is_sealed_and_nobody_elses() {
    let (_dir, store) = store();
    store
        .set(&name("anthropic"), secret("very-secret-value"))
        .await
        .expect("set");
    let places = &store.places;
    let sealed = fs::read(&places.sealed).expect("a file");
    for text in ["very-secret-value", "anthropic"] {
        assert!(
            !sealed.windows(text.len()).any(|window| window == text.as_bytes()),
            "{text}"
        );
    }
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert_eq!((mode(&places.sealed), mode(&places.key)), (0o600, 0o600));
    assert_eq!(mode(places.key.parent().expect("a directory")), 0o700);
    for path in [&places.sealed, &places.key] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(
            store.get(&name("anthropic")).await,
            Err(Error::OpenToOthers(_))
        ));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
    }
    assert!(store.get(&name("anthropic")).await.is_ok());
}

#[tokio::test]
async fn a_file_that_was_changed_or_lost_its_key_gives_nothing_and_is_not_replaced() {
    let (_dir, store) = store();
    store.set(&name("a"), secret("first-secret")).await.expect("set");
    let places = &store.places;
    let whole = fs::read(&places.sealed).expect("a file");
    let key = fs::read(&places.key).expect("a key");
    let mut changed = whole.clone();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    for bytes in [changed.as_slice(), b"", whole.get(..20).expect("a beginning")] {
        fs::write(&places.sealed, bytes).expect("written");
        assert!(matches!(store.get(&name("a")).await, Err(Error::Sealed { .. })));
        let set = store.set(&name("b"), secret("second-secret")).await;
        assert!(matches!(set, Err(Error::Sealed { .. })));
        assert_eq!(
            fs::read(&places.sealed).expect("a file"),
            bytes,
            "nothing is overwritten"
        );
    }
    fs::write(&places.sealed, &whole).expect("written");
    fs::remove_file(&places.key).expect("removed");
    assert!(matches!(store.get(&name("a")).await, Err(Error::File { .. })));
    assert!(store.set(&name("b"), secret("second-secret")).await.is_err());
    assert!(!places.key.exists(), "no second key is made");
    fs::write(&places.key, b"AGE-SECRET-KEY-1NONSENSE").expect("written");
    fs::set_permissions(&places.key, fs::Permissions::from_mode(0o600)).expect("set");
    assert!(matches!(store.get(&name("a")).await, Err(Error::Sealed { .. })));
    fs::write(&places.key, &key).expect("written");
    assert!(store.get(&name("a")).await.is_ok());
}

#[tokio::test]
async fn writers_do_not_lose_each_others_secrets() {
    let (_dir, store) = store();
    let writers = (0..8).map(|number| {
        let store = SealedFile::new(store.places.sealed.parent().expect("a directory"));
        tokio::spawn(async move {
            let text = format!("secret-number-{number}");
            store.set(&name(&format!("s{number}")), secret(&text)).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a task").expect("set");
    }
    assert_eq!(store.list().await.expect("a list").len(), 8);
}
