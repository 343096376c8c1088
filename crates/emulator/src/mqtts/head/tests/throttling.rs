//! Rates and the quota, by a clock that is stepped.

use drawspan_emulator_hub::clock::ClockHand;
use drawspan_hub_model::throttle::RateLimits;

use super::*;

/// A hub that lives by a clock of its own, under limits.
struct Limited {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    hand: ClockHand,
}

impl Limited {
    fn new(words: &str, devices: &[&str]) -> Self {
        let (clock, hand) = Clock::manual(unix_s() * 1_000);
        let hub = hub_at(clock, devices);
        let shared = shared(&hub);
        let limited = Self { hub, shared, hand };
        limited.limit(words);
        limited
    }

    fn limit(&self, words: &str) {
        let mut limits = self.hub.rate_limits(RateLimits::clone);
        for word in words.split(' ') {
            limits.apply(word).unwrap();
        }
        self.hub.set_rate_limits(limits);
    }

    fn pass(&self, time: Duration) {
        self.hand.advance(time);
    }

    /// A connection that has sent CONNECT, and what it was answered.
    fn connect(&self, id: &str) -> (Link, Bytes) {
        let mut link = Link::new(&self.shared);
        let answer = link.take(&connect(id, &device_token(id, 100_000)));
        (link, answer)
    }

    fn stored(&self) -> usize {
        self.hub.read(0, 0, 10_000, 10_000_000).unwrap().len()
    }
}

const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
const SECOND: Duration = Duration::from_secs(1);

fn telemetry(id: u16) -> Vec<u8> {
    publish("devices/d/messages/events/", id, &id.to_be_bytes())
}

fn puback(id: u8) -> [u8; 4] {
    [0x40, 2, 0, id]
}

