//! What certificates and tokens must refuse, whoever made them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harombe_identity::{
    CertificateAuthority, Error, RUN_AUDIENCES, ServiceIdentity, TokenMinter, TokenVerifier, TrustRoots, jws,
};
use harombe_types::{
    ManualClock, Person, Principal, Role, RunId, RunPrincipal, ServiceName, SessionId, Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

struct Pki {
    ca: CertificateAuthority,
    clock: ManualClock,
}

impl Pki {
    fn new() -> Self {
        let clock = ManualClock::at(NOW);
        Self {
            ca: CertificateAuthority::create("test.harombe", &clock).unwrap(),
            clock,
        }
    }

    fn issue(&self, service: ServiceName) -> ServiceIdentity {
        self.ca.issue(service, &self.clock).unwrap()
    }

    fn minter(&self) -> TokenMinter {
        TokenMinter::new(self.issue(ServiceName::Gateway))
    }

    fn verifier(&self) -> TokenVerifier {
        TokenVerifier::new(self.ca.roots().clone())
    }
}

fn person() -> Person {
    Person {
        tenant: "local".parse().unwrap(),
        subject: "ann@example.com".parse().unwrap(),
        roles: [Role::User, Role::Approver].into(),
        allow_self: true,
    }
}

fn run() -> RunPrincipal {
    let clock = ManualClock::at(NOW);
    RunPrincipal {
        tenant: "local".parse().unwrap(),
        subject: "ann".parse().unwrap(),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(&clock),
        run: RunId::generate(&clock),
    }
}

#[test]
fn a_person_token_says_who_it_was_minted_for_and_where() {
    let pki = Pki::new();
    let token = pki.minter().person(&person(), ServiceName::Memory, NOW).unwrap();
    let verifier = pki.verifier();
    for _ in 0..2 {
        let principal = verifier.verify(token.as_str(), ServiceName::Memory, NOW).unwrap();
        assert_eq!(principal, Principal::Person(person()));
        let elsewhere = verifier.verify(token.as_str(), ServiceName::Hitl, NOW);
        assert!(matches!(elsewhere, Err(Error::Audience)));
    }
}

#[test]
fn a_run_token_is_for_the_services_of_a_run() {
    let pki = Pki::new();
    let run = run();
    let token = pki
        .minter()
        .run(&run, NOW.plus(Duration::from_secs(900)), NOW)
        .unwrap();
    for service in ServiceName::SERVICES {
        let verified = pki.verifier().verify(token.as_str(), service, NOW);
        if RUN_AUDIENCES.contains(&service) {
            assert_eq!(verified.unwrap(), Principal::Run(run.clone()));
        } else {
            assert!(matches!(verified, Err(Error::Audience)), "{service}");
        }
    }
}

#[test]
fn a_token_lives_from_its_begin_to_its_end_cached_or_not() {
    let pki = Pki::new();
    let token = pki.minter().person(&person(), ServiceName::Memory, NOW).unwrap();
    let shared = pki.verifier();
    let at = |offset: i64| {
        let now = Timestamp::from_millis(NOW.as_millis() + offset * 1000);
        let cached = shared.verify(token.as_str(), ServiceName::Memory, now);
        let fresh = pki.verifier().verify(token.as_str(), ServiceName::Memory, now);
        assert_eq!(cached.is_ok(), fresh.is_ok(), "at {offset}");
        fresh
    };
    assert!(at(0).is_ok());
    assert!(at(59).is_ok());
    assert!(matches!(at(60), Err(Error::Expired)));
    assert!(matches!(at(-61), Err(Error::NotYetValid)));
    assert!(at(-60).is_ok());
}

#[test]
fn only_the_gateway_of_our_own_ca_may_sign() {
    let pki = Pki::new();
    for service in ServiceName::SERVICES
        .into_iter()
        .filter(|name| *name != ServiceName::Gateway)
    {
        let token = TokenMinter::new(pki.issue(service))
            .person(&person(), ServiceName::Memory, NOW)
            .unwrap();
        let refused = pki.verifier().verify(token.as_str(), ServiceName::Memory, NOW);
        assert!(matches!(refused, Err(Error::WrongSigner { found, .. }) if found == service));
    }
    // Another CA with the very same names.
    let forged = Pki::new()
        .minter()
        .person(&person(), ServiceName::Memory, NOW)
        .unwrap();
    let refused = pki.verifier().verify(forged.as_str(), ServiceName::Memory, NOW);
    assert!(matches!(refused, Err(Error::Chain(_))));
}

/// A token whose header, claims and signature are given.
fn assemble(header: &Value, claims: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn parts(token: &str) -> (Value, Vec<u8>) {
    let mut parts = token.split('.');
    let header = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
    (serde_json::from_slice(&header).unwrap(), claims)
}

#[test]
fn the_header_is_ours_or_refused_even_when_the_signature_is_good() {
    let pki = Pki::new();
    let gateway = pki.issue(ServiceName::Gateway);
    let minter = TokenMinter::new(gateway.clone());
    let token = minter.person(&person(), ServiceName::Memory, NOW).unwrap();
    let (header, claims) = parts(token.as_str());
    let check = |header: &Value, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        pki.verifier()
            .verify(&assemble(header, &claims, sign), ServiceName::Memory, NOW)
            .is_ok()
    };
    let eddsa = |message: &[u8]| gateway.sign(message);
    assert!(check(&header, &eddsa), "the assembly itself is right");

    let with = |key: &str, value: Value| {
        let mut changed = header.clone();
        changed[key] = value;
        changed
    };
    for alg in ["none", "None", "", "HS256", "ES256", "RS256", "eddsa", "Ed25519"] {
        assert!(!check(&with("alg", json!(alg)), &eddsa), "{alg}");
    }
    assert!(!check(&with("alg", json!("none")), &|_| Vec::new()));
    // The classic confusion: an HMAC keyed with the public certificate.
    let hmac = |message: &[u8]| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &gateway.chain()[0]);
        aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
    };
    assert!(!check(&with("alg", json!("HS256")), &hmac));
    assert!(!check(&header, &hmac));
    for typ in ["JWT", "harombe-grant+jwt", "", "HAROMBE-PRINCIPAL+JWT"] {
        assert!(!check(&with("typ", json!(typ)), &eddsa), "{typ}");
    }
    assert!(!check(&with("crit", json!(["exp"])), &eddsa));
    assert!(!check(&with("kid", json!("x")), &eddsa));
    assert!(!check(&with("jwk", json!({})), &eddsa));
    assert!(!check(&with("b64", json!(false)), &eddsa));
    assert!(!check(&with("x5c", json!([])), &eddsa));
    let leaf = header["x5c"][0].clone();
    assert!(!check(
        &with("x5c", json!([leaf, leaf, leaf, leaf, leaf])),
        &eddsa
    ));
    assert!(!check(&with("x5c", json!("x")), &eddsa));
}

