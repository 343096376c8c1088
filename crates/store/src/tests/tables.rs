//! Values are read as they were written, also after a restart.

use std::path::Path;

use drawspan_hub::{SubscriptionType, UtcTime};
use secrecy::ExposeSecret as _;

use super::{id, open};
use crate::{
    DeadLetterFilter, NewDeadLetter, Store, StoredAnswer, StoredScope, StoredSubscription,
};

pub(super) fn subscription(device: &str, kind: SubscriptionType, url: &str) -> StoredSubscription {
    StoredSubscription {
        scope: StoredScope::Device(device.into()),
        kind,
        callback_url: url.to_owned().into(),
        created_at: UtcTime::from_unix_ms(1_800_000_000_123),
        keep_connected: true,
        imported: false,
        limited: false,
    }
}

pub(super) fn letter(webhook_id: &str, device: &str, event: &[u8]) -> NewDeadLetter {
    NewDeadLetter {
        webhook_id: webhook_id.into(),
        device: id(device),
        kind: SubscriptionType::C2dMessages,
        event: event.into(),
        origin: "https://receiver.test".into(),
        reason: "status 500".into(),
        attempts: 6,
        failed_at: UtcTime::from_unix_ms(1_800_000_000_456),
    }
}

/// Scope, kind, URL and flags of all, sorted.
pub(super) fn subscriptions(store: &Store) -> Vec<String> {
    let all = store.subscriptions().load_all().unwrap();
    let mut lines: Vec<String> = all.iter().map(line).collect();
    lines.sort();
    lines
}

pub(super) fn line(subscription: &StoredSubscription) -> String {
    format!(
        "{:?} {} {} {} {} {}",
        subscription.scope,
        subscription.kind,
        subscription.callback_url.expose_secret(),
        subscription.created_at,
        subscription.keep_connected,
        subscription.imported
    )
}

async fn all_letters(store: &Store) -> Vec<(u64, NewDeadLetter)> {
    let filter = DeadLetterFilter {
        limit: 1_000,
        ..DeadLetterFilter::default()
    };
    let found = store.dead_letters().list(filter).await.unwrap();
    found.into_iter().map(|it| (it.id, it.letter)).collect()
}

/// No file of the directory holds the text.
pub(super) fn assert_nowhere(directory: &Path, text: &str) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(!found, "{} holds {text:?}", path.display());
    }
}

#[tokio::test]
async fn subscriptions_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let own = subscription("a", SubscriptionType::Methods, "https://x.test/hook-secret");
    let fleet = StoredSubscription {
        scope: StoredScope::Fleet("a".into()),
        keep_connected: false,
        imported: true,
        limited: false,
        ..own.clone()
    };
    let other = subscription(
        "b",
        SubscriptionType::ConnectionStatus,
        "https://y.test/?k=1",
    );
    let handle = store.subscriptions();
    // In the order of the calls, regardless of the order of waiting.
    let first = handle.put(subscription(
        "a",
        SubscriptionType::Methods,
        "https://old.test/",
    ));
    let second = handle.put(own.clone());
    let removed = [
        handle.put(subscription(
            "c",
            SubscriptionType::Methods,
            "https://c.test/",
        )),
        handle.remove(StoredScope::Device("c".into()), SubscriptionType::Methods),
        handle.remove(
            StoredScope::Device("a".into()),
            SubscriptionType::C2dMessages,
        ),
    ];
    handle.put(fleet.clone()).await.unwrap();
    handle.put(other.clone()).await.unwrap();
    second.await.unwrap();
    first.await.unwrap();
    for written in removed {
        written.await.unwrap();
    }
    let expected = [line(&own), line(&other), line(&fleet)];
    assert_eq!(subscriptions(&store), expected);
    let of_a = handle.load_device(&id("a")).unwrap();
    assert_eq!(of_a.iter().map(line).collect::<Vec<_>>(), [line(&own)]);
    drop(store);
    assert!(matches!(
        handle.put(own).await,
        Err(crate::StoreError::Closed)
    ));
    assert_nowhere(folder.path(), "hook-secret");
    let store = open(folder.path()).unwrap();
    assert_eq!(subscriptions(&store), expected);
}

