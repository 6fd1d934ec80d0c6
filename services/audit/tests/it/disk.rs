//! A disk that fills up: appends are refused, nothing acknowledged is lost, and appends go on when there is room again.

use std::time::Duration;

use harombe_audit::verify::verify;
use harombe_error::Reason;
use harombe_proto::audit::v1::Event;
use harombe_testkit::Disk;
use harombe_types::ServiceName;

use super::{Bench, event};

fn large() -> Event {
    let details = format!("{{\"text\":\"{}\"}}", "lorem ipsum ".repeat(2000));
    Event {
        details,
        ..event("local")
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_is_over_when_there_is_room() {
    let disk = Disk::of("1m");
    let bench = Bench::under(disk.path()).await;
    let mut acknowledged = 0;
    let refused = loop {
        assert!(acknowledged < 200, "the disk never filled up");
        let event = large();
        match bench.append(ServiceName::Hitl, event.clone()).await {
            Ok(index) => assert_eq!(index, acknowledged),
            Err(failure) => {
                assert_eq!(failure.reason, Reason::AuditUnavailable, "{failure}");
                assert!(failure.retry_after.is_some());
                break event;
            }
        }
        acknowledged += 1;
    };
    assert!(acknowledged > 0);
    assert_eq!(bench.size().await, acknowledged);
    disk.grow("16m");
    assert_eq!(
        bench.append(ServiceName::Hitl, refused).await.unwrap(),
        acknowledged
    );
    bench.service.shutdown(Duration::from_secs(5)).await;
    assert_eq!(
        verify(&disk.path().join("audit"), None).await.unwrap().entries,
        acknowledged + 1
    );
}
