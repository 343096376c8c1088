//! Desired properties are never silently wrong.

use super::*;

const KIND: SubscriptionType = SubscriptionType::DesiredProperties;

fn section(version: i64, value: i64) -> String {
    format!(r#"{{"a":{value},"$version":{version}}}"#)
}

impl Process {
    /// A subscribed device that is connected.
    fn connected() -> (Self, AttemptId) {
        let mut process = Self::new();
        process.subscribe("d", KIND);
        let attempt = process.open();
        (process, attempt)
    }

    fn reads(&mut self) -> Option<AttemptId> {
        self.take(|action| match action {
            Action::ReadTwin { place, .. } => Some(place.attempt),
            _ => None,
        })
    }

    /// Answers the read that is under way, or the next one within a minute or two.
    fn twin(&mut self, section: &str) {
        if !self
            .actions
            .iter()
            .any(|it| matches!(it, Action::ReadTwin { .. }))
        {
            self.pass(Duration::from_secs(120));
        }
        let attempt = self.reads().expect("a twin that is read");
        let twin = format!(r#"{{"desired":{section},"reported":{{"$version":1}}}}"#);
        self.handle(Input::TwinRead(attempt, Some(twin.into())));
    }

    fn changed(&mut self, attempt: AttemptId, change: &str) {
        let change = Bytes::copy_from_slice(change.as_bytes());
        self.session(attempt, SessionEvent::Desired(change));
    }

    /// The next event is this; the receiver takes it.
    fn takes(&mut self, properties: &str, full_state: bool) {
        let post = self.post().expect("an event");
        assert_eq!(desired(&post), (properties.to_owned(), full_state));
        self.receiver_says(&post, Said::Taken);
    }

    /// The next event is this; the receiver refuses it.
    fn refuses(&mut self, properties: &str, full_state: bool) {
        let post = self.post().expect("an event");
        assert_eq!(desired(&post), (properties.to_owned(), full_state));
        self.receiver_says(&post, Said::Refused(404));
    }

    /// The twin is read after 30 to 60 s, not before.
    fn follows_soon(&mut self, section: &str) {
        self.pass(Duration::from_secs(29));
        assert!(
            !self
                .actions
                .iter()
                .any(|it| matches!(it, Action::ReadTwin { .. }))
        );
        self.pass(Duration::from_secs(31));
        assert!(
            self.actions
                .iter()
                .any(|it| matches!(it, Action::ReadTwin { .. }))
        );
        self.twin(section);
    }

    /// Nothing is read or sent, however long it takes.
    fn rests(&mut self) {
        self.pass(Duration::from_secs(6 * 3_600));
        assert_eq!((self.reads(), self.post()), (None, None));
    }

    fn mark(&self) -> Option<Mark> {
        self.controller.mark_of(&id("d"))
    }

    /// The device loses its connection and is connected again.
    fn reconnect(&mut self, attempt: AttemptId) -> AttemptId {
        let context = self.controller.fleet.context(attempt.device).unwrap();
        let place = context.place.unwrap();
        self.lose(place.hub, place.connection);
        self.pass(Duration::from_secs(1));
        self.open()
    }
}

#[test]
fn a_change_that_was_missed_comes_with_all_when_another_one_arrives_first() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    let attempt = process.reconnect(attempt);
    // 6 was missed while the device was away; 7 arrives before its twin is read.
    process.changed(attempt, &section(7, 7));
    process.takes(&section(7, 7), false);
    assert_ne!(process.mark().map(|mark| mark.version), Some(7));
    process.twin(r#"{"a":7,"missed":true,"$version":7}"#);
    process.takes(r#"{"a":7,"missed":true,"$version":7}"#, true);
    assert_eq!(process.mark().map(|mark| mark.version), Some(7));
    assert_eq!(process.post(), None);
}

#[test]
fn a_number_that_is_skipped_while_connected_is_a_gap() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    process.changed(attempt, &section(6, 6));
    process.takes(&section(6, 6), false);
    assert_eq!(process.mark().map(|mark| mark.version), Some(6));
    process.changed(attempt, &section(8, 8));
    process.takes(&section(8, 8), false);
    assert_ne!(process.mark().map(|mark| mark.version), Some(8));
    process.twin(&section(8, 8));
    process.takes(&section(8, 8), true);
    assert_eq!(process.mark().map(|mark| mark.version), Some(8));
}

#[test]
fn a_twin_that_was_made_anew_is_sent_whatever_its_number() {
    for (version, value) in [(1, 9), (5, 9), (6, 9)] {
        let (mut process, attempt) = Process::connected();
        process.twin(&section(5, 5));
        process.takes(&section(5, 5), true);
        process.reconnect(attempt);
        process.twin(&section(version, value));
        process.takes(&section(version, value), true);
    }
}

#[test]
fn the_same_twin_is_not_sent_again() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    let attempt = process.reconnect(attempt);
    process.twin(&section(5, 5));
    assert_eq!(process.post(), None);
    // What a change made of it is known as well.
    process.changed(attempt, r#"{"b":1,"$version":6}"#);
    process.takes(r#"{"b":1,"$version":6}"#, false);
    let attempt = process.reconnect(attempt);
    process.twin(r#"{"a":5,"b":1,"$version":6}"#);
    assert_eq!(process.post(), None);
    process.reconnect(attempt);
    process.twin(r#"{"a":6,"b":1,"$version":6}"#);
    process.takes(r#"{"a":6,"b":1,"$version":6}"#, true);
}

#[test]
fn after_a_change_of_a_section_that_is_too_large_to_remember_all_of_it_comes_once() {
    let (mut process, attempt) = Process::connected();
    let large = |version: i64| format!(r#"{{"a":"{}","$version":{version}}}"#, "x".repeat(9_000));
    process.twin(&large(5));
    process.takes(&large(5), true);
    let attempt = process.reconnect(attempt);
    process.twin(&large(5));
    assert_eq!(process.post(), None);
    process.changed(attempt, r#"{"b":null,"$version":6}"#);
    process.takes(r#"{"b":null,"$version":6}"#, false);
    let attempt = process.reconnect(attempt);
    process.twin(&large(6));
    process.takes(&large(6), true);
    process.reconnect(attempt);
    process.twin(&large(6));
    assert_eq!(process.post(), None);
}

#[test]
fn another_receiver_gets_everything_that_it_does_not_have() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    let callback = |process: &mut Process, url: &str| {
        process.handle(Input::Request(Request::Subscribe {
            scope: Scope::Device(id("d")),
            kind: KIND,
            callback: TestUrl::new(url),
            keep_connected: false,
            limited: false,
            caller: TestCaller::default(),
        }));
    };
    callback(&mut process, "http://receiver/y");
    process.changed(attempt, &section(6, 6));
    process.takes(&section(6, 6), false);
    process.twin(r#"{"a":6,"b":1,"$version":6}"#);
    process.takes(r#"{"a":6,"b":1,"$version":6}"#, true);
    // The same one again.
    callback(&mut process, "http://receiver/y");
    process.pass(Duration::from_secs(120));
    assert_eq!((process.reads(), process.post()), (None, None));
}

#[test]
fn lower_numbers_of_another_twin_are_no_repetitions() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(50, 5));
    process.takes(&section(50, 5), true);
    let attempt = process.reconnect(attempt);
    process.changed(attempt, &section(3, 9));
    process.takes(&section(3, 9), false);
    process.twin(&section(3, 9));
    process.takes(&section(3, 9), true);
}

#[test]
fn what_an_earlier_subscriber_took_says_nothing_of_the_next_one() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    process.subscribe("d", SubscriptionType::Methods);
    process.open();
    process.twin(&section(5, 5));
    let post = process.post().unwrap();
    process.unsubscribe("d", KIND);
    process.subscribe("d", KIND);
    process.receiver_says(&post, Said::Taken);
    assert_eq!(process.mark(), None);
    // The link never went, so that nothing but the subscription asks for it.
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    assert_eq!(process.mark().map(|mark| mark.version), Some(5));
}

#[test]
fn what_is_refused_becomes_a_dead_letter_and_is_sent_once_more_until_it_changes() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.refuses(&section(5, 5), true);
    let letter = process.take(|action| match action {
        Action::Bury(letter) => Some(letter.reason.clone()),
        _ => None,
    });
    assert_eq!(letter.as_deref(), Some("the receiver answered 404"));
    let is_said = |note: &Note| matches!(note, Note::NotTaken(_, KIND, of, _) if *of == origin());
    assert!(process.notes().iter().any(is_said));
    process.follows_soon(&section(5, 5));
    process.refuses(&section(5, 5), true);
    process.rests();
    // Not after another connection either.
    let attempt = process.reconnect(attempt);
    process.twin(&section(5, 5));
    assert_eq!(process.post(), None);
    process.changed(attempt, &section(6, 6));
    process.takes(&section(6, 6), false);
    process.twin(&section(6, 6));
    process.takes(&section(6, 6), true);
}

#[test]
fn all_follows_a_refusal_once_whether_it_was_of_a_change_or_of_all() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.refuses(&section(5, 5), true);
    process.follows_soon(&section(5, 5));
    process.takes(&section(5, 5), true);
    process.changed(attempt, &section(6, 6));
    process.refuses(&section(6, 6), false);
    process.follows_soon(&section(6, 6));
    process.takes(&section(6, 6), true);
    process.changed(attempt, &section(7, 7));
    process.refuses(&section(7, 7), false);
    process.follows_soon(&section(7, 7));
    process.refuses(&section(7, 7), true);
    process.rests();
}

#[test]
fn what_rests_is_sent_again_when_somebody_asks_or_the_hub_is_another_one() {
    let rest = || {
        let (mut process, attempt) = Process::connected();
        process.twin(&section(5, 5));
        process.refuses(&section(5, 5), true);
        process.follows_soon(&section(5, 5));
        process.refuses(&section(5, 5), true);
        process.rests();
        (process, attempt)
    };
    let (mut process, _) = rest();
    process.handle(Input::Request(Request::Resync(id("d"))));
    process.twin(&section(5, 5));
    process.refuses(&section(5, 5), true);
    process.follows_soon(&section(5, 5));
    process.takes(&section(5, 5), true);

    let (mut process, _) = rest();
    process.subscribe("d", KIND);
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    // It has all: the same subscription again sends nothing.
    process.subscribe("d", KIND);
    process.rests();

    let (mut process, attempt) = rest();
    process
        .controller
        .fleet
        .moved(attempt.device, host("b.net"), process.now);
    process.run();
    process.session(attempt, SessionEvent::Closed);
    process.open();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
}

#[test]
fn what_fails_is_sent_again_with_all_until_it_is_taken() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    process.changed(attempt, &section(6, 6));
    let post = process.post().unwrap();
    process.receiver_says(&post, Said::Refused(500));
    process.changed(attempt, &section(7, 7));
    process.takes(&section(7, 7), false);
    assert_ne!(process.mark().map(|mark| mark.version), Some(7));
    process.twin(&section(7, 7));
    process.takes(&section(7, 7), true);
}

#[test]
fn a_section_that_is_older_than_a_change_does_not_follow_it() {
    let (mut process, attempt) = Process::connected();
    process.changed(attempt, &section(6, 6));
    process.takes(&section(6, 6), false);
    process.twin(&section(5, 5));
    assert_eq!(process.post(), None, "it would undo the change");
    process.twin(r#"{"a":6,"b":1,"$version":6}"#);
    process.takes(r#"{"a":6,"b":1,"$version":6}"#, true);
}

#[test]
fn a_twin_that_is_as_before_is_sent_when_the_receiver_had_more_meanwhile() {
    let (mut process, attempt) = Process::connected();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    // A change is lost; the next one comes, and the device is created again before its twin is read.
    process.changed(attempt, &section(7, 7));
    process.takes(&section(7, 7), false);
    let attempt = process.reconnect(attempt);
    let _ = process.reads();
    process.twin(&section(5, 5));
    process.takes(&section(5, 5), true);
    process.reconnect(attempt);
    process.twin(&section(5, 5));
    assert_eq!(process.post(), None);
}
