//! Hints from process to process.

use std::time::Duration;

use harombe_sql::{Heard, Postgres};
use harombe_testkit::postgres::{Database, Server};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::open;

/// What a listener hears, in order; `None` for a gap.
fn listen(postgres: &Postgres, stop: &CancellationToken) -> mpsc::Receiver<Option<String>> {
    let (heard, hears) = mpsc::channel(1024);
    let (postgres, stop) = (postgres.clone(), stop.clone());
    tokio::spawn(async move {
        let tell = |hint: Heard<'_>| {
            let _ = heard.try_send(match hint {
                Heard::Hint(hint) => Some(hint.to_owned()),
                Heard::Gap => None,
            });
        };
        postgres.listen(&stop, tell).await;
    });
    hears
}

#[tokio::test]
async fn a_hint_reaches_every_process_of_the_schema() {
    let database = Database::create().await;
    let (one, other) = (open(&database.config()).await, open(&database.config()).await);
    let stop = CancellationToken::new();
    let (mut at_one, mut at_other) = (listen(&one, &stop), listen(&other, &stop));
    assert_eq!(at_one.recv().await, Some(None));
    assert_eq!(at_other.recv().await, Some(None));
    let (notifier, sending) = one.notifier(stop.clone());
    tokio::spawn(sending);
    for number in 0..300 {
        notifier.notify(format!("{number}"));
    }
    for hears in [&mut at_one, &mut at_other] {
        for number in 0..300 {
            assert_eq!(hears.recv().await, Some(Some(format!("{number}"))));
        }
    }
    stop.cancel();
    assert_eq!(at_one.recv().await, None);
}

#[tokio::test]
async fn a_listener_that_lost_its_server_says_that_it_may_have_missed_something() {
    let mut server = Server::create().await;
    let mut config = server.config();
    config.acquire = Duration::from_secs(60).into();
    let postgres = open(&config).await;
    let stop = CancellationToken::new();
    let mut hears = listen(&postgres, &stop);
    assert_eq!(hears.recv().await, Some(None));
    server.kill();
    server.start().await;
    assert_eq!(hears.recv().await, Some(None));
    let (notifier, sending) = postgres.notifier(stop.clone());
    tokio::spawn(sending);
    let hint = async {
        loop {
            notifier.notify("again".to_owned());
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