#[test]
fn claims_that_we_do_not_mint_are_refused() {
    let pki = Pki::new();
    let gateway = pki.issue(ServiceName::Gateway);
    let token = TokenMinter::new(gateway.clone())
        .person(&person(), ServiceName::Memory, NOW)
        .unwrap();
    let (header, claims) = parts(token.as_str());
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let check = |claims: &[u8]| {
        let token = assemble(&header, claims, |message| gateway.sign(message));
        pki.verifier().verify(&token, ServiceName::Memory, NOW).is_ok()
    };
    assert!(check(claims.to_string().as_bytes()));
    for (key, value) in [
        ("iss", json!("hitl")),
        ("aud", json!(["memory", "hitl"])),
        ("aud", json!([])),
        ("aud", json!("memory")),
        ("exp", json!(claims["iat"].as_i64().unwrap() + 61)),
        ("exp", json!(i64::MAX)),
        ("exp", json!("soon")),
        ("exp", Value::Null),
        ("sub", json!("a b")),
        ("extra", json!(1)),
        ("hrb", json!({"kind": "person"})),
        (
            "hrb",
            json!({"kind": "person", "tenant": "local", "roles": ["root"], "allow_self": false}),
        ),
        (
            "hrb",
            json!({"kind": "other", "tenant": "local", "roles": [], "allow_self": false}),
        ),
    ] {
        let mut changed = claims.clone();
        changed[key] = value.clone();
        assert!(!check(changed.to_string().as_bytes()), "{key}: {value}");
    }
    let doubled = claims.to_string().replacen('{', "{\"sub\":\"root\",", 1);
    assert!(!check(doubled.as_bytes()));
    assert!(!check(b""));
    assert!(!check(b"[]"));
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused() {
    let pki = Pki::new();
    let token = pki.minter().person(&person(), ServiceName::Memory, NOW).unwrap();
    let verifier = pki.verifier();
    assert!(verifier.verify(token.as_str(), ServiceName::Memory, NOW).is_ok());
    for at in 0..token.as_str().len() {
        for to in [b'A', b'b', b'.', b'=', b'-', 0] {
            let mut bytes = token.as_str().as_bytes().to_vec();
            if bytes[at] == to {
                continue;
            }
            bytes[at] = to;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                verifier.verify(&changed, ServiceName::Memory, NOW).is_err(),
                "byte {at} to {to}"
            );
        }
        let cut = &token.as_str()[..at];
        assert!(
            verifier.verify(cut, ServiceName::Memory, NOW).is_err(),
            "cut at {at}"
        );
    }
    let long = format!("{}A", token.as_str());
    assert!(verifier.verify(&long, ServiceName::Memory, NOW).is_err());
}

