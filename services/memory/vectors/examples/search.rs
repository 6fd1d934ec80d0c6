//! How fast Edge is, how well its index finds, and how much memory it takes: `speed [POINTS [TENANTS]]`, with `--release`.
//! Prints one line of JSON for each measure.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measure, run by hand"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_types::SystemClock;
use harombe_vectors::contract::Numbers;
use harombe_vectors::{Collection, Edge, EdgeConfig, Filter, Point, Tags, Vectors};
use serde_json::{Value, json};
use uuid::Uuid;

const DIMENSION: u32 = 384;
const BATCH: usize = 500;
const QUERIES: usize = 500;

struct World {
    edge: Edge,
    collection: Collection,
    tenants: usize,
    centers: Vec<Vec<f32>>,
    random: Numbers,
    written: usize,
}

impl World {
    fn vector(&mut self) -> Vec<f32> {
        let center = usize::try_from(self.random.next_u64()).unwrap() % self.centers.len();
        self.random.near(&self.centers[center], 0.7)
    }

    fn filter(&self, query: usize) -> Filter {
        Filter {
            tenant: format!("tenant-{}", query % self.tenants),
            subject: "subject".to_owned(),
            ..Filter::default()
        }
    }

    fn batch(&mut self, many: usize) -> Vec<Point> {
        let from = self.written;
        self.written += many;
        (from..from + many)
            .map(|number| Point {
                id: Uuid::from_u128(u128::try_from(number).unwrap()),
                vector: self.vector(),
                tags: Tags {
                    tenant: format!("tenant-{}", number % self.tenants),
                    subject: "subject".to_owned(),
                    agent: "default".to_owned(),
                    session: Some(Uuid::from_u128(u128::try_from(number / 50).unwrap())),
                    kind: 1,
                    label: 1,
                    time_ms: i64::try_from(number).unwrap(),
                    seq: number as u64,
                },
            })
            .collect()
    }

    async fn fill(&mut self, to: usize) -> Vec<Duration> {
        let mut took = Vec::new();
        while self.written < to {
            let batch = self.batch(BATCH);
            let begun = Instant::now();
            self.edge.upsert(&self.collection, batch).await.unwrap();
            took.push(begun.elapsed());
        }
        took
    }

    async fn searches(&mut self, exact: bool) -> Vec<Duration> {
        let mut took = Vec::new();
        for query in 0..QUERIES {
            let (vector, filter) = (self.vector(), self.filter(query));
            let begun = Instant::now();
            self.edge
                .search(&self.collection, &filter, &vector, 10, exact)
                .await
                .unwrap();
            took.push(begun.elapsed());
        }
        took
    }

    async fn recall(&mut self) -> f64 {
        let (mut there, mut asked) = (0_u32, 0_u32);
        for query in 0..200 {
            let (vector, filter) = (self.vector(), self.filter(query));
            let ask = async |exact| {
                let hits = self.edge.search(&self.collection, &filter, &vector, 5, exact);
                hits.await.unwrap()
            };
            let (exact, hits) = (ask(true).await, ask(false).await);
            for hit in exact {
                asked += 1;
                there += u32::from(hits.iter().any(|found| found.id == hit.id));
            }
        }
        f64::from(there) / f64::from(asked)
    }
}

fn say(what: &str, value: impl Into<Value>) {
    println!("{}", json!({ what: value.into() }));
}

fn spread(mut took: Vec<Duration>) -> Value {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_micros();
    json!({ "n": took.len(), "p50_us": at(50), "p99_us": at(99), "max_us": at(100) })
}

/// Megabytes of this process: all, its own, and files that are mapped.
fn memory() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    json!({ "rss_mb": field("VmRSS") / 1024, "anon_mb": field("RssAnon") / 1024, "file_mb": field("RssFile") / 1024 })
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let points: usize = numbers.next().unwrap_or(100_000);
    let tenants: usize = numbers.next().unwrap_or(50);
    let folder = std::env::temp_dir().join(format!("vectors-speed-{}", std::process::id()));
    let config = EdgeConfig {
        index_idle: Duration::from_secs(3600).into(),
        index_after: 10_000_000,
        ..EdgeConfig::default()
    };
    let edge = Edge::open(&config, &folder, Arc::new(SystemClock)).unwrap();
    let collection = Collection {
        name: "speed".to_owned(),
        dimension: DIMENSION,
    };
    edge.ensure(&collection).await.unwrap();
    let mut random = Numbers::new(1);
    let centers = (0..1_000).map(|_| random.vector(DIMENSION)).collect();
    let mut world = World {
        edge,
        collection,
        tenants,
        centers,
        random,
        written: 0,
    };
    say("memory_at_0", memory());
    write(&mut world, points).await;
    say("search_before_index", spread(world.searches(false).await));
    build(&mut world).await;
    say("search_after_index", spread(world.searches(false).await));
    say("search_exact", spread(world.searches(true).await));
    say("recall_at_5", world.recall().await);
    say("memory_after_index", memory());
    world.edge.close().await;

    let begun = Instant::now();
    let edge = Edge::open(&config, &folder, Arc::new(SystemClock)).unwrap();
    edge.ensure(&world.collection).await.unwrap();
    say("open_ms", json!(begun.elapsed().as_millis()));
    edge.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn write(world: &mut World, points: usize) {
    for stage in [10_000, points] {
        let before = world.written;
        let took = world.fill(stage.min(points)).await;
        let total: Duration = took.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
        let rate = (world.written - before) as f64 / total.as_secs_f64();
        say("upserts_per_s", rate.round());
        say("upsert_500", spread(took));
        say(&format!("memory_at_{}", world.written), memory());
        if stage == points {
            break;
        }
    }
    let mut took = Vec::new();
    for _ in 0..200 {
        let one = world.batch(1);
        let begun = Instant::now();
        world.edge.upsert(&world.collection, one).await.unwrap();
        took.push(begun.elapsed());
    }
    say("upsert_1", spread(took));
}

/// Builds the index while searches and writes go on.
async fn build(world: &mut World) {
    let begun = Instant::now();
    let (mut searched, mut written) = (Vec::new(), Vec::new());
    let mut batches = (0..2_000).map(|_| world.batch(1)).collect::<Vec<_>>();
    let queries: Vec<_> = (0..QUERIES)
        .map(|query| (world.vector(), world.filter(query)))
        .collect();
    let (edge, collection) = (&world.edge, &world.collection);
    let mut building = Box::pin(edge.index(collection));
    for (vector, filter) in queries.iter().cycle() {
        let beside = async {
            let begun = Instant::now();
            edge.search(collection, filter, vector, 10, false).await.unwrap();
            searched.push(begun.elapsed());
            if let Some(one) = batches.pop() {
                let begun = Instant::now();
                edge.upsert(collection, one).await.unwrap();
                written.push(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        tokio::select! {
            built = &mut building => {
                assert!(built.unwrap(), "nothing was built");
                break;
            }
            () = beside => {}
        }
    }
    say("index_s", json!(begun.elapsed().as_secs_f64()));
    say("search_while_indexing", spread(searched));
    say("upsert_1_while_indexing", spread(written));
}
