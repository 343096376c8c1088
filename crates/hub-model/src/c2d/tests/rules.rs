//! The rules one by one.

use super::*;
use crate::c2d::{Change, End, LockLost, Outcome, Refused};
use crate::limits::Limits;

const T0: u64 = 1_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn id_of(message: &super::super::QueuedMessage) -> &str {
    message.item.message_id.as_deref().unwrap()
}

/// Sends and returns the model.
fn with(messages: &[(&str, Ack)]) -> CloudToDevice {
    let mut model = empty();
    for (id, ack) in messages {
        let mut effects = Effects::default();
        model
            .send(&device("a"), message(id, *ack), T0, &mut effects)
            .unwrap();
        assert_eq!(effects.available, [device("a")]);
    }
    model
}

/// The ends on which senders get feedback.
fn told(effects: &Effects) -> Vec<(String, End)> {
    let records = effects.changes.iter().filter_map(|change| match change {
        Change::Feedback(record) => Some(record),
        _ => None,
    });
    records
        .map(|record| (record.message_id.clone().unwrap(), record.end))
        .collect()
}

fn one(id: &str, end: End) -> Vec<(String, End)> {
    vec![(id.to_owned(), end)]
}

#[test]
fn messages_come_in_their_order_and_once() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full), ("2", Ack::Full), ("3", Ack::None)]);
    for (number, id) in (1u8..).zip(["1", "2", "3"]) {
        let message = model.lock(&a, token(number), T0).unwrap();
        assert_eq!((id_of(&message), message.sequence), (id, number.into()));
        assert_eq!(message.delivery_count, 0);
    }
    assert_eq!(model.lock(&a, token(9), T0), None);
    assert_eq!(model.lock(&device("b"), token(9), T0), None);
    let mut effects = Effects::default();
    for (number, outcome) in [
        (2, Outcome::Complete),
        (3, Outcome::Complete),
        (1, Outcome::Reject),
    ] {
        model
            .settle(&a, token(number), outcome, T0, &mut effects)
            .unwrap();
    }
    assert_eq!(
        told(&effects),
        [one("2", End::Success), one("1", End::Rejected)].concat()
    );
    assert_eq!(model.count(&a), 0);
    let again = model.settle(&a, token(2), Outcome::Complete, T0, &mut effects);
    assert_eq!(again, Err(LockLost));
}

#[test]
fn an_abandoned_message_keeps_its_place_until_it_was_abandoned_too_often() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Negative), ("2", Ack::Negative)]);
    for count in 0..10u8 {
        let message = model.lock(&a, token(count), T0).unwrap();
        assert_eq!(
            (id_of(&message), message.delivery_count),
            ("1", count.into())
        );
        let mut effects = Effects::default();
        model
            .settle(&a, token(count), Outcome::Abandon, T0, &mut effects)
            .unwrap();
        if count < 9 {
            assert_eq!(effects.available, std::slice::from_ref(&a));
            assert_eq!(told(&effects), []);
        } else {
            assert_eq!(told(&effects), one("1", End::DeliveryCountExceeded));
        }
    }
    assert_eq!(id_of(&model.lock(&a, token(99), T0).unwrap()), "2");
}

#[test]
fn a_lock_ends_after_a_minute_without_being_counted() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full)]);
    model.lock(&a, token(1), T0).unwrap();
    assert_eq!(model.deadline(), Some(T0 + MINUTE));
    assert_eq!(model.lock(&a, token(2), T0 + MINUTE - 1), None);
    let mut effects = Effects::default();
    model.tick(T0 + MINUTE - 1, &mut effects);
    assert_eq!(effects.available, []);
    model.tick(T0 + MINUTE, &mut effects);
    assert_eq!(effects.available, std::slice::from_ref(&a));
    assert!(effects.changes.is_empty());
    let late = model.settle(&a, token(1), Outcome::Complete, T0 + MINUTE, &mut effects);
    assert_eq!(late, Err(LockLost));
    let message = model.lock(&a, token(2), T0 + MINUTE).unwrap();
    assert_eq!(message.delivery_count, 0);
    model
        .settle(&a, token(2), Outcome::Complete, T0 + MINUTE, &mut effects)
        .unwrap();
    assert_eq!(told(&effects), one("1", End::Success));
}

