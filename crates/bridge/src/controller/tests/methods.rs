//! Direct methods that no receiver answers.

use super::*;
use crate::limits::EVENTS_PER_LANE;

const KIND: SubscriptionType = SubscriptionType::Methods;

impl Process {
    /// A method is invoked.
    fn method(&mut self, attempt: AttemptId) {
        let method = SessionEvent::Method {
            session: attempt.serial,
            request: "request".to_owned(),
            name: "reboot".to_owned(),
            payload: Bytes::new(),
        };
        self.session(attempt, method);
    }

    /// The statuses that methods were answered with.
    fn statuses(&mut self) -> Vec<i32> {
        let next = |process: &mut Self| {
            process.take(|action| match action {
                Action::AnswerMethod { status, .. } => Some(*status),
                _ => None,
            })
        };
        std::iter::from_fn(|| next(self)).collect()
    }
}

#[test]
fn a_method_without_a_subscriber_or_without_room_is_answered_at_once() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    process.subscribe("d", SubscriptionType::C2dMessages);
    let attempt = process.open();
    for _ in 0..EVENTS_PER_LANE {
        process.method(attempt);
    }
    assert!(process.statuses().is_empty());
    process.method(attempt);
    assert_eq!(process.statuses(), [503]);

    // All but the one that is under way have waited in vain.
    process.unsubscribe("d", KIND);
    assert_eq!(process.statuses(), [500; EVENTS_PER_LANE - 1]);
    // One that was on its way when the subscription ended.
    process.method(attempt);
    assert_eq!(process.statuses(), [404]);
}
