//! The proof that the log only grew, as somebody checks it who kept an older checkpoint.

use harombe_audit::VerifyingKey;
use harombe_error::{Failure, Reason};
use harombe_proto::audit::v1::{GetConsistencyProofRequest, QueryRequest};
use harombe_tlog::{Checkpoint, Hash, leaf_hash, verify_consistency};
use harombe_types::ServiceName;
use tempfile::TempDir;

use super::{Bench, event, of};

#[tokio::test]
async fn an_older_checkpoint_is_shown_to_be_the_beginning_of_a_newer() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    for _ in 0..2 {
        bench.append(ServiceName::Hitl, event("local")).await.unwrap();
    }
    let (entries, _) = bench.query(&of("local"), QueryRequest::default()).await.unwrap();
    let key = VerifyingKey::parse(bench.service.verifier_key()).unwrap();
    let mut client = bench.client(ServiceName::Gateway);
    let wanted = GetConsistencyProofRequest {
        old_size: 1,
        new_size: 0,
    };
    let grown = client
        .get_consistency_proof(bench.read(&of("local"), wanted))
        .await
        .unwrap()
        .into_inner();
    let path: Vec<Hash> = grown
        .hashes
        .iter()
        .map(|hash| Hash::try_from(&hash[..]).unwrap())
        .collect();
    assert_eq!((grown.old_size, grown.new_size), (1, 2));
    let new = Checkpoint::open(grown.checkpoint.as_bytes(), &key).unwrap();
    verify_consistency((1, &leaf_hash(&entries[0].leaf)), (2, new.root()), &path).unwrap();
    for (old_size, new_size) in [(2, 1), (3, 0), (0, 3)] {
        let wanted = GetConsistencyProofRequest { old_size, new_size };
        let refused = client
            .get_consistency_proof(bench.read(&of("local"), wanted))
            .await
            .unwrap_err();
        assert_eq!(Failure::from(refused).reason, Reason::InvalidArgument);
    }
}
