use harombe_types::ManualClock;

use super::*;
use crate::domain::key::Bearer;
use crate::domain::secret::ApiKey;

const DEFAULTS: Defaults = Defaults {
    limits: KeyLimits {
        requests_per_second: 10,
        burst: 20,
        streams: 2,
        messages_per_day: 0,
    },
    calls: 2,
    transfers: 1,
};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_000)))
}

fn numbers() -> Numbers {
    Numbers::new(&harombe_telemetry::metrics::Metrics::new())
}

fn key(limits: KeyLimits) -> Key {
    let secret = ApiKey::generate().unwrap();
    Key {
        id: secret.id().clone(),
        digest: secret.digest(),
        bearer: Bearer {
            tenant: "acme".parse().unwrap(),
            name: "ci".to_owned(),
            subject: "ann".parse().unwrap(),
            roles: [harombe_types::Role::User].into(),
            agents: BTreeSet::new(),
            allow_self: false,
            limits,
            expires_at: None,
        },
        created_at: Timestamp::default(),
        created_by: "local/owner".to_owned(),
        revoked: None,
    }
}

fn passed(live: &Live, tries: usize) -> usize {
    (0..tries).filter(|_| live.request().is_ok()).count()
}

#[test]
fn a_key_may_burst_and_then_keeps_its_pace() {
    let clock = clock();
    let uses = Uses::new(clock.clone(), DEFAULTS, numbers());
    let live = uses.of(&key(KeyLimits::default()));
    assert_eq!(passed(&live, 50), 20);
    let Err(Error::TooFast { per_second: 10, wait }) = live.request() else {
        panic!("it was to be told to wait")
    };
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_millis(100),
        "{wait:?}"
    );
    clock.advance(wait);
    assert_eq!(passed(&live, 50), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(passed(&live, 50), 10);
    // Another key is another matter.
    assert_eq!(passed(&uses.of(&key(KeyLimits::default())), 50), 20);
}

#[test]
fn a_keys_own_numbers_count() {
    let check = |limits: KeyLimits, expected: (u32, u32, u32, u32)| {
        let rates = Rates::of(limits, DEFAULTS);
        let found = (
            rates.requests_per_second.get(),
            rates.burst.get(),
            rates.streams,
            rates.messages_per_day,
        );
        assert_eq!(found, expected, "{limits:?}");
    };
    let none = KeyLimits::default();
    check(none, (10, 20, 2, 0));
    check(
        KeyLimits {
            requests_per_second: 3,
            ..none
        },
        (3, 6, 2, 0),
    );
    check(
        KeyLimits {
            burst: 5,
            streams: 7,
            messages_per_day: 9,
            ..none
        },
        (10, 5, 7, 9),
    );
    // A burst is refilled within the time after which a key is forgotten.
    check(
        KeyLimits {
            requests_per_second: 1,
            burst: 1000,
            ..none
        },
        (1, 60, 2, 0),
    );
}

#[test]
fn streams_are_counted_while_they_are_open() {
    let uses = Uses::new(clock(), DEFAULTS, numbers());
    let key = key(KeyLimits::default());
    let live = uses.of(&key);
    let first = live.stream().unwrap();
    let second = live.stream().unwrap();
    assert!(matches!(live.stream(), Err(Error::ManyStreams { max: 2 })));
    assert_eq!(uses.streaming(), std::slice::from_ref(&key.id));
    drop(first);
    drop(live.stream().unwrap());
    drop(second);
    assert!(uses.streaming().is_empty());
}

#[test]
fn a_transfer_takes_a_place_of_its_own_and_one_of_the_streams() {
    let uses = Uses::new(clock(), DEFAULTS, numbers());
    let live = uses.of(&key(KeyLimits::default()));
    let upload = live.transfer().unwrap();
    assert!(matches!(live.transfer(), Err(Error::ManyTransfers { max: 1 })));
    let stream = live.stream().unwrap();
    live.stream().unwrap_err();
    drop(upload);
    let _download = live.transfer().unwrap();
    live.stream().unwrap_err();
    drop(stream);
    live.stream().unwrap();
}

#[tokio::test]
async fn a_key_that_has_ended_ends_its_streams() {
    let uses = Uses::new(clock(), DEFAULTS, numbers());
    let key = key(KeyLimits::default());
    let slot = uses.of(&key).stream().unwrap();
    uses.end(&key.id);
    slot.ended().await;
    assert!(uses.get(&key.id).is_none());
}

#[test]
fn idle_keys_are_forgotten_and_others_never() {
    let clock = clock();
    let uses = Uses::new(clock.clone(), DEFAULTS, numbers());
    let streaming = key(KeyLimits::default());
    let slot = uses.of(&streaming).stream().unwrap();
    for _ in 1..REMEMBERED {
        uses.of(&key(KeyLimits::default()));
    }
    clock.advance(IDLE);
    uses.of(&key(KeyLimits::default()));
    assert_eq!(uses.live.lock().keys.len(), 2);
    assert!(uses.get(&streaming.id).is_some());
    drop(slot);
}
