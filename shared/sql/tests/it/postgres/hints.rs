//! Hints from process to process.

use std::sync::Arc;
use std::time::Duration;

use harombe_sql::{Hints, Postgres};
use harombe_testkit::postgres::{Database, Server};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::open;

/// A process on the schema, and what it hears, in order; `None` where something may have been missed.
fn process(postgres: Postgres, stop: &CancellationToken) -> (Arc<Hints>, mpsc::Receiver<Option<String>>) {
    let (heard, hears) = mpsc::channel(1024);
    let hints = Arc::new(Hints::start(postgres));
    let (listening, stop) = (Arc::clone(&hints), stop.clone());
    tokio::spawn(async move {
        let read = |hint: &str| (!hint.is_empty()).then(|| Some(hint.to_owned()));
        listening.listen(&stop, heard, read, || None).await;
    });
    (hints, hears)
}

#[tokio::test]
async fn a_hint_reaches_every_other_process_of_the_schema() {
    let database = Database::create().await;
    let stop = CancellationToken::new();
    let (one, mut at_one) = process(open(&database.config()).await, &stop);
    let (other, mut at_other) = process(open(&database.config()).await, &stop);
    let (_third, mut at_third) = process(open(&database.config()).await, &stop);
    for hears in [&mut at_one, &mut at_other, &mut at_third] {
        assert_eq!(hears.recv().await, Some(None));
    }
    for number in 0..300 {
        one.tell(number);
    }
    one.tell("");
    for hears in [&mut at_other, &mut at_third] {
        for number in 0..300 {
            assert_eq!(hears.recv().await, Some(Some(format!("{number}"))));
        }
    }
    // Its own and what nobody understands it did not hear, though they were sent before.
    other.tell("answer with words");
    for hears in [&mut at_one, &mut at_third] {
        assert_eq!(hears.recv().await, Some(Some("answer with words".to_owned())));
    }
    stop.cancel();
    assert_eq!(at_one.recv().await, None);
}

#[tokio::test]
async fn a_listener_that_lost_its_server_says_that_it_may_have_missed_something() {
    let mut server = Server::create().await;
    let mut config = server.config();
    config.acquire = Duration::from_secs(60).into();
    let stop = CancellationToken::new();
    let (_one, mut hears) = process(open(&config).await, &stop);
    let (other, _) = process(open(&config).await, &stop);
    assert_eq!(hears.recv().await, Some(None));
    server.kill();
    server.start().await;
    assert_eq!(hears.recv().await, Some(None));
    let hint = async {
        loop {
            other.tell("again");
            tokio::select! {
                heard = hears.recv() => return heard,
                // a stale connection may have swallowed the hint
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    };
    assert_eq!(hint.await, Some(Some("again".to_owned())));
    stop.cancel();
}
