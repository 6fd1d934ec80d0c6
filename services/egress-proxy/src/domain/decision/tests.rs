//! The pipeline as a whole: order of stages, pinning, and that names are resolved only when admitted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::domain::denial::Stage;
use crate::domain::host::DnsName;
use crate::domain::resolver::Answer;

/// Answers from a list, one entry a look-up, and remembers what was asked.
#[derive(Default)]
struct Scripted {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        self.asked.lock().push(name.to_string());
        let mut answers = self.answers.lock();
        let left = answers.get_mut(name.as_str()).filter(|left| !left.is_empty());
        let addresses = left.map(|left| left.remove(0)).ok_or(ResolveError::Timeout)?;
        Ok(Answer {
            addresses: addresses.into(),
            ttl: Duration::ZERO,
        })
    }
}

fn decider(policy: &str, answers: &[(&str, &[&[&str]])]) -> (Decider, Arc<Scripted>) {
    let resolver = Arc::new(Scripted::default());
    for (name, lookups) in answers {
        let parsed = lookups
            .iter()
            .map(|l| l.iter().map(|a| a.parse().expect("an address")).collect())
            .collect();
        resolver.answers.lock().insert((*name).to_owned(), parsed);
    }
    (Decider::new(Policy::parse(policy), resolver.clone()), resolver)
}

async fn decide(decider: &Decider, url: &str) -> Result<Vec<String>, Denial> {
    let agent = "default".parse().expect("an agent");
    let allowed = decider
        .decide(Request {
            agent: &agent,
            method: "GET",
            url,
        })
        .await?;
    Ok(allowed.pinned.iter().map(|a| a.get().to_string()).collect())
}

const OPEN: &str = "[[allow]]\nhost = \"a.test\"\n[[allow]]\ncidr = \"93.184.215.0/24\"\n";

#[tokio::test]
async fn an_allowed_request_is_pinned_to_all_checked_addresses() {
    let (decider, _) = decider(OPEN, &[("a.test", &[&["93.184.215.14", "2606:2800:21f::1"]])]);
    assert_eq!(
        decide(&decider, "https://A.test./x").await,
        Ok(vec!["93.184.215.14".into(), "2606:2800:21f::1".into()])
    );
    assert_eq!(
        decide(&decider, "https://93.184.215.1/").await,
        Ok(vec!["93.184.215.1".into()])
    );
}

#[tokio::test]
async fn one_forbidden_answer_denies_the_whole_request() {
    for bad in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "::1",
        "fd00::1",
        "::ffff:8.8.8.8",
        "2002:a00:1::1",
    ] {
        let (decider, _) = decider(OPEN, &[("a.test", &[&["93.184.215.14", bad]])]);
        let denial = decide(&decider, "https://a.test/").await.expect_err("denied");
        assert_eq!(
            (denial.stage(), denial.code()),
            (Stage::Dns, "answer-forbidden"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_second_look_up_cannot_move_the_pin() {
    let (decider, resolver) = decider(OPEN, &[("a.test", &[&["93.184.215.14"], &["127.0.0.1"]])]);
    assert_eq!(
        decide(&decider, "https://a.test/").await,
        Ok(vec!["93.184.215.14".into()])
    );
    assert_eq!(resolver.asked.lock().len(), 1, "deciding resolves once");
    assert_eq!(
        decide(&decider, "https://a.test/")
            .await
            .expect_err("denied")
            .stage(),
        Stage::Dns
    );
}

#[tokio::test]
async fn what_the_policy_does_not_admit_is_never_resolved() {
    let (decider, resolver) = decider(OPEN, &[]);
    for url in [
        "https://secret-data.attacker.test/",
        "https://b.a.test/",
        "http://a.test/",
        "https://a.test:8443/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://a.test@b.test/",
        "https://127.0.0.1/",
    ] {
        assert!(decide(&decider, url).await.is_err(), "{url}");
    }
    assert_eq!(*resolver.asked.lock(), Vec::<String>::new());
    assert_eq!(
        decide(&decider, "https://a.test/")
            .await
            .expect_err("no answer")
            .stage(),
        Stage::Dns
    );
}

#[tokio::test]
async fn an_empty_answer_denies() {
    let (decider, _) = decider(OPEN, &[("a.test", &[&[]])]);
    assert_eq!(
        decide(&decider, "https://a.test/")
            .await
            .expect_err("denied")
            .code(),
        "unresolved"
    );
}

#[tokio::test]
async fn without_a_policy_everything_is_denied() {
    let (decider, resolver) = decider("allow = 7", &[("a.test", &[&["93.184.215.14"]])]);
    for url in ["https://a.test/", "https://93.184.215.14/", "nonsense"] {
        let denial = decide(&decider, url).await.expect_err("denied");
        assert_eq!(
            (denial.stage(), denial.code()),
            (Stage::FailClosed, "policy-unavailable")
        );
    }
    assert_eq!(decider.policy_version(), "none");
    assert!(resolver.asked.lock().is_empty());
}
