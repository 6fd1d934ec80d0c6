//! Vault has to prove its name, to the authority that the configuration names and to no other.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use harombe_secrets::{Error, VaultFault};
use harombe_testkit::openbao::{OpenBao, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

use crate::vault::{TTL, config, name, secret, store};

/// An authority and a certificate of its for `address`, in files.
fn authority(dir: &Path, address: Ipv4Addr) -> Tls {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.subject_alt_names = vec![SanType::IpAddress(address.into())];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &ca).expect("signed");
    let write = |file: &str, text: &str| -> PathBuf {
        let path = dir.join(file);
        std::fs::write(&path, text).expect("written");
        path
    };
    Tls {
        certificate: write("cert.pem", &certificate.pem()),
        key: write("key.pem", &key.serialize_pem()),
        ca: write("ca.pem", &ca.pem()),
    }
}

#[tokio::test]
async fn only_the_named_authority_counts() {
    let (files, elsewhere) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let mut pair = None;
    let bao = OpenBao::start_with_tls(|address| {
        let (tls, other) = (
            authority(files.path(), address),
            authority(elsewhere.path(), address),
        );
        pair = Some((tls.clone(), other));
        tls
    });
    let (tls, other) = pair.expect("made");
    let base = config(&bao, bao.address(), TTL, TTL);
    let with = |ca: Option<PathBuf>| {
        let mut config = base.clone();
        config.ca = ca;
        store(config)
    };
    let trusting = with(Some(tls.ca.clone()));
    trusting
        .set(&name("key"), secret("the-credential"))
        .await
        .expect("set");
    for (ca, fault) in [
        (Some(other.ca.clone()), VaultFault::Unreachable),
        (None, VaultFault::Unreachable),
        (
            Some(elsewhere.path().join("missing.pem")),
            VaultFault::Authorities,
        ),
        (Some(tls.key.clone()), VaultFault::Authorities),
    ] {
        let error = with(ca.clone()).get(&name("key")).await.expect_err("not known");
        // A machine without any authority of its own trusts nobody either.
        let fits = matches!(&error, Error::Vault(found) if *found == fault)
            || (ca.is_none() && matches!(error, Error::Vault(VaultFault::Authorities)));
        assert!(fits, "{ca:?}: {error:?}");
    }
    let mut plain = base;
    plain.address = plain.address.replace("https", "http");
    let error = store(plain)
        .get(&name("key"))
        .await
        .expect_err("plain text to a tls port");
    assert!(matches!(error, Error::Vault(_)), "{error:?}");
}
