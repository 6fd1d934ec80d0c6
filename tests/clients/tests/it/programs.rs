use harombe_clients::root;

use crate::Topology;

both!(
    the_openai_sdk,
    grpcio_with_generated_stubs,
    curl,
    grpc_web,
    the_document_is_valid
);

/// Runs one of `programs/`, which exits with 0 when it saw what it should.
async fn check(topology: Topology, interpreter: &str, program: &str) {
    let system = topology.start().await;
    let path = root().join("tests/clients/programs").join(program);
    let done = system.run(interpreter, &[path.to_str().unwrap()]).await;
    assert!(done.good, "{program}\n{}\n{}", done.out, done.err);
    system.stop().await;
}

async fn the_openai_sdk(topology: Topology) {
    check(topology, "python3", "openai_sdk.py").await;
}

async fn grpcio_with_generated_stubs(topology: Topology) {
    check(topology, "python3", "grpc_stubs.py").await;
}

async fn curl(topology: Topology) {
    check(topology, "bash", "curl.sh").await;
}

async fn grpc_web(topology: Topology) {
    check(topology, "node", "grpc_web.mjs").await;
}

async fn the_document_is_valid(topology: Topology) {
    check(topology, "python3", "document.py").await;
}
