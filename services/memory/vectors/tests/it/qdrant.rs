//! Qdrant over its wire protocol: the contract, on the test server and on a real one when there is one, and faults.

use std::fs;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use harombe_vectors::contract::World;
use harombe_vectors::testserver::TestServer;
use harombe_vectors::{Collection, Config, Ensured, Error, Qdrant, QdrantConfig, Quantization, Vectors};
use tempfile::TempDir;

use crate::edge::{filter, model, points};

const REAL: &str = "HAROMBE_TEST_QDRANT_URL";

struct There {
    qdrant: Qdrant,
    _server: Option<(TestServer, TempDir)>,
}

#[async_trait]
impl World for There {
    fn vectors(&self) -> &dyn Vectors {
        &self.qdrant
    }

    /// The test server builds no index, and a real one does it by itself.
    async fn settle(&self, _collection: &Collection) {}
}

async fn there() -> There {
    if let Ok(url) = std::env::var(REAL) {
        let config = QdrantConfig {
            url: Some(url),
            prefix: "harombe-test-".to_owned(),
            ..QdrantConfig::default()
        };
        let qdrant = Qdrant::connect(&config).unwrap();
        return There {
            qdrant,
            _server: None,
        };
    }
    let (server, folder) = server().await;
    There {
        qdrant: Qdrant::connect(&server.config()).unwrap(),
        _server: Some((server, folder)),
    }
}

async fn server() -> (TestServer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(folder.path()).await.unwrap();
    (server, folder)
}

harombe_vectors::contract!(there);

#[tokio::test]
async fn a_server_that_is_away_is_told_and_found_again() {
    let (server, _folder) = server().await;
    let qdrant = Qdrant::connect(&server.config()).unwrap();
    qdrant.ensure(&model()).await.unwrap();
    qdrant.upsert(&model(), points(0, 10)).await.unwrap();
    server.stop().await;
    let away = qdrant.upsert(&model(), points(10, 20)).await.unwrap_err();
    assert!(
        matches!(away, Error::Unreachable { .. }) && away.passes(),
        "{away}"
    );
    let away = qdrant
        .search(&model(), &filter(), &[1.0; 32], 1, false)
        .await
        .unwrap_err();
    assert!(matches!(away, Error::Unreachable { .. }), "{away}");
    let away = qdrant.ensure(&model()).await.unwrap_err();
    assert!(matches!(away, Error::Unreachable { .. }), "{away}");
    server.resume().await.unwrap();
    qdrant.upsert(&model(), points(10, 20)).await.unwrap();
    assert_eq!(qdrant.count(&model()).await.unwrap(), 20);
}

#[tokio::test]
async fn a_server_that_was_away_at_the_start_is_found() {
    let (server, _folder) = server().await;
    server.stop().await;
    let qdrant = Qdrant::connect(&server.config()).unwrap();
    assert!(matches!(
        qdrant.ensure(&model()).await,
        Err(Error::Unreachable { .. })
    ));
    server.resume().await.unwrap();
    assert_eq!(qdrant.ensure(&model()).await.unwrap(), Ensured::Created);
}

