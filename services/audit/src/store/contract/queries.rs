//! Queries: complete with the index and without it.

use harombe_types::{RunId, ServiceName, SystemClock};

use super::*;
use crate::log::PAGE;

pub(super) async fn queries_see_the_newest_entry_with_and_without_the_index(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let run = RunId::generate(&SystemClock);
    let mut events = writer.events("alpha", 5);
    events[1].run = Some(run);
    events[3].run = Some(run);
    events[3].kind = "run.started".to_owned();
    log.append(writer.service, events).await.unwrap();
    log.append(writer.service, writer.events("beta", 2))
        .await
        .unwrap();
    let by_run = Filter {
        run: Some(run.to_string()),
        ..of("alpha")
    };
    for indexed in [false, true] {
        let found = log.find(&by_run, 0, 0).await.unwrap();
        assert_eq!(
            (found.indexes, found.complete_to, found.log_size, found.next),
            (vec![1, 3], 7, 7, 0)
        );
        let kind = Filter {
            kind: Some("run.started".to_owned()),
            ..by_run.clone()
        };
        assert_eq!(log.find(&kind, 0, 0).await.unwrap().indexes, [3]);
        assert_eq!(log.find(&kind, 4, 0).await.unwrap().indexes, Vec::<u64>::new());
        let other = Filter {
            tenant: Some("beta".to_owned()),
            ..by_run.clone()
        };
        assert_eq!(log.find(&other, 0, 0).await.unwrap().indexes, Vec::<u64>::new());
        assert_eq!(log.find(&of("beta"), 0, 0).await.unwrap().indexes, [5, 6]);
        let service = Filter {
            service: Some("runtime".to_owned()),
            ..of("alpha")
        };
        assert_eq!(log.find(&service, 0, 0).await.unwrap().indexes, Vec::<u64>::new());
        assert_eq!(log.index_more().await.unwrap(), !indexed);
    }
    // Half in the index, half behind it, in pages.
    log.append(writer.service, writer.events("alpha", 3))
        .await
        .unwrap();
    let first = log.find(&of("alpha"), 0, 4).await.unwrap();
    assert_eq!((first.indexes, first.next), (vec![0, 1, 2, 3], 4));
    let second = log.find(&of("alpha"), first.next, 3).await.unwrap();
    assert_eq!((second.indexes, second.next), (vec![4, 7, 8], 9));
    let last = log.find(&of("alpha"), second.next, 3).await.unwrap();
    assert_eq!((last.indexes, last.next, last.complete_to), (vec![9], 0, 10));
    log.close().await;
}

pub(super) async fn queries_by_time(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut events = writer.events("alpha", 3);
    for (event, millis) in events.iter_mut().zip([1_000, 2_000, 3_000]) {
        event.time = crate::fixture::at(millis);
    }
    log.append(writer.service, events).await.unwrap();
    for _ in 0..2 {
        let between = Filter {
            since: Some(2_000),
            until: Some(3_000),
            ..of("alpha")
        };
        assert_eq!(log.find(&between, 0, 0).await.unwrap().indexes, [1]);
        let since = Filter {
            since: Some(2_000),
            ..of("alpha")
        };
        assert_eq!(log.find(&since, 0, 0).await.unwrap().indexes, [1, 2]);
        log.index_more().await.unwrap();
    }
    log.close().await;
}

pub(super) async fn a_page_of_the_tail_that_holds_no_match_does_not_end_the_search(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let filler = usize::try_from(PAGE).unwrap();
    log.append(writer.service, writer.events("alpha", filler))
        .await
        .unwrap();
    log.append(writer.service, writer.events("alpha", filler))
        .await
        .unwrap();
    log.append(writer.service, writer.events("beta", 1))
        .await
        .unwrap();
    let found = log.find(&of("beta"), 0, 0).await.unwrap();
    assert_eq!((found.indexes, found.next), (vec![u64::from(PAGE) * 2], 0));
    log.close().await;
}

pub(super) async fn an_answer_is_whole_up_to_where_it_says_while_the_log_grows(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let grow = async {
        for _ in 0..40 {
            log.append(writer.service, writer.events("alpha", 5))
                .await
                .unwrap();
            log.index_more().await.unwrap();
        }
    };
    let ask = async {
        loop {
            let found = log.find(&of("alpha"), 0, 0).await.unwrap();
            assert_eq!(found.indexes, (0..found.complete_to).collect::<Vec<_>>());
            assert_eq!(found.complete_to, found.log_size);
            if found.log_size == 200 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(grow, ask);
    log.close().await;
}
