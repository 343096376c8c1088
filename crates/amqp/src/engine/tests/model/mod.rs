//! Random commands at both ends, checked against a model that only remembers what was sent.

mod checks;
mod commands;
mod events;
mod strategy;

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::pair::{End, Pair};
use crate::engine::{Config, Credit, DeliveryId, LinkId, SessionId};
use crate::performative::{DeliveryState, Error, condition};

/// As many as there are channels.
const SESSIONS_MAX: usize = 8;

/// What one end does. Numbers pick among what there is.
#[derive(Debug, Clone)]
enum Step {
    Begin(Who),
    Attach {
        who: Who,
        session: usize,
        sends: bool,
        second: bool,
        credit: Credit,
    },
    Send {
        link: usize,
        bytes: usize,
        settled: bool,
        times: usize,
    },
    Settle {
        pick: usize,
        outcome: usize,
        propose: bool,
    },
    /// Accepts all there is, as it came.
    SettleAll,
    /// Takes a message back that may still wait.
    Withdraw {
        link: usize,
        pick: usize,
    },
    Grant {
        link: usize,
        credit: u32,
    },
    Drained(usize),
    Detach(Who, usize),
    End(Who, usize),
    /// Carries what is on its way once, so that frames cross.
    Exchange,
    /// Carries all until nothing moves.
    Quiet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Client,
    Server,
}

impl Who {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A session by its key at each end.
#[derive(Default)]
struct SessionModel {
    keys: HashMap<Who, SessionId>,
    ended: bool,
}

struct LinkModel {
    session: usize,
    keys: HashMap<Who, LinkId>,
    sender: Who,
    second: bool,
    /// The receiver's.
    credit: Credit,
    /// Somebody began to take it down.
    going: bool,
    /// Without those that were taken back.
    sent: Vec<Sent>,
    /// Messages so far, those included that were taken back.
    count: usize,
    received: usize,
}

struct Sent {
    /// Its number on the link.
    number: usize,
    bytes: usize,
    settled: bool,
    said: Option<DeliveryState>,
    told: bool,
}

/// A delivery that the receiver has not settled.
struct Open {
    link: usize,
    index: usize,
    delivery: DeliveryId,
}

struct World {
    pair: Pair,
    sessions: Vec<SessionModel>,
    links: Vec<LinkModel>,
    open: Vec<Open>,
    /// Sessions that an end began and of which the other has not heard, in the order of the wire.
    begun: HashMap<Who, VecDeque<usize>>,
    link_of: HashMap<(Who, LinkId), usize>,
}

fn outcome(pick: usize) -> DeliveryState {
    match pick % 4 {
        0 | 1 => DeliveryState::Accepted,
        2 => DeliveryState::Released,
        _ => DeliveryState::Rejected(Some(Error::new(condition::NOT_ALLOWED, "no"))),
    }
}

/// Differs between links, messages and places.
fn payload(link: usize, index: usize, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| (link * 101 + index * 17 + at * 7 + at / 256) as u8)
        .collect()
}

/// The context of a message: its link and its place there.
fn context(link: usize, index: usize) -> u64 {
    ((link as u64) << 32) | index as u64
}

impl World {
    fn new(config: Config, chunk: usize) -> Self {
        let mut pair = Pair::open(config);
        pair.chunk = chunk;
        Self {
            pair,
            sessions: Vec::new(),
            links: Vec::new(),
            open: Vec::new(),
            begun: HashMap::from([
                (Who::Client, VecDeque::new()),
                (Who::Server, VecDeque::new()),
            ]),
            link_of: HashMap::new(),
        }
    }

    fn end(&mut self, who: Who) -> &mut End {
        match who {
            Who::Client => &mut self.pair.client,
            Who::Server => &mut self.pair.server,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Begin(who) => self.begin(who),
            Step::Attach {
                who,
                session,
                sends,
                second,
                credit,
            } => self.attach(who, session, sends, second, credit),
            Step::Send {
                link,
                bytes,
                settled,
                times,
            } => (0..times).for_each(|_| self.send(link, bytes, settled)),
            Step::Settle {
                pick,
                outcome,
                propose,
            } => self.settle(pick, outcome, propose),
            Step::SettleAll => (0..self.open.len()).for_each(|_| self.settle(0, 0, false)),
            Step::Withdraw { link, pick } => self.withdraw(link, pick),
            Step::Grant { link, credit } => self.grant(link, credit),
            Step::Drained(link) => self.drained(link),
            Step::Detach(who, link) => self.detach(who, link),
            Step::End(who, session) => self.end_session(who, session),
            Step::Exchange => {
                self.pair.exchange();
            }
            Step::Quiet => self.quiet(),
        }
        self.handle_events();
        self.check_credit();
        self.check_turns();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn two_engines_keep_their_word_whatever_is_asked_of_them(
        steps in proptest::collection::vec(strategy::step(), 1..120),
        max_frame_bytes in prop_oneof![512u32..600, 512u32..8_000],
        incoming_window in 1u32..12,
        chunk in prop_oneof![1usize..40, Just(usize::MAX)],
    ) {
        let config = Config { max_frame_bytes, incoming_window, channel_max: 7, ..Config::default() };
        let mut world = World::new(config, chunk);
        // Most of what follows needs them.
        world.step(Step::Begin(Who::Client));
        world.step(Step::Quiet);
        for sends in [true, false] {
            world.step(Step::Attach {
                who: Who::Client,
                session: 0,
                sends,
                second: false,
                credit: Credit::Auto(5),
            });
        }
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}
