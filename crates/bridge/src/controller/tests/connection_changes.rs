//! Changes of connections, with their causes.

use drawspan_hub::ConnectionCause as Cause;
use drawspan_hub::ConnectionStatus as Status;

use super::*;
use crate::history::Change;

const KIND: SubscriptionType = SubscriptionType::Methods;

/// Takes the changes of a device that the controller has reported since the last call, and checks that the history has each of them.
fn told(process: &mut Process, device: &str) -> Vec<Change> {
    let device = id(device);
    let mut changes = Vec::new();
    while let Some(change) = process.take(|action| match action {
        Action::Changed {
            device: of, change, ..
        } if *of == device => Some(change.clone()),
        _ => None,
    }) {
        changes.push(change);
    }
    let history = process.controller.history_of(&device);
    let newest: Vec<_> = history.into_iter().take(changes.len()).collect();
    assert_eq!(newest, changes.iter().rev().cloned().collect::<Vec<_>>());
    changes
}

fn causes(process: &mut Process, device: &str) -> Vec<(Status, Option<Cause>)> {
    let changes = told(process, device);
    changes
        .into_iter()
        .map(|it| (it.status, it.cause))
        .collect()
}

fn detail(change: &Change) -> &str {
    change.detail.as_deref().unwrap_or_default()
}

#[test]
fn a_session_that_ends_tells_how_long_it_lasted_and_who_ended_it() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let attempt = process.open();
    let opened = told(&mut process, "d");
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].status, Status::Connected);
    assert_eq!((opened[0].cause, opened[0].session), (None, None));
    assert_eq!(detail(&opened[0]), "a.net");
    assert_eq!(
        process.controller.history.bytes(),
        0,
        "a quiet device costs nothing"
    );

    process.pass(Duration::from_secs(90));
    let stolen = Failure::from_amqp("amqp:link:stolen", Some("taken over"));
    process.session(attempt, SessionEvent::Ended(stolen));
    assert!(process.controller.history.bytes() > 0);
    let lost = told(&mut process, "d");
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].cause, Some(Cause::OtherClient));
    assert_eq!(lost[0].session, Some(Duration::from_secs(90)));
    assert_eq!(
        detail(&lost[0]),
        "another client, as a.net says: amqp:link:stolen: taken over"
    );
}

#[test]
fn devices_of_one_connection_share_the_line_that_says_why_it_ended() {
    let mut process = Process::new();
    for device in ["a", "b"] {
        process.subscribe(device, KIND);
        process.open();
    }
    let index = process.controller.fleet.find(&id("a")).unwrap();
    let place = process.controller.fleet.context(index).unwrap().place;
    let place = place.unwrap();
    told(&mut process, "a");
    told(&mut process, "b");
    let text = "inactive for more than 240000 ms";
    let failure = Failure::from_amqp("amqp:connection:forced", Some(text));
    process.handle(Input::Connection {
        hub: place.hub,
        key: place.connection,
        event: ConnectionEvent::Ended(failure),
    });
    let [a, b] = ["a", "b"].map(|device| told(&mut process, device).remove(0));
    assert_eq!(a.cause, Some(Cause::KeepAliveMissed));
    let (a, b) = (a.detail.unwrap(), b.detail.unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    assert_eq!(&*a, &format!("a.net: amqp:connection:forced: {text}"));
}

#[test]
fn a_device_that_nothing_uses_is_let_go_by_the_bridge() {
    let mut process = Process::new();
    process.connect("d");
    let attempt = process.open();
    told(&mut process, "d");
    process.pass(Duration::from_secs(12 * 60));
    process.session(attempt, SessionEvent::Closed);
    let changes = told(&mut process, "d");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].status, Status::Disabled);
    assert_eq!(changes[0].cause, Some(Cause::IdleTimeout));
    assert!(changes[0].session.unwrap() >= Duration::from_secs(9 * 60));
    assert!(detail(&changes[0]).starts_with("bridge: "));
    assert_eq!(process.controller.fleet.find(&id("d")), None, "forgotten");
    assert_eq!(process.controller.history_of(&id("d")).len(), 1);
}

