//! Property tests against a hub that counts and a ledger that checks everything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 3;
const DEVICES: usize = 24;

#[derive(Debug, Clone)]
enum Step {
    Place {
        device: usize,
        /// Not where it would go.
        elsewhere: bool,
    },
    Leave {
        device: usize,
        /// How long its token lasts from now; `None` if the hub accepted none.
        token_s: Option<u64>,
    },
    Ended(usize),
    Filled(usize),
    Drain,
    Advance(u64),
}

/// An identity on a connection, as the hub counts it.
#[derive(Debug, Clone, Copy, Default)]
struct Identity {
    live: bool,
    /// It showed a token before this stay, valid until then.
    until: Option<Duration>,
}

#[derive(Default)]
struct Model {
    connections: BTreeMap<ConnectionKey, BTreeMap<usize, Identity>>,
    filled: Vec<ConnectionKey>,
    places: BTreeMap<usize, ConnectionKey>,
    draining: Option<ConnectionKey>,
    /// No key from here on has been used.
    fresh: u32,
    now: Duration,
}

fn step() -> impl Strategy<Value = Step> {
    let token_s = prop_oneof![Just(None), (0..2_000_u64).prop_map(Some)];
    prop_oneof![
        8 => (0..DEVICES, prop::bool::weighted(0.1))
            .prop_map(|(device, elsewhere)| Step::Place { device, elsewhere }),
        6 => (0..DEVICES, token_s).prop_map(|(device, token_s)| Step::Leave { device, token_s }),
        1 => any::<usize>().prop_map(Step::Ended),
        1 => any::<usize>().prop_map(Step::Filled),
        1 => Just(Step::Drain),
        3 => (1..500_u64).prop_map(Step::Advance),
    ]
}

fn id(number: usize) -> DeviceId {
    DeviceId::parse(&format!("d{number}")).unwrap()
}

impl Model {
    /// Visits everything: expired entries of the hub are removed.
    fn expire(&mut self) {
        for identities in self.connections.values_mut() {
            for identity in identities.values_mut() {
                identity.until = identity.until.filter(|until| *until > self.now);
            }
            identities.retain(|_, identity| identity.live || identity.until.is_some());
        }
    }

    fn nth(&self, number: usize) -> Option<ConnectionKey> {
        let count = self.connections.len().max(1);
        self.connections.keys().nth(number % count).copied()
    }

    fn take(&mut self, ledger: &mut Ledger, step: &Step) {
        match *step {
            Step::Place { device, elsewhere } => self.place(ledger, device, elsewhere),
            Step::Leave { device, token_s } => self.leave(ledger, device, token_s),
            Step::Ended(number) => {
                if let Some(key) = self.nth(number) {
                    self.end(key);
                    ledger.ended(key);
                }
            }
            Step::Filled(number) => {
                if let Some(key) = self.nth(number) {
                    self.filled.push(key);
                    ledger.filled(key, self.now);
                }
            }
            Step::Drain => {
                self.expire();
                let draining = ledger.drain(usize::MAX, self.now);
                if self.draining.is_some() {
                    assert_eq!(draining, self.draining, "one at a time");
                } else if let Some(key) = draining {
                    let identities = &self.connections[&key];
                    let live = identities.values().filter(|identity| identity.live);
                    let wasteful = 2 * live.count() < identities.len();
                    let all: usize = self.connections.values().map(|all| all.len()).sum();
                    let spare = self.connections.len() > all.div_ceil(LIMIT) + 1;
                    assert!(wasteful || spare);
                    self.draining = draining;
                }
            }
            Step::Advance(seconds) => self.now += Duration::from_secs(seconds),
        }
    }

    fn place(&mut self, ledger: &mut Ledger, device: usize, elsewhere: bool) {
        self.expire();
        let from = self.places.get(&device).copied();
        // A device that is live is only moved away from a connection that is drained.
        if from.is_some() && from != self.draining {
            return;
        }
        let not = elsewhere.then(|| self.nth(device)).flatten().or(from);
        let usable = |key: &ConnectionKey| Some(*key) != not && Some(*key) != self.draining;
        let holds: Vec<ConnectionKey> = self
            .connections
            .iter()
            .filter(|(key, identities)| usable(key) && identities.contains_key(&device))
            .map(|(key, _)| *key)
            .collect();
        let open = |(key, identities): (&ConnectionKey, &BTreeMap<_, _>)| {
            usable(key) && !self.filled.contains(key) && identities.len() < LIMIT
        };
        let open = self.connections.iter().any(open);

        let key = ledger.place(&id(device), not, self.now);

        assert_ne!(Some(key), not);
        assert_ne!(Some(key), self.draining);
        if !holds.is_empty() {
            assert!(holds.contains(&key), "it holds a slot on {holds:?}");
        }
        if !self.connections.contains_key(&key) {
            assert_eq!(key.0, self.fresh, "a key of its own");
            // A limit learned from a refusal is expected of other connections as well.
            assert!(!open || !self.filled.is_empty(), "there was room");
            self.fresh += 1;
        }
        let identities = self.connections.entry(key).or_default();
        identities.entry(device).or_default().live = true;
        assert!(identities.len() <= LIMIT, "more than the hub takes");
        if let Some(from) = from {
            self.left(ledger, device, from, Some(600));
        }
        self.places.insert(device, key);
    }

    fn leave(&mut self, ledger: &mut Ledger, device: usize, token_s: Option<u64>) {
        if let Some(key) = self.places.remove(&device) {
            self.left(ledger, device, key, token_s);
        }
    }

    fn left(
        &mut self,
        ledger: &mut Ledger,
        device: usize,
        key: ConnectionKey,
        token_s: Option<u64>,
    ) {
        let token_until = token_s.map(|seconds| self.now + Duration::from_secs(seconds));
        let identities = self.connections.get_mut(&key).unwrap();
        let identity = identities.get_mut(&device).unwrap();
        identity.live = false;
        identity.until = identity
            .until
            .max(token_until.map(|until| until + SLOT_MARGIN));
        let last = !identities.values().any(|identity| identity.live);
        let left = ledger.leave(&id(device), key, token_until);
        assert_eq!(left, if last { Left::Last } else { Left::Stays });
        if last {
            self.end(key);
        }
    }

    fn end(&mut self, key: ConnectionKey) {
        self.connections.remove(&key);
        self.places.retain(|_, at| *at != key);
        if self.draining == Some(key) {
            self.draining = None;
        }
    }

    fn agrees(&mut self, ledger: &mut Ledger) {
        self.expire();
        ledger.expire(self.now);
        assert_eq!(ledger.connections(), self.connections.len());
        let mut held = 0;
        for (key, identities) in &self.connections {
            let live = identities.values().filter(|identity| identity.live);
            assert_eq!(ledger.live(*key), live.count());
            assert_eq!(ledger.slots(*key), identities.len());
            held += identities.values().filter(|i| i.until.is_some()).count();
        }
        let kept: usize = ledger.held.values().map(Vec::len).sum();
        assert_eq!(kept, held, "nothing is kept that the hub has forgotten");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn hub_and_ledger_count_the_same(steps in proptest::collection::vec(step(), 1..300)) {
        let mut ledger = Ledger::new(LedgerConfig {
            slots_per_connection: LIMIT,
            per_device_tokens: true,
        });
        let mut model = Model::default();
        for step in &steps {
            model.take(&mut ledger, step);
            model.agrees(&mut ledger);
        }
    }
}