#[test]
fn a_token_that_is_too_long_is_neither_made_nor_read() {
    let pki = Pki::new();
    let big = "x".repeat(jws::MAX_TOKEN);
    let made = jws::sign(&pki.issue(ServiceName::Hitl), "t", &json!({ "big": big }));
    assert!(matches!(made, Err(Error::Oversize { .. })));
    let read = jws::verify::<Value>(&big, "t", pki.ca.roots(), ServiceName::Hitl, NOW);
    assert!(
        matches!(read, Err(Error::Malformed(_))),
        "at the limit it is read, and is nothing"
    );
    let read = jws::verify::<Value>(&(big + "x"), "t", pki.ca.roots(), ServiceName::Hitl, NOW);
    assert!(matches!(read, Err(Error::Oversize { .. })));
}

#[test]
fn certificates_hold_for_their_time_and_their_trust_domain() {
    let pki = Pki::new();
    let hitl = pki.issue(ServiceName::Hitl);
    let roots = pki.ca.roots();
    assert_eq!(roots.verify_chain(hitl.chain(), NOW).unwrap(), ServiceName::Hitl);
    assert!(roots.verify_chain(hitl.chain(), NOW.plus(YEAR * 2)).is_err());
    assert!(
        roots
            .verify_chain(hitl.chain(), Timestamp::from_millis(0))
            .is_err()
    );
    assert!(roots.verify_chain(&[], NOW).is_err());
    // The CA's own certificate is no service's.
    assert!(roots.verify_chain(&[roots.ca_der().clone()], NOW).is_err());
    let other = CertificateAuthority::create("other", &pki.clock).unwrap();
    assert!(other.roots().verify_chain(hitl.chain(), NOW).is_err());
}

#[test]
fn nobody_gets_a_certificate_as_a_client_or_in_a_bad_trust_domain() {
    let pki = Pki::new();
    let client = pki.ca.issue(ServiceName::Client, &pki.clock);
    assert!(matches!(client, Err(Error::NotIssuable(ServiceName::Client))));
    for domain in ["", "A", "a/b", "a b", "é", &"x".repeat(256)] {
        let made = CertificateAuthority::create(domain, &pki.clock);
        assert!(matches!(made, Err(Error::TrustDomain(_))), "{domain:?}");
    }
}

#[test]
fn an_identity_and_a_ca_survive_the_disk_with_private_keys() {
    let pki = Pki::new();
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("pki/hitl");
    let hitl = pki.issue(ServiceName::Hitl);
    hitl.save(&own).unwrap();
    hitl.save(&own).unwrap();
    pki.ca.save(&dir.path().join("pki")).unwrap();

    let mode = |path: &str| own.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("key.pem"), 0o600);
    assert_eq!(mode("."), 0o700);

    let loaded = ServiceIdentity::load(&own, NOW).unwrap();
    assert_eq!(loaded.name(), ServiceName::Hitl);
    assert_eq!(loaded.chain(), hitl.chain());
    let ca = CertificateAuthority::open(&dir.path().join("pki")).unwrap();
    let again = ca.issue(ServiceName::Audit, &pki.clock).unwrap();
    assert_eq!(
        loaded.roots().verify_chain(again.chain(), NOW).unwrap(),
        ServiceName::Audit
    );

    assert!(
        ServiceIdentity::load(&own, NOW.plus(YEAR * 2)).is_err(),
        "expired"
    );
    std::fs::set_permissions(own.join("key.pem"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        ServiceIdentity::load(&own, NOW),
        Err(Error::OpenToOthers { .. })
    ));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let pki = Pki::new();
    let dir = tempfile::tempdir().unwrap();
    let (hitl, audit) = (dir.path().join("hitl"), dir.path().join("audit"));
    pki.issue(ServiceName::Hitl).save(&hitl).unwrap();
    pki.issue(ServiceName::Audit).save(&audit).unwrap();
    std::fs::copy(audit.join("key.pem"), hitl.join("key.pem")).unwrap();
    assert!(matches!(
        ServiceIdentity::load(&hitl, NOW),
        Err(Error::KeyMismatch)
    ));
    std::fs::write(hitl.join("key.pem"), "nonsense").unwrap();
    assert!(matches!(
        ServiceIdentity::load(&hitl, NOW),
        Err(Error::Pem { .. })
    ));
    std::fs::remove_file(hitl.join("key.pem")).unwrap();
    assert!(matches!(
        ServiceIdentity::load(&hitl, NOW),
        Err(Error::File { .. })
    ));
    let other = CertificateAuthority::create("test.harombe", &pki.clock).unwrap();
    let mixed = CertificateAuthority::load(&pki.ca.certificate_pem(), &other.key_pem());
    assert!(matches!(mixed, Err(Error::KeyMismatch)));
    assert!(TrustRoots::from_pem("").is_err());
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(text in ".{0,200}", der in prop::collection::vec(any::<u8>(), 0..200)) {
        let pki = Pki::new();
        prop_assert!(pki.verifier().verify(&text, ServiceName::Memory, NOW).is_err());
        prop_assert!(pki.ca.roots().verify_chain(&[der.into()], NOW).is_err());
    }
}
