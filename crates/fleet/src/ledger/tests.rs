use super::*;
use crate::limits::TOKEN_LIMIT_HOLDS;
use drawspan_hub::limits::DEVICES_PER_CONNECTION;

const PER_DEVICE: LedgerConfig = LedgerConfig {
    slots_per_connection: 4,
    per_device_tokens: true,
};

fn id(number: usize) -> DeviceId {
    DeviceId::parse(&format!("d{number}")).unwrap()
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

const A: ConnectionKey = ConnectionKey(0);
const B: ConnectionKey = ConnectionKey(1);

/// Devices 0 to 3 fill connection A.
fn full() -> Ledger {
    let mut ledger = Ledger::new(PER_DEVICE);
    for device in 0..4 {
        assert_eq!(ledger.place(&id(device), None, s(0)), A);
    }
    ledger
}

#[test]
fn fifty_thousand_devices_need_51_connections() {
    for per_device_tokens in [false, true] {
        let mut ledger = Ledger::new(LedgerConfig {
            slots_per_connection: DEVICES_PER_CONNECTION,
            per_device_tokens,
        });
        for device in 0..50_000 {
            ledger.place(&id(device), None, s(0));
        }
        assert_eq!(ledger.connections(), 51);
        assert_eq!(ledger.live(ConnectionKey(49)), 995);
        assert_eq!(ledger.slots(ConnectionKey(50)), 250);
        assert_eq!(ledger.slots_used(), 50_000);
        assert_eq!(ledger.live(ConnectionKey(51)), 0);
    }
}

#[test]
fn a_device_that_left_keeps_its_slot_until_its_token_expires() {
    let mut ledger = full();
    let gone = s(100) + SLOT_MARGIN;
    assert_eq!(ledger.leave(&id(0), A, Some(s(100))), Left::Stays);
    assert_eq!((ledger.live(A), ledger.slots(A)), (3, 4));
    assert_eq!(ledger.place(&id(9), None, s(1)), B, "its slot is not free");
    assert_eq!(ledger.place(&id(0), None, s(2)), A, "it comes back to it");
    assert_eq!(ledger.slots(A), 4);

    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!(ledger.place(&id(10), None, gone - s(1)), B);
    assert_eq!(ledger.place(&id(11), None, gone), A, "expired, so free");
    assert_eq!(ledger.place(&id(0), None, gone), B);
}

#[test]
fn a_stay_without_a_token_ends_no_earlier_slot() {
    let mut ledger = full();
    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!(ledger.place(&id(0), None, s(1)), A);
    ledger.leave(&id(0), A, None);
    assert_eq!(ledger.slots(A), 4, "the hub counts it as before");
    assert_eq!(ledger.place(&id(9), None, s(2)), B);

    // A device that never had a slot leaves none.
    ledger.leave(&id(1), A, None);
    assert_eq!(ledger.slots(A), 3);
    assert_eq!(ledger.place(&id(10), None, s(3)), A);
}

#[test]
fn who_came_back_keeps_the_slot_when_the_earlier_token_expires() {
    let mut ledger = full();
    ledger.leave(&id(0), A, Some(s(100)));
    ledger.place(&id(0), None, s(50));
    assert_eq!(ledger.place(&id(9), None, s(100) + SLOT_MARGIN), B);
    assert_eq!((ledger.live(A), ledger.slots(A)), (4, 4));
}

#[test]
fn a_device_that_is_on_a_connection_has_no_second_place_there() {
    let mut ledger = full();
    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!(ledger.place(&id(0), None, s(1)), A, "to its slot");
    assert_eq!(ledger.place(&id(0), None, s(2)), B, "make before break");
    assert_eq!((ledger.live(A), ledger.live(B)), (4, 1));
    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!((ledger.live(A), ledger.slots(A)), (3, 4));
}

#[test]
fn with_a_policy_nothing_is_left_behind() {
    let mut ledger = Ledger::new(LedgerConfig {
        per_device_tokens: false,
        ..PER_DEVICE
    });
    (0..4).for_each(|device| assert_eq!(ledger.place(&id(device), None, s(0)), A));
    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!(ledger.slots(A), 3);
    assert_eq!(ledger.place(&id(9), None, s(0)), A);
    assert_eq!(ledger.place(&id(10), None, s(0)), B);
}

#[test]
fn a_connection_without_devices_is_over_and_so_is_its_key() {
    let mut ledger = full();
    for device in 0..3 {
        assert_eq!(ledger.leave(&id(device), A, Some(s(100))), Left::Stays);
    }
    assert_eq!(ledger.leave(&id(3), A, Some(s(100))), Left::Last);
    assert_eq!((ledger.connections(), ledger.slots(A)), (0, 0));
    assert_eq!(ledger.place(&id(0), None, s(1)), B, "its slot is gone too");
    assert_eq!(ledger.leave(&id(3), A, None), Left::Stays, "nobody's last");
    ledger.ended(B);
    assert_eq!(ledger.place(&id(0), None, s(1)), ConnectionKey(2));
}

#[test]
fn another_connection_is_another_one() {
    let mut ledger = Ledger::new(PER_DEVICE);
    assert_eq!(ledger.place(&id(0), None, s(0)), A);
    assert_eq!(ledger.place(&id(1), Some(A), s(0)), B);
    ledger.place(&id(2), None, s(0));
    assert_eq!(ledger.leave(&id(2), A, Some(s(100))), Left::Stays);
    assert_eq!(ledger.place(&id(2), Some(A), s(1)), B, "nor to its slot");
    ledger.leave(&id(2), B, Some(s(100)));
    assert_eq!(ledger.place(&id(2), Some(B), s(2)), A, "it holds two");
}

/// A hub that takes fewer identities than it should.
struct Hub {
    takes: usize,
    tokens: std::collections::BTreeMap<ConnectionKey, std::collections::BTreeSet<usize>>,
    refusals: usize,
}

impl Hub {
    const fn new(takes: usize) -> Self {
        Self {
            takes,
            tokens: std::collections::BTreeMap::new(),
            refusals: 0,
        }
    }

    /// Places all devices before the first answer comes, again and again until the hub has taken each. Returns the rounds.
    fn take_all(
        &mut self,
        ledger: &mut Ledger,
        devices: std::ops::Range<usize>,
        at: Duration,
    ) -> usize {
        let mut waiting: Vec<_> = devices.map(|device| (device, None)).collect();
        let mut rounds = 0;
        while !waiting.is_empty() {
            rounds += 1;
            assert!(rounds < 100, "{} devices bounce", waiting.len());
            let placed: Vec<_> = waiting
                .drain(..)
                .map(|(device, not)| (device, ledger.place(&id(device), not, at)))
                .collect();
            for (device, key) in placed {
                let tokens = self.tokens.entry(key).or_default();
                if tokens.len() < self.takes || tokens.contains(&device) {
                    tokens.insert(device);
                } else {
                    self.refusals += 1;
                    ledger.filled(key, at);
                    ledger.leave(&id(device), key, None);
                    waiting.push((device, Some(key)));
                }
            }
        }
        rounds
    }
}

fn believing(slots_per_connection: usize) -> Ledger {
    Ledger::new(LedgerConfig {
        slots_per_connection,
        per_device_tokens: true,
    })
}

#[test]
fn a_refusal_teaches_what_connections_take() {
    for (takes, devices) in [(5, 23), (5, 200), (1, 7), (500, 3_000)] {
        let (mut ledger, mut hub) = (believing(995), Hub::new(takes));
        hub.take_all(&mut ledger, 0..devices, s(0));
        let needed = devices.div_ceil(takes);
        assert_eq!(ledger.connections(), needed, "{devices} by {takes}");

        // One after the other, each connection after the second is filled without a refusal.
        let (mut ledger, mut hub) = (believing(995), Hub::new(takes));
        for device in 0..devices {
            hub.take_all(&mut ledger, device..device + 1, s(0));
        }
        assert_eq!((hub.refusals, ledger.connections()), (2, needed));
    }
}

#[test]
fn a_connection_that_is_refused_early_says_nothing_of_others_that_hold_more() {
    let mut ledger = believing(10);
    (0..15).for_each(|device| _ = ledger.place(&id(device), None, s(0)));
    ledger.filled(B, s(0));
    ledger.leave(&id(14), B, None);
    assert_eq!(ledger.slots(B), 4);
    let (c, d) = (ConnectionKey(2), ConnectionKey(3));
    assert_eq!(ledger.place(&id(14), Some(B), s(0)), c);
    assert_eq!(ledger.place(&id(15), None, s(0)), c);
    ledger.filled(c, s(0));
    ledger.leave(&id(15), c, None);
    for device in 15..25 {
        assert_eq!(ledger.place(&id(device), None, s(0)), d, "ten on A");
    }
}

#[test]
fn what_a_refusal_taught_is_doubted_after_a_while() {
    let (mut ledger, mut hub) = (believing(995), Hub::new(5));
    hub.take_all(&mut ledger, 0..15, s(0));
    assert_eq!((ledger.connections(), hub.refusals), (3, 10 + 5));

    // Still so: one refusal, and no connection too many.
    let later = TOKEN_LIMIT_HOLDS;
    hub.refusals = 0;
    hub.take_all(&mut ledger, 15..16, later);
    hub.take_all(&mut ledger, 16..20, later);
    assert_eq!((ledger.connections(), hub.refusals), (4, 1));

    // The hub takes more again.
    hub.takes = 995;
    hub.refusals = 0;
    hub.take_all(&mut ledger, 20..25, later * 2);
    assert_eq!(ledger.connections(), 4, "ten on one of them");
    hub.take_all(&mut ledger, 25..40, later * 3);
    assert_eq!(ledger.connections(), 4, "ten on each");
    hub.take_all(&mut ledger, 40..50, later * 4);
    assert_eq!((ledger.connections(), hub.refusals), (4, 0));
}

#[test]
fn a_device_that_was_refused_is_no_trial_of_what_connections_take() {
    let (mut ledger, mut hub) = (believing(995), Hub::new(5));
    hub.take_all(&mut ledger, 0..15, s(0));
    // Each of its retries comes so late that more might be tried again.
    let (mut now, mut not) = (s(0), None);
    for _ in 0..3 {
        now += TOKEN_LIMIT_HOLDS * 2;
        let key = ledger.place(&id(99), not, now);
        if hub.tokens.get(&key).map_or(0, |tokens| tokens.len()) < 5 {
            return;
        }
        ledger.filled(key, now);
        ledger.leave(&id(99), key, None);
        not = Some(key);
    }
    panic!("it bounces");
}

#[test]
fn nothing_is_drained_that_has_no_place_elsewhere() {
    let mut ledger = full();
    (0..3).for_each(|device| _ = ledger.leave(&id(device), A, Some(s(1000))));
    assert_eq!(ledger.drain(1, s(1)), None, "one connection is all");
    assert_eq!(ledger.place_within(1, &id(0), None, s(1)), Some(A));
    ledger.leave(&id(0), A, Some(s(1000)));
    // There is room on another one.
    assert_eq!(ledger.place_within(2, &id(9), None, s(1)), Some(B));
    assert_eq!(ledger.drain(2, s(1)), Some(A));
    assert!(ledger.is_drained(A, 2) && !ledger.is_drained(B, 2));
    // Somebody else takes it.
    for device in 10..13 {
        assert_eq!(ledger.place_within(2, &id(device), None, s(1)), Some(B));
    }
    assert!(!ledger.is_drained(A, 2), "no place is left");
    assert_eq!(ledger.drain(2, s(1)), None);
}

#[test]
fn a_device_on_its_way_from_a_drained_connection_has_a_place() {
    let mut ledger = full();
    (0..3).for_each(|device| _ = ledger.leave(&id(device), A, Some(s(1000))));
    assert_eq!(ledger.drain(2, s(1)), Some(A));
    // It left to be moved, and meanwhile all other places were taken.
    for device in 10..14 {
        assert_eq!(ledger.place_within(2, &id(device), None, s(1)), Some(B));
    }
    assert_eq!(ledger.place_within(2, &id(2), None, s(1)), Some(A));
    assert_eq!(ledger.place_within(2, &id(20), None, s(1)), None);
}

#[test]
fn what_the_hub_calls_full_is_full_until_slots_expire() {
    let mut ledger = Ledger::new(PER_DEVICE);
    (0..3).for_each(|device| assert_eq!(ledger.place(&id(device), None, s(0)), A));
    ledger.filled(A, s(0));
    ledger.leave(&id(2), A, None);
    assert_eq!(ledger.place(&id(9), None, s(0)), B, "the hub refused it");
    ledger.leave(&id(1), A, Some(s(10)));
    assert_eq!(ledger.place(&id(10), None, s(1)), B);
    assert_eq!(ledger.place(&id(1), None, s(1)), A, "it is counted there");
    ledger.leave(&id(1), A, Some(s(10)));
    assert_eq!(ledger.place(&id(11), None, s(10) + SLOT_MARGIN), A);
}

#[test]
fn a_connection_full_of_departed_devices_is_drained() {
    let mut ledger = full();
    ledger.leave(&id(0), A, Some(s(1000)));
    ledger.leave(&id(1), A, Some(s(1000)));
    assert_eq!(
        ledger.drain(usize::MAX, s(1)),
        None,
        "half is not more than half"
    );
    ledger.leave(&id(2), A, Some(s(1000)));
    assert_eq!(ledger.drain(usize::MAX, s(1)), Some(A));
    assert_eq!(
        ledger.drain(usize::MAX, s(1)),
        Some(A),
        "until it has ended"
    );

    assert_eq!(ledger.place(&id(0), None, s(2)), B, "its slot is on A");
    assert_eq!(ledger.place(&id(3), None, s(2)), B, "make before break");
    assert_eq!(ledger.leave(&id(3), A, Some(s(1000))), Left::Last);
    assert_eq!((ledger.connections(), ledger.live(B)), (1, 2));
    assert_eq!(ledger.drain(usize::MAX, s(2)), None);
}

#[test]
fn connections_that_many_devices_left_are_put_together() {
    let mut ledger = Ledger::new(PER_DEVICE);
    for device in 0..40 {
        ledger.place(&id(device), None, s(0));
    }
    assert_eq!(ledger.connections(), 10);
    // Three quarters leave, from all connections alike. Their slots are not free yet.
    for device in (0..40).filter(|device| device % 4 > 0) {
        let key = ConnectionKey(device as u32 / 4);
        ledger.leave(&id(device), key, Some(s(100)));
    }
    let gone = s(100) + SLOT_MARGIN;
    // Full of devices that left: the first one's are moved to a new one.
    assert_eq!(ledger.drain(10, s(1)), None);
    let mut live: Vec<_> = (0..10)
        .map(|key| (4 * key, ConnectionKey(key as u32)))
        .collect();
    while let Some(drained) = ledger.drain(10, gone) {
        let (from, others): (Vec<_>, Vec<_>) = live.iter().partition(|(_, key)| *key == drained);
        live = others;
        for (device, _) in from {
            assert!(ledger.is_drained(drained, 10), "{drained:?}");
            ledger.leave(&id(device), drained, Some(gone + s(100)));
            live.push((device, ledger.place(&id(device), None, gone)));
        }
    }
    // Ten devices need three; one more, and a tenth of three, may be.
    assert_eq!(ledger.connections(), 4);
    assert_eq!(ledger.drain_due(), ledger.order.first_expiry());
}

#[test]
fn with_room_there_is_nothing_to_drain() {
    let mut ledger = Ledger::new(PER_DEVICE);
    (0..3).for_each(|device| assert_eq!(ledger.place(&id(device), None, s(0)), A));
    ledger.leave(&id(0), A, Some(s(1000)));
    ledger.leave(&id(1), A, Some(s(1000)));
    assert_eq!(ledger.drain(usize::MAX, s(1)), None);
}

#[test]
fn devices_that_come_and_go_leave_nothing_for_ever() {
    let mut ledger = Ledger::new(LedgerConfig {
        slots_per_connection: 100,
        per_device_tokens: true,
    });
    let mut here = std::collections::VecDeque::new();
    // Each second one comes; each stays for 600 s, with a token of 900 s.
    for now in 0..20_000_u64 {
        let device = id(now as usize);
        here.push_back((device.clone(), ledger.place(&device, None, s(now))));
        if here.len() > 600 {
            let (device, key) = here.pop_front().unwrap();
            ledger.leave(&device, key, Some(s(now + 300)));
        }
        let slots = 600 + 300 + SLOT_MARGIN.as_secs() as usize;
        assert!(ledger.held.len() <= slots);
        assert!(ledger.connections() <= slots / 100 + 2, "at {now}");
        assert_eq!(ledger.connections.len(), ledger.connections());
    }
}

#[test]
fn there_are_no_more_connections_than_may_be() {
    let mut ledger = full();
    let place = |ledger: &mut Ledger, device, most, now| {
        ledger.place_within(most, &id(device), None, s(now))
    };
    assert_eq!(place(&mut ledger, 4, 1, 0), None);
    assert_eq!(ledger.connections(), 1);
    assert_eq!(place(&mut ledger, 4, 2, 0), Some(B));
    assert_eq!(place(&mut ledger, 5, 1, 0), Some(B));
    // Who comes back has its place.
    ledger.leave(&id(0), A, Some(s(100)));
    assert_eq!(place(&mut ledger, 0, 1, 1), Some(A));
}