#[test]
fn a_message_that_is_never_settled_comes_again_until_it_expires() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full)]);
    let mut effects = Effects::default();
    for round in 0..60u8 {
        let now = T0 + u64::from(round) * MINUTE;
        model.tick(now, &mut effects);
        let message = model.lock(&a, token(round), now).unwrap();
        assert_eq!(message.delivery_count, 0, "{round}");
    }
    assert_eq!(told(&effects), []);
    model.tick(T0 + HOUR, &mut effects);
    assert_eq!(told(&effects), one("1", End::Expired));
}

#[test]
fn a_lock_that_is_over_counts_for_nothing_even_before_it_is_looked_at() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full)]);
    model.lock(&a, token(1), T0).unwrap();
    let late = T0 + MINUTE;
    let outcome = model.settle(&a, token(1), Outcome::Reject, late, &mut Effects::default());
    assert_eq!(outcome, Err(LockLost));
    assert!(model.lock(&a, token(2), late).is_some());
}

#[test]
fn a_released_message_is_as_if_never_handed_out() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full), ("2", Ack::Full)]);
    model.lock(&a, token(1), T0).unwrap();
    model.release(&a, token(1));
    let message = model.lock(&a, token(2), T0).unwrap();
    assert_eq!((id_of(&message), message.delivery_count), ("1", 0));
}

#[test]
fn messages_expire_after_an_hour_or_when_they_say_but_not_in_a_devices_hands() {
    let a = device("a");
    let mut model = with(&[("usual", Ack::Negative)]);
    let mut soon = message("soon", Ack::Full);
    soon.expires_unix_ms = Some(T0 + 10);
    let mut far = message("far", Ack::Full);
    far.expires_unix_ms = Some(T0 + 100 * HOUR);
    let mut effects = Effects::default();
    model.send(&a, soon, T0, &mut effects).unwrap();
    model.send(&a, far, T0, &mut effects).unwrap();
    assert_eq!(model.deadline(), Some(T0 + 10));
    let mut effects = Effects::default();
    model.tick(T0 + 10, &mut effects);
    assert_eq!(told(&effects), one("soon", End::Expired));

    let locked_at = T0 + HOUR - 1;
    assert_eq!(
        id_of(&model.lock(&a, token(1), locked_at).unwrap()),
        "usual"
    );
    let mut effects = Effects::default();
    model.tick(T0 + HOUR, &mut effects);
    assert_eq!(told(&effects), [], "the device has it");
    model.tick(locked_at + MINUTE, &mut effects);
    assert_eq!(told(&effects), one("usual", End::Expired));
    let mut effects = Effects::default();
    model.tick(T0 + 48 * HOUR, &mut effects);
    assert_eq!(told(&effects), one("far", End::Expired), "48 hours at most");
    assert_eq!(model.count(&a), 0);
}

#[test]
fn a_message_that_has_expired_is_not_handed_out() {
    let a = device("a");
    let mut model = with(&[("1", Ack::None)]);
    assert_eq!(model.lock(&a, token(1), T0 + HOUR), None);
    assert_eq!(model.count(&a), 1, "until the hub looks");
}

#[test]
fn a_queue_takes_fifty() {
    let a = device("a");
    let mut model = empty();
    let mut effects = Effects::default();
    for _ in 0..50 {
        model
            .send(&a, message("x", Ack::None), T0, &mut effects)
            .unwrap();
    }
    model.lock(&a, token(1), T0).unwrap();
    let full = model.send(&a, message("x", Ack::None), T0, &mut effects);
    assert_eq!(
        full,
        Err(Refused::QueueFull { depth: 50 }),
        "one that is out counts too"
    );
    model
        .send(&device("b"), message("x", Ack::None), T0, &mut effects)
        .unwrap();
    model
        .settle(&a, token(1), Outcome::Complete, T0, &mut effects)
        .unwrap();
    model
        .send(&a, message("x", Ack::None), T0, &mut effects)
        .unwrap();
}

