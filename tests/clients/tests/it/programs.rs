use harombe_clients::{System, root};

/// Runs one of `programs/`, which exits with 0 when it saw what it should.
async fn check(interpreter: &str, program: &str) {
    let system = System::start().await;
    let path = root().join("tests/clients/programs").join(program);
    let done = system.run(interpreter, &[path.to_str().unwrap()]).await;
    assert!(done.good, "{program}\n{}\n{}", done.out, done.err);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_sdk() {
    check("python3", "openai_sdk.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_with_generated_stubs() {
    check("python3", "grpc_stubs.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    check("bash", "curl.sh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid() {
    check("python3", "document.py").await;
}
