//! The controller on virtual time, with a hub that is a list of actions.

mod connection_changes;
mod desired;
mod first_contact;
mod hanging_up;
mod keys;
mod messages;
mod methods;
mod pools;
mod refusals;
mod registrations;
mod restarts;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_fleet::CredentialScope;
use drawspan_fleet::governor::Pace;
use drawspan_hub::{ConnectionKey, DeviceId, Failure, FailureKind, HostName, SubscriptionType};

use super::*;
use crate::delivery::{AttemptOutcome as Said, DeliveryConfig};
use crate::events::{Content, Post};
use crate::subscriptions::{Scope, TestUrl};

pub(super) const UNIX_S: u64 = 1_800_000_000;

#[derive(Debug)]
pub(super) struct Test;

#[derive(Debug, Clone)]
pub(super) struct TestRoute(u32);

#[derive(Debug, Clone, Default)]
pub(super) struct TestCaller {
    pub(super) has_hung_up: Rc<Cell<bool>>,
}

/// Devices, each at the hub `b.net`.
#[derive(Debug, Clone)]
pub(super) struct List(pub(super) &'static [&'static str]);

impl Platform for Test {
    type Session = u32;
    type Delivery = u32;
    type MethodRequest = String;
    type Share = ();
    type Callback = TestUrl;
    type Route = TestRoute;
    type Caller = TestCaller;
    type Listing = List;
    type StoreFault = ();
}

impl Route for TestRoute {
    fn last_use(&self) -> Option<Duration> {
        None
    }

    fn serial(&self) -> u32 {
        self.0
    }
}

impl Caller for TestCaller {
    fn is_gone(&self) -> bool {
        false
    }

    fn has_hung_up(&self) -> bool {
        self.has_hung_up.get()
    }
}

impl Listing for List {
    fn hub_of(&self, device: &DeviceId) -> Option<HostName> {
        let listed = self.0.contains(&device.as_str());
        listed.then(|| host("b.net"))
    }
}

/// A controller, and what it wanted done that was not looked at yet.
pub(super) struct Process {
    pub(super) controller: Controller<Test>,
    pub(super) now: Now,
    pub(super) actions: Vec<Action<Test>>,
}

pub(super) fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub(super) fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// A process that starts for the first time.
fn nothing() -> Remembered<TestUrl> {
    Remembered {
        rows: Vec::new(),
        hubs: Vec::new(),
        marks: Vec::new(),
    }
}

fn config(
    profile: Profile<List>,
    max_connections: Option<usize>,
    slots: usize,
) -> ControllerConfig<Test> {
    ControllerConfig {
        fleet: FleetConfig {
            hub_pace: Pace::Unlimited,
            dps_pace: Pace::Unlimited,
            dps: host("dps.net"),
            credentials: CredentialScope::Device,
            max_devices: 100,
            max_hubs: 4,
            hub_gone_after: drawspan_fleet::limits::HUB_GONE_AFTER,
            seed: 7,
        },
        pool: PoolConfig {
            slots_per_connection: slots,
            per_device_tokens: true,
            hub_size: None,
            max_connections,
        },
        profile,
        token_life_s: 3_600,
        delivery: DeliveryConfig::new(0, 7),
        method_answer_timeout: Duration::from_secs(30),
        keeps_letters: true,
        secrets: Secrets::new([7; 32]),
    }
}

impl Process {
    /// In front of one hub.
    pub(super) fn new() -> Self {
        Self::with_connections(None)
    }

    /// The same, with so many connections at most.
    pub(super) fn with_connections(max_connections: Option<usize>) -> Self {
        Self::of(Profile::Hub(host("a.net")), max_connections, 10)
    }

    /// Whose devices register at DPS.
    pub(super) fn by_dps() -> Self {
        Self::of(Profile::Dps, None, 10)
    }

    /// With so many connections at most, and so many devices on each.
    pub(super) fn with_slots(max_connections: usize, slots: usize) -> Self {
        Self::of(Profile::Hub(host("a.net")), Some(max_connections), slots)
    }

    fn of(profile: Profile<List>, max_connections: Option<usize>, slots: usize) -> Self {
        Self::remembering(nothing(), profile, max_connections, slots)
    }

    /// With credentials that belong to those, and up to 50 devices on a connection.
    pub(super) fn with_credentials(credentials: CredentialScope) -> Self {
        let mut config = config(Profile::Hub(host("a.net")), None, 50);
        config.fleet.credentials = credentials;
        Self::start(config, nothing())
    }

    /// With what is stored.
    pub(super) fn remembering(
        remembered: Remembered<TestUrl>,
        profile: Profile<List>,
        max_connections: Option<usize>,
        slots: usize,
    ) -> Self {
        Self::start(config(profile, max_connections, slots), remembered)
    }

    fn start(config: ControllerConfig<Test>, remembered: Remembered<TestUrl>) -> Self {
        let now = Now {
            monotonic: Duration::from_secs(1),
            unix_s: UNIX_S,
        };
        let unix = Duration::from_secs(UNIX_S);
        let mut process = Self {
            controller: Controller::new(config, remembered, now, unix),
            now,
            actions: Vec::new(),
        };
        process.run();
        process
    }

