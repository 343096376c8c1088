//! Property tests: the store's view stays the model's, and no message ends twice or is lost.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::c2d::{Change, Outcome, QueuedMessage, Record};
use crate::limits::Limits;

#[derive(Clone, Debug)]
enum Step {
    Send {
        device: u8,
        ack: u8,
        ttl_ms: Option<u64>,
    },
    Lock {
        device: u8,
    },
    Settle {
        of: usize,
        outcome: Outcome,
    },
    Release {
        of: usize,
    },
    Purge {
        device: u8,
    },
    Wait {
        ms: u64,
    },
    Feedback {
        outcome: Option<Outcome>,
    },
    Restart,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        1 => Just(Outcome::Complete),
        4 => Just(Outcome::Abandon),
        1 => Just(Outcome::Reject)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2u8, 0..4u8, prop::option::of(0..200_000u64))
            .prop_map(|(device, ack, ttl_ms)| Step::Send { device, ack, ttl_ms }),
        8 => (0..2u8).prop_map(|device| Step::Lock { device }),
        6 => (0..20usize, outcome()).prop_map(|(of, outcome)| Step::Settle { of, outcome }),
        1 => (0..20usize).prop_map(|of| Step::Release { of }),
        1 => (0..2u8).prop_map(|device| Step::Purge { device }),
        3 => (0..90_000u64).prop_map(|ms| Step::Wait { ms }),
        3 => prop::option::of(outcome()).prop_map(|outcome| Step::Feedback { outcome }),
        1 => Just(Step::Restart),
    ]
}

/// What a store would hold, from the changes alone.
#[derive(Default)]
struct Shadow {
    messages: BTreeMap<u64, (DeviceId, QueuedMessage)>,
    records: BTreeMap<u64, Arc<Record>>,
    last_sequence: u64,
}

impl Shadow {
    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put(device, message) => {
                    self.last_sequence = message.sequence;
                    let before = self.messages.insert(message.sequence, (device, message));
                    assert!(before.is_none(), "a sequence number is used once");
                }
                Change::Counted {
                    sequence,
                    delivery_count,
                    ..
                } => {
                    self.messages.get_mut(&sequence).unwrap().1.delivery_count = delivery_count;
                }
                Change::Gone { sequence, device } => {
                    let (of, _) = self.messages.remove(&sequence).expect("it ends once");
                    assert_eq!(of, device);
                }
                Change::Feedback(record) => {
                    assert!(self.records.insert(record.number, record).is_none());
                }
                Change::FeedbackGone { first, last } => {
                    for number in first..=last {
                        assert!(self.records.remove(&number).is_some());
                    }
                }
            }
        }
    }

    fn kept(&self) -> Kept {
        Kept {
            messages: self.messages.values().cloned().collect(),
            records: self.records.values().cloned().collect(),
            last_sequence: self.last_sequence,
        }
    }
}

struct World {
    model: CloudToDevice,
    shadow: Shadow,
    now: u64,
    /// Hand-overs that may still be good: token, device, sequence, until when.
    out: Vec<(LockToken, DeviceId, u64, u64)>,
    tokens: u128,
    wanted: HashMap<u64, Ack>,
    ended: HashSet<u64>,
}

impl World {
    fn token(&mut self) -> LockToken {
        self.tokens += 1;
        LockToken(self.tokens.to_le_bytes())
    }

    fn device(number: u8) -> DeviceId {
        device(["a", "b"][usize::from(number)])
    }

