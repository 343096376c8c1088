//! The devices that are known after a restart.

use super::*;
use crate::limits::HUB_CACHE_LIFE_S;
use crate::subscriptions::Prefix;

const KIND: SubscriptionType = SubscriptionType::DesiredProperties;

/// All profiles, and a device that each knows.
fn profiles() -> [Profile<List>; 3] {
    let listed = Profile::Listed(List(&["d", "e"]));
    [Profile::Hub(host("a.net")), listed, Profile::Dps]
}

fn start(profile: &Profile<List>, stored: &Stored) -> Process {
    let remembered = Remembered {
        rows: stored.rows.clone(),
        hubs: stored.hubs.clone(),
        marks: Vec::new(),
    };
    Process::remembering(remembered, profile.clone(), None, 10)
}

#[derive(Debug, Default)]
struct Stored {
    rows: Vec<(Scope, SubscriptionType, Row<TestUrl>)>,
    hubs: Vec<StoredHub>,
    writes: usize,
}

impl Stored {
    /// Takes in what a process wants stored.
    fn store(&mut self, process: &mut Process) {
        while let Some((scope, kind, row)) = process.take(|action| match action {
            Action::Store {
                scope, kind, row, ..
            } => Some((scope.clone(), *kind, row.clone())),
            _ => None,
        }) {
            self.rows.extend(row.map(|row| (scope, kind, row)));
        }
        while let Some(change) = process.take(|action| match action {
            Action::StoreHub(change) => Some(change.clone()),
            _ => None,
        }) {
            match change {
                HubChange::Put(hub) => {
                    self.writes += 1;
                    self.hubs.retain(|it| it.device != hub.device);
                    self.hubs.push(hub);
                }
                HubChange::Forget(device) => self.hubs.retain(|it| it.device != device),
                HubChange::Renew(..) => {}
            }
        }
    }
}

/// DPS answers, if it is asked.
fn register(process: &mut Process) {
    let asked = process.take(|action| match action {
        Action::Register(asked) => Some((asked.number, asked.device.clone())),
        _ => None,
    });
    if let Some((number, device)) = asked {
        process.handle(Input::Registered {
            number,
            key: drawspan_hub::WhichKey::Primary,
            answer: Ok(Assigned {
                hub: host("b.net"),
                device,
            }),
        });
    }
}

fn connect(process: &mut Process, device: &str) {
    process.connect(device);
    register(process);
    process.open();
}

/// A process that starts after another one has connected the device `d`.
fn restarted(profile: &Profile<List>) -> Process {
    let mut stored = Stored::default();
    let mut process = start(profile, &stored);
    connect(&mut process, "d");
    stored.store(&mut process);
    start(profile, &stored)
}

fn opened(process: &mut Process, attempt: AttemptId) {
    process.session(
        attempt,
        SessionEvent::Opened {
            session: attempt.serial,
            route: TestRoute(attempt.serial),
        },
    );
}

fn forget(process: &mut Process) {
    process.handle(Input::Request(Request::Forget {
        device: id("d"),
        caller: TestCaller::default(),
    }));
}

fn subscribe(process: &mut Process, prefix: &str) {
    process.handle(Input::Request(Request::Subscribe {
        scope: Scope::Fleet(Prefix::parse(prefix).unwrap()),
        kind: KIND,
        callback: TestUrl::new("http://receiver/x"),
        keep_connected: true,
        limited: false,
        caller: TestCaller::default(),
    }));
}

fn known(process: &Process) -> Vec<DeviceId> {
    let all = Prefix::default();
    process.controller.known_after(&all, None, 10)
}

#[test]
fn a_device_that_a_fleet_subscription_keeps_connected_is_connected_after_a_restart() {
    for profile in profiles() {
        let mut stored = Stored::default();
        let mut process = start(&profile, &stored);
        subscribe(&mut process, "");
        connect(&mut process, "d");
        stored.store(&mut process);
        let mut process = start(&profile, &stored);
        assert_eq!(known(&process), [id("d")], "{profile:?}");
        let open = process.opening().map(|open| open.device);
        assert_eq!(open, Some(id("d")), "{profile:?}");
    }
}

#[test]
fn a_device_is_stored_once_however_often_it_connects() {
    for profile in profiles() {
        let mut stored = Stored::default();
        let mut process = start(&profile, &stored);
        for _ in 0..3 {
            connect(&mut process, "d");
            let attempt = process.controller.fleet.find(&id("d")).unwrap();
            let place = process.controller.fleet.context(attempt).unwrap().place;
            let place = place.unwrap();
            process.lose(place.hub, place.connection);
            process.pass(Duration::from_secs(1));
        }
        stored.store(&mut process);
        assert_eq!(stored.writes, 1, "{profile:?}");
    }
}

#[test]
fn a_device_that_never_connected_or_was_removed_is_not_stored() {
    for profile in &profiles()[..2] {
        let mut stored = Stored::default();
        let mut process = start(profile, &stored);
        process.connect("e");
        let attempt = process.opening().unwrap().place.attempt;
        let failure = Failure::local(FailureKind::DeviceNotFound, "404001");
        process.session(attempt, SessionEvent::Ended(failure));
        // It is being opened when it is removed.
        process.connect("d");
        let open = process.opening().unwrap();
        forget(&mut process);
        let attempt = open.place.attempt;
        opened(&mut process, attempt);
        stored.store(&mut process);
        assert_eq!(stored.hubs, [], "{profile:?}");
    }
}

#[test]
fn a_device_that_is_removed_is_not_known_any_more() {
    for profile in profiles() {
        let mut process = restarted(&profile);
        assert_eq!(known(&process), [id("d")], "{profile:?}");
        forget(&mut process);
        assert_eq!(known(&process), [], "{profile:?}");
    }
}

#[test]
fn a_device_that_nobody_uses_for_a_week_is_not_known_any_more() {
    for profile in profiles() {
        let mut process = restarted(&profile);
        for hour in 0..HUB_CACHE_LIFE_S / 3_600 + 7 {
            process.now.unix_s = UNIX_S + hour * 3_600;
            process.now.monotonic += Duration::from_secs(3_600);
            process.run();
        }
        assert_eq!(known(&process), [], "{profile:?}");
    }
}

#[test]
fn a_device_that_the_list_has_at_another_hub_is_stored_anew() {
    let profile = Profile::Listed(List(&["d"]));
    let moved = StoredHub {
        device: id("d"),
        hub: host("a.net"),
        // As DPS had called it.
        assigned: Some(id("other")),
        renewed_unix_s: UNIX_S,
    };
    let mut stored = Stored::default();
    stored.hubs.push(moved);
    let mut process = start(&profile, &stored);
    process.connect("d");
    let open = process.opening().unwrap();
    assert_eq!((open.device, open.host), (id("d"), host("b.net")));
    let attempt = open.place.attempt;
    opened(&mut process, attempt);
    stored.store(&mut process);
    let hubs: Vec<_> = stored.hubs.iter().map(|it| it.hub.clone()).collect();
    assert_eq!(hubs, [host("b.net")]);
}