    pub(super) fn run(&mut self) -> Duration {
        let unix = Duration::from_secs(UNIX_S) + self.now.monotonic;
        let due = self.controller.run(self.now, unix);
        self.collect();
        due
    }

    /// Lets time pass, with everything that is due meanwhile.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        loop {
            let due = self.run();
            if due > end {
                break;
            }
            self.now.monotonic = due.max(self.now.monotonic + Duration::from_millis(1));
        }
        self.now.monotonic = end;
        self.run();
    }

    pub(super) fn handle(&mut self, input: Input<Test>) {
        self.controller.handle(input, self.now);
        self.collect();
        self.run();
    }

    fn collect(&mut self) {
        while let Some(action) = self.controller.action() {
            self.actions.push(action);
        }
    }

    /// The first action for which there is something, taken out.
    pub(super) fn take<T>(&mut self, of: impl Fn(&Action<Test>) -> Option<T>) -> Option<T> {
        let (at, found) = self
            .actions
            .iter()
            .enumerate()
            .find_map(|(at, action)| Some((at, of(action)?)))?;
        self.actions.remove(at);
        Some(found)
    }

    pub(super) fn subscribe(&mut self, device: &str, kind: SubscriptionType) {
        self.handle(Input::Request(Request::Subscribe {
            scope: Scope::Device(id(device)),
            kind,
            callback: TestUrl::new("http://receiver/x"),
            keep_connected: false,
            limited: false,
            caller: TestCaller::default(),
        }));
    }

    pub(super) fn unsubscribe(&mut self, device: &str, kind: SubscriptionType) {
        self.handle(Input::Request(Request::Unsubscribe {
            scope: Scope::Device(id(device)),
            kind,
            caller: TestCaller::default(),
        }));
    }

    /// Takes the next device that is to be opened.
    pub(super) fn opening(&mut self) -> Option<Open> {
        self.take(|action| match action {
            Action::Open(open) => Some((**open).clone()),
            _ => None,
        })
    }

    /// Opens the next device, with every link that it wants.
    pub(super) fn open(&mut self) -> AttemptId {
        let open = self.opening().expect("a device to open");
        let attempt = open.place.attempt;
        self.session(
            attempt,
            SessionEvent::Opened {
                session: attempt.serial,
                route: TestRoute(attempt.serial),
            },
        );
        self.session(attempt, SessionEvent::Linked(open.wants.links()));
        attempt
    }

    /// A caller wants a route to a device, and waits half a minute for it.
    pub(super) fn connect(&mut self, device: &str) -> TestCaller {
        let caller = TestCaller::default();
        self.handle(Input::Request(Request::Connect {
            device: id(device),
            waiter: Waiter {
                not: None,
                deadline: self.now.monotonic + Duration::from_secs(30),
                who: drawspan_fleet::CallerId(0),
                caller: caller.clone(),
            },
        }));
        caller
    }

    pub(super) fn session(&mut self, attempt: AttemptId, event: SessionEvent<Test>) {
        self.handle(Input::Session { attempt, event });
    }

    pub(super) fn lose(&mut self, hub: ServiceId, key: ConnectionKey) {
        let failure = Failure::local(FailureKind::ConnectionLost, "cut");
        let event = ConnectionEvent::Ended(failure);
        self.handle(Input::Connection { hub, key, event });
    }

    /// Takes the next request to a receiver.
    pub(super) fn post(&mut self) -> Option<Post<TestUrl>> {
        self.take(|action| match action {
            Action::Post(post) => Some((**post).clone()),
            _ => None,
        })
    }

    pub(super) fn receiver_says(&mut self, post: &Post<TestUrl>, answer: Said) {
        self.handle(Input::Answered {
            attempt: post.attempt,
            answer,
            body: Bytes::new(),
        });
    }

    pub(super) fn notes(&mut self) -> Vec<Note> {
        let mut notes = Vec::new();
        while let Some(note) = self.take(|action| match action {
            Action::Note(note) => Some(note.clone()),
            _ => None,
        }) {
            notes.push(note);
        }
        notes
    }

    pub(super) fn news(&mut self) -> Vec<drawspan_fleet::News> {
        let mut all = Vec::new();
        while let Some(news) = self.take(|action| match action {
            Action::ServiceNews(_, news, _) => Some(*news),
            _ => None,
        }) {
            all.push(news);
        }
        all
    }
}

/// The desired properties of an event, and whether they are all of them.
pub(super) fn desired(post: &Post<TestUrl>) -> (String, bool) {
    match &post.content {
        Content::Desired {
            properties,
            full_state,
        } => (String::from_utf8(properties.to_vec()).unwrap(), *full_state),
        other => panic!("{other:?}"),
    }
}

pub(super) fn origin() -> Arc<str> {
    "http://receiver".into()
}