#[test]
fn messages_that_are_refused_are_a_change_of_a_device_that_stays_connected() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let attempt = process.open();
    let index = process.controller.fleet.find(&id("d")).unwrap();
    let hub = process.controller.fleet.context(index).unwrap().place;
    let hub = hub.unwrap().hub;
    told(&mut process, "d");
    let refuse = |process: &mut Process, serial, failure: &Failure| {
        process.handle(Input::MessagesRefused {
            device: id("d"),
            serial,
            failure: failure.clone(),
        });
        causes(process, "d")
    };
    let throttled = Failure::from_outcome("com.microsoft:device-container-throttled", None);
    let quota = Failure::from_outcome("amqp:resource-limit-exceeded", None);
    let of = |cause| vec![(Status::Connected, cause)];
    assert_eq!(refuse(&mut process, attempt.serial + 1, &quota), [], "old");
    let first = refuse(&mut process, attempt.serial, &throttled);
    assert_eq!(first, of(Some(Cause::Throttled)));
    assert_eq!(refuse(&mut process, attempt.serial, &throttled), []);
    let taken = |process: &mut Process, serial| {
        let device = id("d");
        process.handle(Input::MessagesTaken { device, serial });
        causes(process, "d")
    };
    assert_eq!(taken(&mut process, attempt.serial + 1), [], "old");
    assert_eq!(taken(&mut process, attempt.serial), of(None));
    assert_eq!(taken(&mut process, attempt.serial), [], "said once");
    assert_eq!(refuse(&mut process, attempt.serial, &throttled), first);
    let over = refuse(&mut process, attempt.serial, &quota);
    assert_eq!(over, of(Some(Cause::QuotaExceeded)));
    assert_eq!(taken(&mut process, attempt.serial), [], "not of the quota");
    process.handle(Input::MessageQuota(hub, Some(quota)));
    process.handle(Input::MessageQuota(hub, None));
    assert_eq!(causes(&mut process, "d"), of(None), "a new day");
}

#[test]
fn a_clock_that_is_off_is_looked_for_and_named() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let refuse = |process: &mut Process| {
        let open = process.opening().expect("an attempt");
        let failure = Failure::from_cbs(401, "Unauthorized");
        process.session(open.place.attempt, SessionEvent::TokenRefused(failure));
        open.place.hub
    };
    let hub = refuse(&mut process);
    let of = |cause| (Status::DisconnectedRetrying, Some(cause));
    assert_eq!(causes(&mut process, "d"), [of(Cause::CredentialsRefused)]);
    let look = |action: &Action<Test>| match action {
        Action::LookAtClock(hub, host) => Some((*hub, host.clone())),
        _ => None,
    };
    assert_eq!(process.take(look), Some((hub, host("a.net"))));
    process.handle(Input::ClockSeen(hub, Some(-7_200)));
    let changes = told(&mut process, "d");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].cause, Some(Cause::ClockSkew));
    let text = detail(&changes[0]);
    assert!(text.contains("7200 s behind the hub's"), "{text}");

    process.pass(Duration::from_secs(1));
    refuse(&mut process);
    assert_eq!(process.take(look), None, "not again within a minute");
    let causes = causes(&mut process, "d");
    assert_eq!(causes, [(Status::Disconnected, Some(Cause::ClockSkew))]);
}

#[test]
fn a_clock_that_differs_little_explains_nothing() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let open = process.opening().expect("an attempt");
    let failure = Failure::from_cbs(401, "Unauthorized");
    process.session(open.place.attempt, SessionEvent::TokenRefused(failure));
    causes(&mut process, "d");
    for ahead in [Some(299), Some(-299), None] {
        process.handle(Input::ClockSeen(open.place.hub, ahead));
        assert_eq!(causes(&mut process, "d"), []);
    }
}