#[test]
fn a_fleet_connects_at_the_rate_of_its_hub() {
    let ids: Vec<String> = (0..500).map(|id| format!("d{id}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let check = |size: &str, expected: &[usize]| {
        let hub = Limited::new(size, &ids);
        let mut accepted = 0;
        let mut waiting = Vec::new();
        for id in &ids {
            let (link, answer) = hub.connect(id);
            match answer.is_empty() {
                true => waiting.push(link),
                false => accepted += 1,
            }
        }
        let mut by_second = vec![accepted];
        for _ in 1..expected.len() {
            hub.pass(SECOND);
            let before = waiting.len();
            waiting.retain_mut(|link| link.look().is_empty());
            by_second.push(before - waiting.len());
        }
        assert_eq!(by_second, expected, "{size}");
    };
    check("S1", &[100; 5]);
    check("S1x2", &[100; 5]);
    check("S1x9", &[108, 108, 108, 108, 68]);
    check("S2", &[120, 120, 120, 120, 20]);
    check("off", &[500]);
}

#[test]
fn a_client_that_waits_to_connect_is_not_silent_and_may_send_a_little() {
    let hub = Limited::new("connects=1/s", &["d", "e"]);
    let (_first, answer) = hub.connect("e");
    assert_eq!(answer[..], ACCEPTED);
    let (mut link, answer) = hub.connect("d");
    assert!(answer.is_empty() && link.head.waits_to_connect());
    let (of, at) = link.head.next_release().unwrap();
    assert_eq!((of.host(), at), (hub.hub.host(), SECOND));
    // Two packets behind CONNECT, and no more than a buffer's worth.
    let behind = [subscribe("$iothub/methods/POST/#", 0), telemetry(7)].concat();
    assert!(link.take(&behind).is_empty());
    assert!(link.head.reads(&link.server));
    hub.pass(SECOND);
    link.now += Duration::from_secs(3_000);
    let answer = link.look();
    assert_eq!(answer[..4], ACCEPTED);
    assert_eq!(answer[4..], [0x90, 3, 0, 1, 0, 0x40, 2, 0, 7]);
    assert_eq!(hub.stored(), 1);
    assert!(link.server.deadline().unwrap() > link.now);
    let (mut link, _) = (hub.connect("e"), hub.connect("e"));
    link.0.take(&vec![0; limits::MQTT_READ_BYTES]);
    assert!(!link.0.head.reads(&link.0.server));
}

#[test]
fn a_device_that_was_disabled_while_it_waited_does_not_connect() {
    let hub = Limited::new("connects=1/s", &["d", "e"]);
    let (_first, _) = hub.connect("e");
    let (mut link, _) = hub.connect("d");
    let id = DeviceId::parse("d").unwrap();
    let deleted = hub.hub.change(|registry| {
        registry.delete(&id, &IfMatch::Any).unwrap();
        ((), vec![Change::Delete(id.clone())])
    });
    futures_now(deleted).unwrap();
    hub.pass(SECOND);
    assert_eq!(link.look()[..], [0x20, 2, 0, 5]);
    assert!(link.head.ended().is_some());
}

/// The result of work that waits for nothing.
fn futures_now<T>(work: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(work).poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_connection_above_the_rate_is_closed_or_told_to_come_later() {
    let hub = Limited::new("connects=1/s queue.connects=0", &["d", "e"]);
    let (_first, _) = hub.connect("e");
    let (link, answer) = hub.connect("d");
    assert!(answer.is_empty());
    assert_eq!(link.head.ended(), Some(DisconnectReason::Throttled));
    hub.limit("connack=3");
    let (link, answer) = hub.connect("d");
    assert_eq!(answer[..], [0x20, 2, 0, 3]);
    assert_eq!(link.head.ended(), Some(DisconnectReason::Throttled));
    // One that may not connect at all hears of that, and costs nothing.
    hub.pass(SECOND);
    let mut stranger = Link::new(&hub.shared);
    let answer = stranger.take(&connect("d", &device_token("e", 600)));
    assert_eq!(answer[..], [0x20, 2, 0, 5]);
    let (_link, answer) = hub.connect("d");
    assert_eq!(answer[..], ACCEPTED);
}

#[test]
fn telemetry_is_taken_then_delayed_then_closes_the_connection() {
    let hub = Limited::new("d2c=1/s burst.d2c=2 queue.d2c=2", &["d"]);
    let (mut link, _) = hub.connect("d");
    let four = [1, 2, 3, 4].map(telemetry).concat();
    assert_eq!(link.take(&four)[..], [puback(1), puback(2)].concat());
    assert_eq!(hub.stored(), 2);
    // An acknowledgement keeps its place, and pings are free.
    let answer = publish("$iothub/methods/res/200/?$rid=9", 5, b"");
    let ping = [0xc0, 0];
    assert_eq!(link.take(&[&answer[..], &ping].concat())[..], [0xd0, 0]);
    hub.pass(SECOND);
    assert_eq!(link.look()[..], puback(3));
    hub.pass(SECOND);
    assert_eq!(link.look()[..], [puback(4), puback(5)].concat());
    let stored = hub.hub.read(0, 0, 10, 10_000).unwrap();
    assert_eq!(stored.len(), 4);
    // Three more are one too many.
    let three = [6, 7, 8].map(telemetry).concat();
    assert!(link.take(&three).is_empty());
    assert_eq!(link.head.ended(), Some(DisconnectReason::Throttled));
}

#[test]
fn a_fleet_at_twice_the_rate_is_taken_for_a_minute_delayed_for_another_and_then_refused() {
    let ids: Vec<String> = (0..10).map(|id| format!("d{id}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let hub = Limited::new("S1", &ids);
    let mut links: Vec<(&str, Link)> = ids.iter().map(|id| (*id, hub.connect(id).0)).collect();
    let (mut sent, mut delayed_at, mut refused_at) = (0, None, None);
    for second in 0..180 {
        hub.pass(SECOND);
        let mut acknowledged = 0;
        for (id, link) in &mut links {
            link.look();
            let topic = format!("devices/{id}/messages/events/");
            let twenty: Vec<u8> = (1..=20)
                .flat_map(|at| publish(&topic, second * 20 + at, b"x"))
                .collect();
            sent += 20;
            acknowledged += link.take(&twenty).len() / puback(1).len();
            if link.head.ended().is_some() {
                refused_at.get_or_insert(second);
            }
        }
        if acknowledged < 200 {
            delayed_at.get_or_insert(second);
        }
        if refused_at.is_some() {
            break;
        }
    }
    let (delayed_at, refused_at) = (delayed_at.unwrap(), refused_at.unwrap());
    assert!((59..=61).contains(&delayed_at), "{delayed_at}");
    assert!((118..=121).contains(&refused_at), "{refused_at}");
    let stored = hub.hub.partition(0).unwrap().next_sequence;
    assert_eq!(stored, 6_000 + u64::from(refused_at) * 100, "of {sent}");
}

#[test]
fn limits_that_end_let_pass_what_waits() {
    let hub = Limited::new("d2c=1/min burst.d2c=0", &["d"]);
    let (mut link, _) = hub.connect("d");
    let two = [1, 2].map(telemetry).concat();
    assert_eq!(link.take(&two)[..], puback(1));
    hub.limit("off");
    // Whether it hears of the change first, or gets the next message.
    assert_eq!(
        link.take(&telemetry(3))[..],
        [puback(2), puback(3)].concat()
    );
    assert_eq!(hub.stored(), 3);
}

#[test]
fn bytes_that_wait_are_bounded() {
    let hub = Limited::new("d2c=1/min burst.d2c=0 queue.d2c=86400 wait=86400", &["d"]);
    let (mut link, _) = hub.connect("d");
    let large = |id| publish("devices/d/messages/events/", id, &vec![b'x'; 200_000]);
    let mut taken = 0;
    while link.head.ended().is_none() {
        taken += 1;
        link.take(&large(taken));
    }
    // One is stored, 8 MiB wait.
    assert_eq!(taken, 43);
}

#[test]
fn a_message_beyond_the_quota_closes_the_connection() {
    let hub = Limited::new("quota=1", &["d"]);
    let (mut link, _) = hub.connect("d");
    assert_eq!(link.take(&telemetry(1))[..], puback(1));
    assert!(link.take(&telemetry(2)).is_empty());
    assert_eq!(link.head.ended(), Some(DisconnectReason::QuotaExceeded));
    hub.pass(Duration::from_secs(24 * 60 * 60));
    let (mut link, _) = hub.connect("d");
    assert_eq!(link.take(&telemetry(3))[..], puback(3));
}

#[test]
fn requests_about_twins_wait_and_are_answered_with_429() {
    let limits = "twin-reads=1/s burst.twin-reads=0 queue.twin-reads=1 twin-updates=1/s queue.twin-updates=0";
    let hub = Limited::new(limits, &["d"]);
    let (mut link, _) = hub.connect("d");
    link.take(&subscribe("$iothub/twin/res/#", 0));
    let read = |id| {
        packet(
            0x30,
            &text(format!("$iothub/twin/GET/?$rid={id}").as_bytes()),
        )
    };
    let three = [1, 2, 3].map(read).concat();
    let answers = link.take(&three);
    assert!(contains(&answers, "twin/res/200/?$rid=1"));
    assert!(contains(&answers, "twin/res/429/?$rid=3"));
    assert!(contains(&answers, "429002"));
    assert!(!contains(&answers, "$rid=2"));
    hub.pass(SECOND);
    assert!(contains(&link.look(), "twin/res/200/?$rid=2"));
    hub.limit("quota=0");
    hub.pass(SECOND * 5);
    assert!(contains(&link.take(&read(4)), "twin/res/403/?$rid=4"));
}

#[test]
fn basic_tiers_have_telemetry_alone() {
    let hub = Limited::new("B1", &["d"]);
    let (mut link, answer) = hub.connect("d");
    assert_eq!(answer[..], ACCEPTED);
    for filter in [
        "$iothub/methods/POST/#",
        "$iothub/twin/res/#",
        "devices/d/messages/devicebound/#",
    ] {
        assert_eq!(link.take(&subscribe(filter, 0))[..], [0x90, 3, 0, 1, 0x80]);
    }
    assert_eq!(link.take(&telemetry(1))[..], puback(1));
}

#[tokio::test]
async fn a_client_that_waits_to_connect_is_refused_when_its_hub_fails_over() {
    let hub = Limited::new("connects=1/s", &["d", "e"]);
    let (_first, _) = hub.connect("e");
    let (mut link, answer) = hub.connect("d");
    assert!(answer.is_empty() && link.head.waits_to_connect());
    hub.hub.fail_over(SECOND * 60).await.unwrap();
    assert_eq!(link.look()[..], [0x20, 2, 0, 3]);
    assert_eq!(link.head.ended(), Some(DisconnectReason::FailingOver));
}