#[tokio::test]
async fn dead_letters_are_listed_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let handle = store.dead_letters();
    handle.put(letter("w1", "a", b"first event"));
    handle.put(letter("w2", "b", b"{}"));
    let again = NewDeadLetter {
        reason: "status 503".into(),
        ..letter("w1", "a", b"first event, larger")
    };
    handle.put(again.clone());
    handle.put(letter("w3", "a", b"{}"));
    handle.put(letter("w4", "a", b"{}"));
    handle.remove_webhook("w4");
    handle.remove_webhook("never");
    assert!(!handle.remove(99).await.unwrap());
    drop(store);
    assert_nowhere(folder.path(), "first event");

    let store = open(folder.path()).unwrap();
    let handle = store.dead_letters();
    let (w2, w3) = (letter("w2", "b", b"{}"), letter("w3", "a", b"{}"));
    let ids: Vec<u64> = all_letters(&store)
        .await
        .iter()
        .map(|(id, _)| *id)
        .collect();
    let all = vec![(ids[0], again.clone()), (ids[1], w2), (ids[2], w3.clone())];
    assert_eq!(all_letters(&store).await, all);
    let of_a = DeadLetterFilter {
        device: Some(id("a")),
        prefix: "a".into(),
        kind: Some(SubscriptionType::C2dMessages),
        after: Some(ids[0]),
        limit: 10,
    };
    let found = handle.list(of_a.clone()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].letter, w3);
    let prefixed = |device: Option<&str>, prefix: &str| DeadLetterFilter {
        device: device.map(id),
        prefix: prefix.into(),
        limit: 10,
        ..DeadLetterFilter::default()
    };
    let check = async |filter: DeadLetterFilter, expected: usize| {
        let found = handle.list(filter.clone()).await.unwrap();
        assert_eq!(found.len(), expected, "{filter:?}");
    };
    check(prefixed(None, ""), 3).await;
    check(prefixed(None, "a"), 2).await;
    check(prefixed(None, "A"), 0).await;
    check(prefixed(None, "a%"), 0).await;
    check(prefixed(None, "ab"), 0).await;
    check(prefixed(Some("b"), "b"), 1).await;
    check(prefixed(Some("b"), "a"), 0).await;
    let methods = DeadLetterFilter {
        kind: Some(SubscriptionType::Methods),
        ..of_a
    };
    assert_eq!(handle.list(methods).await.unwrap(), []);
    assert_eq!(handle.get(ids[0]).await.unwrap().unwrap().letter, again);
    assert!(handle.remove(ids[0]).await.unwrap());
    assert_eq!(handle.get(ids[0]).await.unwrap(), None);
}

#[tokio::test]
async fn versions_and_answers_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let now_unix_s = crate::clock::now_unix_s();
    let answer = |status, at_unix_s| StoredAnswer {
        fingerprint: [7; 32],
        status,
        at_unix_s,
    };
    let store = open(folder.path()).unwrap();
    let versions = store.desired_marks();
    versions.put(id("a"), super::mark(3));
    versions.put(id("b"), super::mark(1));
    versions.put(id("a"), super::mark(4));
    versions.put(id("c"), super::mark(1));
    versions.remove(id("c"));
    let answers = store.idempotency();
    answers.put([1; 32], answer(200, now_unix_s)).await.unwrap();
    answers.put([1; 32], answer(204, now_unix_s)).await.unwrap();
    let yesterday = now_unix_s - crate::limits::IDEMPOTENCY_LIFE_S - 10;
    answers.put([2; 32], answer(200, yesterday)).await.unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    let found = store.desired_marks().load_all().unwrap();
    assert_eq!(
        found,
        [(id("a"), super::mark(4)), (id("b"), super::mark(1))]
    );
    let answers = store.idempotency();
    let first = answers.get([1; 32]).await.unwrap();
    assert_eq!(first, Some(answer(204, now_unix_s)));
    assert_eq!(answers.get([2; 32]).await.unwrap(), None);
    assert_eq!(answers.get([3; 32]).await.unwrap(), None);
    drop(store);
    assert!(answers.get([1; 32]).await.is_err());
}
