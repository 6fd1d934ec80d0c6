use harombe_types::ManualClock;

use super::*;

fn logins(per_minute: u32) -> (Arc<ManualClock>, Logins) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_000)));
    (clock.clone(), Logins::new(clock, per_minute))
}

fn at(text: &str) -> Origin {
    Origin::address(text.parse().unwrap())
}

#[test]
fn one_origin_waits_and_others_do_not() {
    let (clock, logins) = logins(3);
    let origin = at("192.0.2.1");
    for _ in 0..2 {
        assert_eq!(logins.failed(origin).wait, None);
    }
    assert_eq!(logins.wait(origin), None);
    assert_eq!(logins.failed(origin).wait, Some(WINDOW));
    clock.advance(Duration::from_secs(20));
    assert_eq!(logins.wait(origin), Some(Duration::from_secs(40)));
    assert_eq!(logins.wait(at("192.0.2.2")), None);
    assert_eq!(logins.failed(at("192.0.2.2")).wait, None);
    clock.advance(Duration::from_secs(40));
    assert_eq!(logins.wait(origin), None);
    assert_eq!(logins.failed(origin).wait, None);
}

#[test]
fn addresses_of_one_network_are_one_origin() {
    assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
    assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
}

#[test]
fn a_record_counts_those_that_were_not_recorded() {
    let (clock, logins) = logins(1000);
    let origin = Origin::Socket(Some(7));
    assert_eq!(logins.failed(origin).record, Some(1));
    for _ in 0..4 {
        assert_eq!(logins.failed(origin).record, None);
    }
    clock.advance(RECORD_EVERY);
    assert_eq!(logins.failed(origin).record, Some(5));
    // Also across windows.
    assert_eq!(logins.failed(origin).record, None);
    clock.advance(WINDOW);
    assert_eq!(logins.failed(origin).record, Some(2));
}

#[test]
fn many_origins_fill_neither_the_log_nor_the_memory() {
    let (clock, logins) = logins(3);
    let origin = |n: u32| Origin::address(IpAddr::V4(n.into()));
    let count = u32::try_from(REMEMBERED).unwrap() * 2;
    let records = (0..count)
        .filter(|n| logins.failed(origin(*n)).record.is_some())
        .count();
    assert_eq!(records, usize::try_from(MOST_RECORDS).unwrap());
    assert_eq!(logins.seen.lock().windows.len(), REMEMBERED + 1);
    // Those without a place share one, and wait together.
    assert!(logins.wait(origin(count)).is_some());
    assert_eq!(logins.wait(origin(0)), None);
    clock.advance(WINDOW);
    assert_eq!(logins.wait(origin(count)), None);
    assert!(logins.failed(origin(count)).record.is_some());
    assert_eq!(logins.seen.lock().windows.len(), 1);
}

#[test]
fn lanes_are_few() {
    let (_, logins) = logins(1);
    let held: Vec<_> = std::iter::from_fn(|| logins.lane()).take(100).collect();
    assert_eq!(held.len(), LANES);
    drop(held);
    assert!(logins.lane().is_some());
}