#[test]
fn a_purge_empties_the_queue_and_its_locks() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Negative), ("2", Ack::Positive)]);
    model.lock(&a, token(1), T0).unwrap();
    let mut effects = Effects::default();
    assert_eq!(model.purge(&a, T0, &mut effects), 2);
    assert_eq!(told(&effects), one("1", End::Purged));
    let lost = model.settle(&a, token(1), Outcome::Complete, T0, &mut effects);
    assert_eq!(lost, Err(LockLost));
    assert_eq!((model.count(&a), model.queued_bytes), (0, 0));
    assert_eq!(model.purge(&a, T0, &mut effects), 0);
}

#[test]
fn senders_hear_of_the_ends_that_they_asked_for() {
    let cases = [
        (Ack::None, [false, false]),
        (Ack::Positive, [true, false]),
        (Ack::Negative, [false, true]),
        (Ack::Full, [true, true]),
    ];
    for (ack, expected) in cases {
        let ends = [End::Success, End::Rejected];
        assert_eq!(ends.map(|end| ack.wants(end)), expected, "{ack:?}");
        for (end, _) in &End::NAMES[1..] {
            assert_eq!(ack.wants(*end), expected[1], "{ack:?} {end:?}");
        }
        assert_eq!(Ack::parse(&ack.name().to_uppercase()), Some(ack));
    }
    assert_eq!(Ack::parse("always"), None);
    for (end, name) in End::NAMES {
        assert_eq!((End::parse(name), end.name()), (Some(end), name));
    }
}

/// Completes `count` messages at `now`; the effects of all.
fn complete(model: &mut CloudToDevice, count: usize, now: u64) -> Effects {
    let (a, mut effects) = (device("a"), Effects::default());
    for _ in 0..count {
        model
            .send(&a, message("x", Ack::Full), now, &mut effects)
            .unwrap();
        model.lock(&a, token(1), now).unwrap();
        model
            .settle(&a, token(1), Outcome::Complete, now, &mut effects)
            .unwrap();
    }
    effects
}

#[test]
fn feedback_goes_out_by_sixty_four_or_after_fifteen_seconds() {
    let mut model = empty();
    assert!(!complete(&mut model, 63, T0).feedback);
    assert_eq!(model.lock_feedback(token(1), T0), None);
    assert_eq!(model.deadline(), Some(T0 + 15_000));
    assert!(complete(&mut model, 1, T0 + 5).feedback);
    let batch = model.lock_feedback(token(1), T0 + 5).unwrap();
    assert_eq!(batch.item.len(), 64);
    let numbers: Vec<_> = batch.item.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=64).collect::<Vec<_>>());

    complete(&mut model, 2, T0 + 10);
    let mut effects = Effects::default();
    model.tick(T0 + 15_009, &mut effects);
    assert!(!effects.feedback);
    model.tick(T0 + 15_010, &mut effects);
    assert!(effects.feedback);
    assert_eq!(
        model
            .lock_feedback(token(2), T0 + 15_010)
            .unwrap()
            .item
            .len(),
        2
    );
}

