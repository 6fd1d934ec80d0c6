//! An admin has the log forget a person: who may, and what the log says afterwards.

use std::time::Duration;

use harombe_audit::verify::verify;
use harombe_error::{Failure, Reason};
use harombe_proto::audit::v1::ErasePersonRequest;
use harombe_proto::audit::v1::erasure_service_client::ErasureServiceClient;
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::{person, run};
use harombe_types::{Person, Role, ServiceName, SystemClock};
use tempfile::TempDir;
use tonic::Request;

use super::{Bench, QueryRequest, event, of};

fn named(subject: &str) -> ErasePersonRequest {
    ErasePersonRequest {
        subject: subject.to_owned(),
    }
}

impl Bench {
    async fn ask(&self, as_: ServiceName, request: Request<ErasePersonRequest>) -> Result<u64, Failure> {
        let channel = GrpcChannel::local(self.service.server(), as_);
        let answer = ErasureServiceClient::new(channel).erase_person(request).await?;
        Ok(answer.into_inner().data_keys)
    }

    async fn erase(&self, by: &Person, subject: &str) -> Result<u64, Failure> {
        self.ask(ServiceName::Gateway, self.read(by, named(subject)))
            .await
    }

    /// Kind and details of every entry that `by` may see.
    async fn shown(&self, by: &Person) -> Vec<(String, String)> {
        let (entries, _) = self.query(by, QueryRequest::default()).await.unwrap();
        let kind = |leaf: &[u8]| {
            let leaf: serde_json::Value = serde_json::from_slice(leaf).unwrap();
            leaf["kind"].as_str().unwrap().to_owned()
        };
        entries
            .into_iter()
            .map(|entry| (kind(&entry.leaf), entry.details))
            .collect()
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(kind, details): &(&str, &str)| ((*kind).to_owned(), (*details).to_owned());
    expected.iter().map(owned).collect()
}

const STARTED: (&str, &str) = ("exec.started", r#"{"path":"notes.txt"}"#);
const CLOSED: (&str, &str) = ("exec.started", "");
const ERASED: (&str, &str) = ("data_key.erased", r#"{"subject":"ann"}"#);

#[tokio::test]
async fn a_person_is_erased_from_the_log_of_their_tenant() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let (root, elsewhere) = (person("root"), of("elsewhere"));
    for tenant in ["local", "local", "elsewhere"] {
        bench.append(ServiceName::Hitl, event(tenant)).await.unwrap();
    }
    assert_eq!(bench.shown(&root).await, pairs(&[STARTED, STARTED]));
    assert_eq!(bench.erase(&root, "ann").await.unwrap(), 1);
    assert_eq!(bench.erase(&root, "ann").await.unwrap(), 0);
    bench.append(ServiceName::Hitl, event("local")).await.unwrap();
    assert_eq!(
        bench.shown(&root).await,
        pairs(&[CLOSED, CLOSED, ERASED, STARTED])
    );
    assert_eq!(bench.shown(&elsewhere).await, pairs(&[STARTED]));
    bench.service.shutdown(Duration::from_secs(5)).await;
    let directory = directory.path().join("audit");
    let report = verify(&directory, None).await.unwrap();
    assert_eq!(report.entries, 5);
    let (entries, _) = harombe_audit::files::query(&directory, &Default::default(), 0, 10)
        .await
        .unwrap();
    let details: Vec<_> = entries.iter().map(|entry| entry.details.as_str()).collect();
    assert_eq!(details, ["", "", STARTED.1, ERASED.1, STARTED.1]);
}

#[tokio::test]
async fn only_an_admin_through_the_gateway_erases() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    bench.append(ServiceName::Hitl, event("local")).await.unwrap();
    let mut others = person("eve");
    others.roles.remove(&Role::Admin);
    let token = bench.pki.run_token(&run("ann", &SystemClock));
    let refused = [
        bench.erase(&others, "ann").await,
        bench
            .ask(ServiceName::Gateway, Request::new(named("ann")).with_token(token))
            .await,
        bench
            .ask(ServiceName::Hitl, bench.read(&person("root"), named("ann")))
            .await,
        bench
            .ask(ServiceName::Runtime, bench.read(&person("root"), named("ann")))
            .await,
    ];
    let reasons = refused.map(|refused| refused.unwrap_err().reason);
    assert!(
        reasons
            .iter()
            .all(|reason| matches!(reason, Reason::NotAllowed | Reason::Unauthenticated)),
        "{reasons:?}"
    );
    assert_eq!(
        (reasons[0], reasons[2], reasons[3]),
        (Reason::NotAllowed, Reason::NotAllowed, Reason::NotAllowed)
    );
    let without = bench.ask(ServiceName::Gateway, Request::new(named("ann"))).await;
    assert_eq!(without.unwrap_err().reason, Reason::Unauthenticated);
    for subject in ["", "a b", &"x".repeat(1000)] {
        let refused = bench.erase(&person("root"), subject).await.unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidArgument, "{subject:?}");
        assert!(refused.message.contains("subject"), "{refused}");
    }
    assert_eq!(bench.shown(&person("root")).await, pairs(&[STARTED]));
    bench.service.shutdown(Duration::from_secs(5)).await;
}
