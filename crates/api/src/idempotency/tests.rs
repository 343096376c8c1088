use std::time::Duration;

use super::*;
use crate::limits::{MAX_IDEMPOTENCY_KEYS_IN_MEMORY, MAX_IDEMPOTENT_UNDER_WAY};

fn key(number: usize) -> Key {
    Key([0; 32]).part(number)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

#[tokio::test]
async fn nothing_is_left_of_turns_that_are_over() {
    let turns = Turns::default();
    let first = turns.take(key(1), [0; 32], soon()).await.unwrap();
    let other = turns.take(key(2), [0; 32], soon()).await.unwrap();
    {
        let second = turns.take(key(1), [0; 32], soon());
        tokio::pin!(second);
        assert!(futures_pending(&mut second).await);
    }
    drop(first);
    drop(turns.take(key(1), [1; 32], soon()).await.unwrap());
    drop(other);
    assert!(turns.is_empty());
}

/// Whether a future waits when it is polled once.
async fn futures_pending(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn requests_under_way_are_bounded() {
    let turns = Turns::default();
    let mut taken = Vec::new();
    for number in 0..MAX_IDEMPOTENT_UNDER_WAY {
        taken.push(turns.take(key(number), [0; 32], soon()).await.unwrap());
    }
    let one_more = turns
        .take(key(MAX_IDEMPOTENT_UNDER_WAY), [0; 32], soon())
        .await;
    assert_eq!(one_more.unwrap_err().status().as_u16(), 503);
    taken.pop();
    turns
        .take(key(MAX_IDEMPOTENT_UNDER_WAY), [0; 32], soon())
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_oldest_keys_go_first() {
    let memory = Memory::default();
    for number in 0..=MAX_IDEMPOTENCY_KEYS_IN_MEMORY {
        memory.keep(key(number), [0; 32], Done::All).await;
    }
    assert_eq!(memory.recall(key(0), [0; 32]).await.unwrap(), None);
    assert_eq!(
        memory.recall(key(1), [0; 32]).await.unwrap(),
        Some(Done::All)
    );
    // Without a key, the body is not read.
    assert!(memory.recall(key(1), [1; 32]).await.is_err());
    assert_eq!(memory.recall(key(0), [1; 32]).await.unwrap(), None);
}

#[test]
fn keys_differ_by_caller_and_device() {
    let read = |caller: &'static str, what: &str, key: &'static str| {
        let headers = [("x-api-key", caller), ("idempotency-key", key)];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Key::read(&HeaderMap::from_iter(headers), what)
            .unwrap()
            .unwrap()
    };
    let one = read("a", "b", "c");
    assert_eq!(one, read("a", "b", "c"));
    for other in [
        read("ab", "", "c"),
        read("a", "bc", "c"),
        read("a", "", "bc"),
        read("x", "b", "c"),
    ] {
        assert_ne!(one, other);
    }
    let headers = [("authorization", "Bearer a"), ("idempotency-key", "c")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let bearer = Key::read(&HeaderMap::from_iter(headers), "b");
    assert_eq!(bearer.unwrap(), Some(one), "the same caller");
    assert_eq!(Key::read(&HeaderMap::new(), "b").unwrap(), None);
}