#[test]
fn feedback_is_locked_given_back_dropped_and_expires() {
    let mut model = empty();
    complete(&mut model, 64, T0);
    for count in 0..10u8 {
        let batch = model.lock_feedback(token(count), T0).unwrap();
        assert_eq!(batch.delivery_count, u32::from(count));
        assert_eq!(model.lock_feedback(token(99), T0), None);
        let mut effects = Effects::default();
        model
            .settle_feedback(token(count), Outcome::Abandon, T0, &mut effects)
            .unwrap();
        assert_eq!(effects.feedback, count < 9);
        assert_eq!(effects.changes.len(), usize::from(count == 9));
    }
    assert_eq!(model.lock_feedback(token(99), T0), None);

    complete(&mut model, 64, T0);
    model.lock_feedback(token(1), T0).unwrap();
    let mut effects = Effects::default();
    model.tick(T0 + MINUTE, &mut effects);
    assert!(effects.feedback, "its lock is over");
    let late = model.settle_feedback(token(1), Outcome::Complete, T0 + MINUTE, &mut effects);
    assert_eq!(late, Err(LockLost));
    model.tick(T0 + HOUR, &mut effects);
    let [
        Change::FeedbackGone {
            first: 65,
            last: 128,
        },
    ] = effects.changes[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(model.lock_feedback(token(1), T0 + HOUR), None);
}

#[test]
fn a_deleted_device_leaves_nothing_behind() {
    let mut model = with(&[("1", Ack::Full), ("2", Ack::Full)]);
    model.forget(&device("a"));
    assert_eq!((model.count(&device("a")), model.queued_bytes), (0, 0));
    assert_eq!(model.deadline(), None);
}

#[test]
fn feedback_that_was_kept_is_ready_at_once() {
    let mut model = with(&[("1", Ack::Full), ("2", Ack::Full)]);
    complete(&mut model, 0, T0);
    model.purge(&device("a"), T0, &mut Effects::default());
    let mut again = CloudToDevice::restore(Settings::default(), &Limits::default(), held(&model));
    let batch = again.lock_feedback(token(1), T0 + 1).unwrap();
    assert_eq!(batch.item.len(), 2);
    // Numbers and sequences go on.
    let effects = complete(&mut again, 1, T0 + 1);
    let Change::Put(_, message) = &effects.changes[0] else {
        panic!("{effects:?}")
    };
    assert_eq!(message.sequence, 3);
    assert!(matches!(&effects.changes[2], Change::Feedback(record) if record.number == 3));
}

#[test]
fn a_failover_loses_messages_and_feedback_without_a_word() {
    let a = device("a");
    let mut model = with(&[("1", Ack::Full), ("2", Ack::Full), ("3", Ack::Full)]);
    model.lock(&a, token(1), T0).unwrap();
    let mut effects = Effects::default();
    model
        .settle(&a, token(1), Outcome::Complete, T0, &mut effects)
        .unwrap();
    model.lock(&a, token(2), T0).unwrap();
    let mut effects = Effects::default();
    assert_eq!(model.lose(&mut effects), (2, 1));
    assert_eq!(told(&effects), []);
    let gone = |change: &&Change| matches!(change, Change::Gone { .. });
    assert_eq!(effects.changes.iter().filter(gone).count(), 2);
    let feedback = |change: &&Change| matches!(change, Change::FeedbackGone { .. });
    assert_eq!(effects.changes.iter().filter(feedback).count(), 1);
    assert_eq!((model.count(&a), model.deadline()), (0, None));
    assert_eq!(
        model.settle(&a, token(2), Outcome::Complete, T0, &mut effects),
        Err(LockLost)
    );
}

#[test]
fn a_lock_does_not_last_longer_because_the_time_of_day_is_set_back() {
    let a = device("a");
    let mut model = with(&[("1", Ack::None)]);
    model.lock(&a, token(1), T0 + 59 * MINUTE).unwrap();
    // A little is not noticed.
    let mut effects = Effects::default();
    model.time_set_back(T0 + 58 * MINUTE, &mut effects);
    assert_eq!(effects.available, []);
    model.time_set_back(T0 + MINUTE, &mut effects);
    assert_eq!(effects.available, [device("a")]);
    let again = model.lock(&a, token(2), T0 + MINUTE).unwrap();
    assert_eq!(again.delivery_count, 0);
}