    fn step(&mut self, step: Step) {
        let (now, mut effects) = (self.now, Effects::default());
        match step {
            Step::Send {
                device,
                ack,
                ttl_ms,
            } => self.send(device, ack, ttl_ms, &mut effects),
            Step::Lock { device } => self.lock(&Self::device(device)),
            Step::Settle { of, outcome } if !self.out.is_empty() => {
                let (token, device, _, until) = self.out.remove(of % self.out.len());
                let result = self
                    .model
                    .settle(&device, token, outcome, now, &mut effects);
                assert_eq!(
                    result.is_ok(),
                    now < until,
                    "a lock holds as long as it should"
                );
            }
            Step::Release { of } if !self.out.is_empty() => {
                let (token, device, ..) = self.out.remove(of % self.out.len());
                self.model.release(&device, token);
            }
            Step::Settle { .. } | Step::Release { .. } => {}
            Step::Purge { device } => {
                let device = Self::device(device);
                self.model.purge(&device, now, &mut effects);
                assert_eq!(self.model.count(&device), 0);
                self.out.retain(|(_, of, ..)| *of != device);
            }
            Step::Wait { ms } => {
                self.now += ms;
                self.model.tick(self.now, &mut effects);
                assert!(self.model.deadline().is_none_or(|due| due > self.now));
                let now = self.now;
                self.out.retain(|(.., until)| *until > now);
            }
            Step::Feedback { outcome } => {
                let token = self.token();
                if let Some(outcome) = outcome
                    && self.model.lock_feedback(token, now).is_some()
                {
                    let settled = self
                        .model
                        .settle_feedback(token, outcome, now, &mut effects);
                    assert_eq!(settled, Ok(()));
                }
            }
            Step::Restart => {
                self.model = CloudToDevice::restore(
                    Settings::default(),
                    &Limits::default(),
                    self.shadow.kept(),
                );
                self.out.clear();
            }
        }
        self.check_ends(&effects);
        self.shadow.apply(effects.changes);
        self.check();
    }

    fn send(&mut self, device: u8, ack: u8, ttl_ms: Option<u64>, effects: &mut Effects) {
        let ack = Ack::NAMES[usize::from(ack)].0;
        let mut new = message("m", ack);
        new.expires_unix_ms = ttl_ms.map(|ms| self.now + ms);
        let device = Self::device(device);
        let full = self.model.count(&device) == Limits::default().c2d_depth;
        let sent = self.model.send(&device, new, self.now, effects);
        assert_eq!(sent.is_err(), full);
        if let Some(Change::Put(_, message)) = effects.changes.first() {
            self.wanted.insert(message.sequence, ack);
        }
    }

    fn lock(&mut self, device: &DeviceId) {
        let token = self.token();
        let free = |(sequence, (of, message)): (&u64, &(DeviceId, QueuedMessage))| {
            let taken = self.out.iter().any(|(_, _, other, _)| other == sequence);
            (of == device && !taken && message.expires_unix_ms > self.now).then_some(*sequence)
        };
        let expected = self.shadow.messages.iter().find_map(free);
        let message = self.model.lock(device, token, self.now);
        assert_eq!(message.as_ref().map(|message| message.sequence), expected);
        if let Some(message) = message {
            assert_eq!(message, self.shadow.messages[&message.sequence].1);
            let until = self.now + Settings::default().lock_ms;
            self.out
                .push((token, device.clone(), message.sequence, until));
        }
    }

    /// Each end of a message is reported as its sender requested, once.
    fn check_ends(&mut self, effects: &Effects) {
        let mut changes = effects.changes.iter().peekable();
        while let Some(change) = changes.next() {
            let Change::Gone { sequence, .. } = change else {
                continue;
            };
            assert!(self.ended.insert(*sequence));
            let told = match changes.peek() {
                Some(Change::Feedback(record)) => Some(record.end),
                _ => None,
            };
            let ack = self.wanted[sequence];
            match told {
                Some(end) => assert!(ack.wants(end)),
                None => assert_ne!(ack, Ack::Full),
            }
        }
    }

    fn check(&self) {
        let (held, shadow) = (held(&self.model), self.shadow.kept());
        assert_eq!(held.messages, shadow.messages);
        assert_eq!(held.records, shadow.records);
        assert_eq!(held.last_sequence, shadow.last_sequence);
        let bytes: usize = held
            .messages
            .iter()
            .map(|(_, message)| message.item.payload.len())
            .sum();
        assert_eq!(self.model.queued_bytes, bytes);
        assert_eq!(self.model.deadlines.len(), self.model.queues.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_course_of_events_is_kept_truly(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World {
            model: empty(),
            shadow: Shadow::default(),
            now: 1_000_000,
            out: Vec::new(),
            tokens: 0,
            wanted: HashMap::new(),
            ended: HashSet::new(),
        };
        for step in steps {
            world.step(step);
        }
    }
}
