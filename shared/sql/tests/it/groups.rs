//! The batch form: whole groups in one transaction, all or nothing, fair, bounded.

use std::sync::Arc;
use std::time::Duration;

use harombe_sql::fair::Bounds;
use harombe_sql::{BulkInsert, Connection, Error, GroupCommit, Handler, Limits};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::{names, open};

/// What the handler was asked, and a gate it passes once per group.
#[derive(Default)]
struct Seen {
    groups: Vec<Vec<String>>,
    rolled_back: usize,
    committed: usize,
}

struct Notes {
    seen: Arc<Mutex<Seen>>,
    gate: Arc<Semaphore>,
    entered: Arc<Semaphore>,
    insert: BulkInsert,
}

impl Handler for Notes {
    type Job = String;
    type Reply = usize;
    type Key = char;

    async fn apply(&mut self, tx: &mut Connection, jobs: Vec<String>) -> Result<Vec<usize>, Error> {
        self.seen.lock().groups.push(jobs.clone());
        self.entered.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        let poisoned = jobs.iter().any(|job| job == "poison");
        let short = jobs.iter().any(|job| job == "short");
        let replies = (1..=jobs.len()).collect();
        self.insert
            .insert(tx, jobs, |query, name| query.bind(name).bind(vec![1_u8; 8]))
            .await?;
        if poisoned {
            return Err(Error::handler(std::io::Error::other("poison")));
        }
        Ok(if short { Vec::new() } else { replies })
    }

    fn committed(&mut self) {
        self.seen.lock().committed += 1;
    }

    fn rolled_back(&mut self) {
        self.seen.lock().rolled_back += 1;
    }
}

struct Fixture {
    _directory: tempfile::TempDir,
    database: harombe_sql::Database,
    commits: GroupCommit<Notes>,
    seen: Arc<Mutex<Seen>>,
    gate: Arc<Semaphore>,
    entered: Arc<Semaphore>,
}

async fn fixture(limits: Limits) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let (database, writer) = open(&directory.path().join("notes.db")).await;
    let (seen, gate) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Semaphore::new(0)));
    let entered = Arc::new(Semaphore::new(0));
    let handler = Notes {
        seen: Arc::clone(&seen),
        gate: Arc::clone(&gate),
        entered: Arc::clone(&entered),
        insert: BulkInsert::new("INSERT INTO notes (name, body)", 2),
    };
    let commits = GroupCommit::start(writer, handler, limits);
    Fixture {
        _directory: directory,
        database,
        commits,
        seen,
        gate,
        entered,
    }
}

impl Fixture {
    fn submit(&self, key: char, job: &str) -> tokio::task::JoinHandle<Result<usize, Error>> {
        let (commits, job) = (self.commits.clone(), job.to_owned());
        tokio::spawn(async move { commits.submit(&key, job).await })
    }

    async fn handler_is_inside(&self) {
        self.entered.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn while_one_group_commits_the_next_collects_and_takes_turns() {
    let fixture = fixture(Limits::default()).await;
    let first = fixture.submit('n', "first");
    fixture.handler_is_inside().await;
    let noisy: Vec<_> = (0..3)
        .map(|number| fixture.submit('n', &format!("noisy {number}")))
        .collect();
    let quiet = fixture.submit('q', "quiet");
    tokio::task::yield_now().await;
    fixture.gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(quiet.await.unwrap().unwrap(), 2);
    for (job, reply) in noisy.into_iter().zip([1, 3, 4]) {
        assert_eq!(job.await.unwrap().unwrap(), reply);
    }
    let seen = fixture.seen.lock();
    assert_eq!(
        seen.groups,
        [vec!["first"], vec!["noisy 0", "quiet", "noisy 1", "noisy 2"]]
    );
    assert_eq!((seen.committed, seen.rolled_back), (2, 0));
}

#[tokio::test]
async fn a_group_that_fails_leaves_nothing_and_the_writer_goes_on() {
    let fixture = fixture(Limits::default()).await;
    for bad in ["poison", "short"] {
        let first = fixture.submit('a', "holder");
        fixture.handler_is_inside().await;
        let (neighbour, bad) = (fixture.submit('a', "neighbour"), fixture.submit('a', bad));
        tokio::task::yield_now().await;
        fixture.gate.add_permits(2);
        first.await.unwrap().ok();
        fixture.handler_is_inside().await;
        assert!(neighbour.await.unwrap().is_err());
        let error = bad.await.unwrap().unwrap_err();
        assert!(
            matches!(error, Error::Handler(_) | Error::Replies { jobs: 2, replies: 0 }),
            "{error:?}"
        );
    }
    fixture.gate.add_permits(1);
    fixture.submit('a', "after").await.unwrap().unwrap();
    // the second "holder" broke the unique name, alone in its group
    assert_eq!(names(&fixture.database).await, ["holder", "after"]);
    assert_eq!(fixture.seen.lock().rolled_back, 3);
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_until_their_deadline() {
    let bounds = Bounds {
        per_key: 1,
        total: 4,
        callers: 100,
    };
    let fixture = fixture(Limits {
        group: 1,
        queue: bounds,
        max_wait: Duration::from_secs(60),
    })
    .await;
    let inside = fixture.submit('a', "inside");
    fixture.handler_is_inside().await;
    let waiting = fixture.submit('a', "waiting");
    tokio::task::yield_now().await;
    let late = fixture
        .commits
        .submit_before(Instant::now(), &'a', "late".to_owned())
        .await;
    assert!(matches!(late, Err(Error::QueueFull)), "{late:?}");
    let other = fixture.submit('b', "other");
    let patient = fixture.submit('a', "patient");
    fixture.gate.add_permits(4);
    for job in [inside, waiting, other, patient] {
        job.await.unwrap().unwrap();
    }
    assert_eq!(
        names(&fixture.database).await,
        ["inside", "waiting", "other", "patient"]
    );
}

#[tokio::test]
async fn many_rows_take_few_statements_and_all_arrive_in_order() {
    let fixture = fixture(Limits::default()).await;
    fixture.gate.add_permits(1000);
    let jobs: Vec<_> = (0..617)
        .map(|number| fixture.submit('a', &format!("{number:04}")))
        .collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    let names = names(&fixture.database).await;
    assert_eq!(names.len(), 617);
    assert!(names.is_sorted());
}
