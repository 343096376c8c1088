//! Cloud-to-device messages, and dead letters.

use drawspan_hub::{C2dMessage, Outcome};

use super::*;
use crate::limits::PULL_GRACE;

const KIND: SubscriptionType = SubscriptionType::C2dMessages;

impl Process {
    /// The hub delivers a message, which it has delivered so often before.
    fn message(&mut self, attempt: AttemptId, delivery: u32, delivery_count: u32) {
        let message = C2dMessage {
            sequence_number: Some(delivery.into()),
            delivery_count,
            ..C2dMessage::default()
        };
        self.session(
            attempt,
            SessionEvent::C2d {
                session: attempt.serial,
                delivery,
                message: Box::new(message),
                share: (),
            },
        );
    }

    fn removed_letter(&mut self) -> Option<String> {
        self.take(|action| match action {
            Action::Exhume(webhook_id) => Some(webhook_id.clone()),
            _ => None,
        })
    }

    /// Asks for a message; `patience`: waits for one.
    fn receive(&mut self, patience: bool) {
        self.handle(Input::Request(Request::Receive {
            device: id("d"),
            patience,
            caller: TestCaller::default(),
        }));
    }

    /// The answer to the next caller: the lock token of a message, or that there is no message.
    fn received(&mut self) -> Option<Option<String>> {
        self.take(|action| match action {
            Action::Answer(_, Response::Message(held)) => {
                Some(held.as_ref().map(|held| held.lock_token.clone()))
            }
            _ => None,
        })
    }

    fn asks_hub(&mut self) -> bool {
        self.take(|action| matches!(action, Action::Pull(_)).then_some(()))
            .is_some()
    }
}

#[test]
fn the_letter_of_a_message_that_is_taken_after_all_is_removed() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let attempt = process.open();
    let mut check = |delivery_count, is_removed: bool| {
        process.message(attempt, delivery_count, delivery_count);
        let post = process.post().expect("an event");
        process.receiver_says(&post, Said::Taken);
        let expected = is_removed.then(|| post.webhook_id.clone());
        assert_eq!(process.removed_letter(), expected, "{delivery_count}");
    };
    // It has one only if an earlier delivery was not taken.
    check(0, false);
    check(1, true);
    check(2, true);
}

#[test]
fn a_letter_that_is_on_its_way_is_not_sent_twice() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let replay = |process: &mut Process| {
        let letter = Letter {
            webhook_id: "letter".to_owned(),
            device: id("d"),
            kind: KIND,
            event: Bytes::from_static(b"{}"),
        };
        process.handle(Input::Request(Request::Replay {
            letter,
            caller: TestCaller::default(),
        }));
    };
    replay(&mut process);
    replay(&mut process);
    let post = process.post().expect("an event");
    process.receiver_says(&post, Said::Taken);
    assert_eq!(process.removed_letter(), Some("letter".to_owned()));
    assert!(process.post().is_none(), "both mean one event");
    // It may be sent again once that is over.
    replay(&mut process);
    assert!(process.post().is_some());
}

#[test]
fn a_hub_has_time_to_send_the_next_message_too() {
    let mut process = Process::new();
    process.receive(true);
    let attempt = process.open();
    assert!(process.asks_hub());
    process.message(attempt, 1, 0);
    let token = process.received().flatten().expect("a message");
    process.pass(PULL_GRACE);
    process.handle(Input::Request(Request::Settle {
        device: id("d"),
        token,
        outcome: Outcome::Complete,
        caller: TestCaller::default(),
    }));
    assert!(!process.asks_hub(), "nobody asked for another one");
    process.receive(false);
    assert!(process.asks_hub());
    assert_eq!(process.received(), None, "the hub was asked just now");
    process.message(attempt, 2, 0);
    assert!(process.received().flatten().is_some());
}

#[test]
fn a_message_that_is_held_can_be_settled_after_its_device_was_subscribed_to() {
    let mut process = Process::new();
    process.receive(true);
    let attempt = process.open();
    process.message(attempt, 1, 0);
    let token = process.received().flatten().expect("a message");
    process.subscribe("d", KIND);
    process.handle(Input::Request(Request::Settle {
        device: id("d"),
        token,
        outcome: Outcome::Complete,
        caller: TestCaller::default(),
    }));
    let settled = process.take(|action| match action {
        Action::Settle {
            delivery, outcome, ..
        } => Some((*delivery, *outcome)),
        _ => None,
    });
    assert_eq!(settled, Some((1, Outcome::Complete)));
}