#[tokio::test]
async fn calls_are_tried_again_so_often_and_no_more() {
    let (server, _folder) = server().await;
    let qdrant = Qdrant::connect(&server.config()).unwrap();
    qdrant.ensure(&model()).await.unwrap();
    server.fail(2);
    qdrant.upsert(&model(), points(0, 10)).await.unwrap();
    assert_eq!(qdrant.count(&model()).await.unwrap(), 10);
    let before = server.calls();
    server.fail(3);
    let failed = qdrant.count(&model()).await.unwrap_err();
    assert!(matches!(failed, Error::Unreachable { .. }), "{failed}");
    assert_eq!(server.calls() - before, 3);
    assert_eq!(qdrant.count(&model()).await.unwrap(), 10);
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_not_waited_for() {
    let (server, _folder) = server().await;
    let config = QdrantConfig {
        timeout: Duration::from_millis(200).into(),
        tries: 2,
        ..server.config()
    };
    let patient = Qdrant::connect(&server.config()).unwrap();
    patient.ensure(&model()).await.unwrap();
    let qdrant = Qdrant::connect(&config).unwrap();
    server.delay(Duration::from_secs(60));
    let begun = Instant::now();
    let late = qdrant.count(&model()).await.unwrap_err();
    assert!(matches!(late, Error::Unreachable { .. }), "{late}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    server.delay(Duration::ZERO);
    assert_eq!(patient.count(&model()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_make_one_collection_at_once() {
    let (server, _folder) = server().await;
    let makers: Vec<_> = (0..8)
        .map(|_| {
            let qdrant = Qdrant::connect(&server.config()).unwrap();
            tokio::spawn(async move { qdrant.ensure(&model()).await.unwrap() })
        })
        .collect();
    let mut created = 0;
    for maker in makers {
        created += usize::from(maker.await.unwrap() == Ensured::Created);
    }
    assert_eq!(created, 1);
}

#[tokio::test]
async fn the_key_is_shown_and_a_wrong_one_told() {
    let (server, folder) = server().await;
    server.require_key("open sesame");
    let file = folder.path().join("key");
    fs::write(&file, "open sesame\n").unwrap();
    let config = QdrantConfig {
        api_key_file: Some(file.clone()),
        ..server.config()
    };
    Qdrant::connect(&config).unwrap().ensure(&model()).await.unwrap();
    fs::write(&file, "open barley").unwrap();
    let refused = Qdrant::connect(&config)
        .unwrap()
        .count(&model())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Refused { reason } if reason.contains("api_key_file")),
        "{refused}"
    );
    assert!(!refused.to_string().contains("barley"));
    fs::remove_file(&file).unwrap();
    assert!(matches!(Qdrant::connect(&config), Err(Error::Config(_))));
}

#[tokio::test]
async fn collections_of_others_are_left_alone() {
    let (server, _folder) = server().await;
    let ours = Qdrant::connect(&server.config()).unwrap();
    let theirs = QdrantConfig {
        prefix: "theirs-".to_owned(),
        ..server.config()
    };
    let theirs = Qdrant::connect(&theirs).unwrap();
    for qdrant in [&ours, &theirs] {
        assert_eq!(qdrant.ensure(&model()).await.unwrap(), Ensured::Created);
        qdrant.upsert(&model(), points(0, 5)).await.unwrap();
        assert_eq!(qdrant.collections().await.unwrap(), [model()]);
    }
    ours.drop_collection(&model().name).await.unwrap();
    assert_eq!(theirs.count(&model()).await.unwrap(), 5);
}

#[tokio::test]
async fn a_collection_is_made_as_the_configuration_says() {
    let (server, _folder) = server().await;
    for quantization in [Quantization::None, Quantization::Int8, Quantization::Binary] {
        let config = QdrantConfig {
            quantization,
            shards: 2,
            replicas: 3,
            write_consistency: 2,
            ..server.config()
        };
        let qdrant = Qdrant::connect(&config).unwrap();
        qdrant.ensure(&model()).await.unwrap();
        let made = server.made("harombe-model-0123").unwrap();
        assert_eq!(made.shard_number, Some(2));
        assert_eq!(made.replication_factor, Some(3));
        assert_eq!(made.write_consistency_factor, Some(2));
        assert_eq!(
            made.quantization_config.is_some(),
            quantization != Quantization::None
        );
        let graph = made.hnsw_config.unwrap();
        assert_eq!((graph.m, graph.payload_m), (Some(0), Some(16)));
        qdrant.upsert(&model(), points(0, 10)).await.unwrap();
        let hits = qdrant
            .search(&model(), &filter(), &[1.0; 32], 3, false)
            .await
            .unwrap();
        assert_eq!(hits.len(), 3);
        qdrant.drop_collection(&model().name).await.unwrap();
    }
}

#[test]
fn the_configuration_is_read_and_its_faults_are_told() {
    let config: Config = toml::from_str(
        "[qdrant]\nurl = \"https://qdrant.example:6334\"\nquantization = \"int8\"\nreplicas = 2\nwrite_consistency = 2\n[edge]\nindex_from = \"1MiB\"",
    )
    .unwrap();
    assert_eq!(config.validate("memory.vectors"), Vec::<String>::new());
    assert!(Config::default().validate("memory.vectors").is_empty());
    assert!(toml::from_str::<Config>("[qdrant]\napi_key = \"x\"").is_err());
    let config: Config = toml::from_str(
        "[qdrant]\nurl = \"http://qdrant.example:6334\"\ntries = 0\nprefix = \"A\"\ntimeout = \"1ms\"\nwrite_consistency = 2\n[edge]\nsearch_threads = 0\nindex_from = \"1KiB\"\nindex_idle = \"1ms\"\nmin_free = \"2048GiB\"",
    )
    .unwrap();
    let faults = config.validate("memory.vectors");
    for key in [
        "edge.search_threads",
        "edge.index_from",
        "edge.index_idle",
        "edge.min_free",
        "qdrant.url",
        "qdrant.tries",
        "qdrant.prefix",
        "qdrant.timeout",
        "qdrant.write_consistency",
    ] {
        let key = format!("memory.vectors.{key}: ");
        assert!(
            faults.iter().any(|fault| fault.starts_with(&key)),
            "{key} in {faults:?}"
        );
    }
    assert_eq!(faults.len(), 9, "{faults:?}");
}

#[test]
fn plain_text_stays_on_this_machine() {
    for (url, good) in [
        ("http://localhost:6334", true),
        ("http://127.0.0.1:6334", true),
        ("http://[::1]:6334", true),
        ("https://qdrant.example:6334", true),
        ("http://qdrant.example:6334", false),
        ("http://10.0.0.1:6334", false),
        ("http://localhost", false),
        ("localhost:6334", false),
        ("ftp://localhost:6334", false),
        ("", false),
    ] {
        let config = Config {
            qdrant: QdrantConfig {
                url: Some(url.to_owned()),
                ..QdrantConfig::default()
            },
            ..Config::default()
        };
        assert_eq!(config.validate("memory.vectors").is_empty(), good, "{url}");
    }
}
