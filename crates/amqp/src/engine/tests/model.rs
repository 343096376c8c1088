//! Random commands at both ends, checked against a model that only remembers what was sent and said.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::message;
use super::pair::{End, Pair};
use crate::engine::{
    AcceptOptions, CommandError, Config, Credit, DeliveryId, Event, LinkId, LinkOptions, Outgoing,
    SessionId,
};
use crate::performative::{DeliveryState, Error, ReceiverSettleMode, Role, condition};

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
    sent: Vec<Sent>,
    received: usize,
}

struct Sent {
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

    fn begin(&mut self, who: Who) {
        // Begins of both ends that cross may be more than either has channels to answer; nothing but a close says that.
        if self.sessions.len() == SESSIONS_MAX {
            return;
        }
        let key = self.end(who).connection.begin().unwrap();
        let session = SessionModel {
            keys: HashMap::from([(who, key)]),
            ended: false,
        };
        let begun = self.begun.get_mut(&who).unwrap();
        begun.push_back(self.sessions.len());
        self.sessions.push(session);
    }

    fn attach(&mut self, who: Who, session: usize, sends: bool, second: bool, credit: Credit) {
        let Some(session) = session.checked_rem(self.sessions.len()) else {
            return;
        };
        let Some(key) = self.sessions[session].keys.get(&who).copied() else {
            return;
        };
        let index = self.links.len();
        let name = format!("l-{index}");
        let mut options = match sends {
            true => LinkOptions::sender(name, "queue"),
            false => LinkOptions::receiver(name, "queue", credit),
        };
        if second {
            options.rcv_settle_mode = ReceiverSettleMode::Second;
        }
        match self.end(who).connection.attach(key, options) {
            Ok(link) => {
                self.link_of.insert((who, link), index);
                self.links.push(LinkModel {
                    session,
                    keys: HashMap::from([(who, link)]),
                    sender: if sends { who } else { who.other() },
                    second,
                    credit,
                    going: false,
                    sent: Vec::new(),
                    received: 0,
                });
            }
            Err(error) => assert!(self.sessions[session].ended, "{error}"),
        }
    }

    /// A link and its key at an end; none when there is none yet.
    fn pick(&self, link: usize, who: impl Fn(&LinkModel) -> Who) -> Option<(usize, LinkId)> {
        let index = link.checked_rem(self.links.len())?;
        let link = &self.links[index];
        Some((index, *link.keys.get(&who(link))?))
    }

    fn is_going(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.going || self.sessions[link.session].ended
    }

    fn send(&mut self, link: usize, bytes: usize, settled: bool) {
        let Some((index, key)) = self.pick(link, |link| link.sender) else {
            return;
        };
        let place = self.links[index].sent.len();
        let body = payload(index, place, bytes);
        let sender = self.links[index].sender;
        let connection = &mut self.end(sender).connection;
        let credit = connection.credit(key);
        let sent = connection.send(
            key,
            &Outgoing {
                settled,
                ..message(context(index, place), &body)
            },
        );
        match sent {
            Ok(()) => {
                assert_eq!(connection.credit(key), credit - 1);
                self.links[index].sent.push(Sent {
                    bytes,
                    settled,
                    said: None,
                    told: settled,
                });
            }
            Err(CommandError::NoCredit) => assert_eq!(credit, 0),
            // Before the answer to attach, or on its way down.
            Err(CommandError::WrongState | CommandError::UnknownLink) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn settle(&mut self, pick: usize, pick_outcome: usize, propose: bool) {
        let Some(pick) = pick.checked_rem(self.open.len()) else {
            return;
        };
        let Open {
            link,
            index,
            delivery,
        } = self.open.remove(pick);
        let receiver = self.links[link].sender.other();
        let key = self.links[link].keys[&receiver];
        let propose = propose && self.links[link].second;
        let state = outcome(pick_outcome);
        let connection = &mut self.end(receiver).connection;
        let settled = match propose {
            true => connection.propose(key, delivery, state.clone()),
            false => connection.settle(key, delivery, state.clone()),
        };
        match settled {
            Ok(()) => {
                let before = self.links[link].sent[index].said.replace(state);
                assert_eq!(before, None, "settled twice");
            }
            Err(error) => assert!(self.is_going(link), "{error}"),
        }
    }

    fn grant(&mut self, link: usize, credit: u32) {
        let Some((index, key)) = self.pick(link, |link| link.sender.other()) else {
            return;
        };
        if self.links[index].credit == Credit::Auto(0) {
            return;
        }
        let receiver = self.links[index].sender.other();
        if self.end(receiver).connection.grant(key, credit).is_ok() {
            self.links[index].credit = Credit::Manual(credit);
        }
    }

    fn drained(&mut self, link: usize) {
        let Some((index, key)) = self.pick(link, |link| link.sender) else {
            return;
        };
        let sender = self.links[index].sender;
        let connection = &mut self.end(sender).connection;
        if connection.drained(key).is_ok() {
            assert_eq!(connection.credit(key), 0);
        }
    }

    fn detach(&mut self, who: Who, link: usize) {
        let Some((index, key)) = self.pick(link, |_| who) else {
            return;
        };
        match self.end(who).connection.detach(key, true, None) {
            Ok(()) => self.links[index].going = true,
            Err(error) => assert!(self.is_going(index), "{error}"),
        }
    }

    fn end_session(&mut self, who: Who, session: usize) {
        let Some(index) = session.checked_rem(self.sessions.len()) else {
            return;
        };
        let Some(key) = self.sessions[index].keys.get(&who).copied() else {
            return;
        };
        match self.end(who).connection.end(key, None) {
            Ok(()) => self.sessions[index].ended = true,
            Err(error) => assert!(self.sessions[index].ended, "{error}"),
        }
    }

    fn quiet(&mut self) {
        loop {
            let moved = self.pair.exchange();
            let handled = self.handle_events();
            if !moved && !handled {
                return;
            }
        }
    }

    fn handle_events(&mut self) -> bool {
        let mut any = false;
        for who in [Who::Client, Who::Server] {
            for event in self.end(who).drain() {
                any = true;
                self.on_event(who, event);
            }
        }
        any
    }

    fn on_event(&mut self, who: Who, event: Event) {
        match event {
            Event::SessionBegan {
                session,
                by_peer: true,
            } => {
                let index = self.begun.get_mut(&who.other()).unwrap().pop_front();
                self.sessions[index.unwrap()].keys.insert(who, session);
            }
            Event::SessionBegan { by_peer: false, .. } => {}
            Event::AttachRequested { link, attach, .. } => {
                let index: usize = attach.name[2..].parse().unwrap();
                self.accept(who, link, index, attach.role);
            }
            Event::Attached { link, .. } => assert!(self.link_of.contains_key(&(who, link))),
            Event::Delivery {
                link,
                delivery,
                settled,
                payload,
                ..
            } => self.on_delivery(self.link_of[&(who, link)], delivery, settled, &payload),
            Event::Outcome {
                link,
                delivery,
                context,
                state,
                settled,
            } => self.on_outcome(who, link, delivery, context, state, settled),
            Event::SettledBySender { link, .. } => {
                assert!(self.links[self.link_of[&(who, link)]].second);
            }
            Event::Credit { drain, .. } => assert!(!drain),
            Event::Detached { link, error, .. } => {
                let index = self.link_of[&(who, link)];
                assert!(self.is_going(index));
                assert_eq!(error, None);
            }
            Event::SessionEnded { session, error } => {
                let ended = |model: &&SessionModel| model.keys.get(&who) == Some(&session);
                assert!(self.sessions.iter().find(ended).unwrap().ended);
                assert_eq!(error, None);
            }
            other => panic!("{who:?}: {other:?}"),
        }
    }

    fn accept(&mut self, who: Who, link: LinkId, index: usize, theirs: Role) {
        let model = &mut self.links[index];
        model.keys.insert(who, link);
        assert_eq!(model.sender == who, theirs == Role::Receiver);
        self.link_of.insert((who, link), index);
        let options = AcceptOptions {
            credit: Some(self.links[index].credit),
            ..AcceptOptions::default()
        };
        if let Err(error) = self.end(who).connection.accept(link, options) {
            assert!(self.is_going(index), "{error}");
        }
    }

    fn on_delivery(&mut self, link: usize, delivery: DeliveryId, settled: bool, body: &[u8]) {
        let model = &mut self.links[link];
        let index = model.received;
        model.received += 1;
        let sent = &model.sent[index];
        assert_eq!(settled, sent.settled);
        assert!(
            *body == payload(link, index, sent.bytes),
            "link {link}, message {index}"
        );
        if !settled {
            self.open.push(Open {
                link,
                index,
                delivery,
            });
        }
    }

    fn on_outcome(
        &mut self,
        who: Who,
        link: LinkId,
        delivery: DeliveryId,
        told: u64,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let index = self.link_of[&(who, link)];
        let place = (0..self.links[index].sent.len())
            .find(|place| context(index, *place) == told)
            .unwrap();
        let sent = &mut self.links[index].sent[place];
        assert_eq!(state, sent.said);
        assert!(!sent.told, "told twice");
        sent.told = true;
        if settled {
            return;
        }
        assert!(self.links[index].second);
        let connection = &mut self.end(who).connection;
        let Some(session) = connection.session_of(link) else {
            return;
        };
        if let Err(error) = connection.settle_sent(session, delivery, state) {
            assert!(self.is_going(index), "{error}");
        }
    }

    /// A topped-up receiver never promises more than it was told to.
    fn check_credit(&self) {
        for model in &self.links {
            let (Credit::Auto(most), receiver) = (model.credit, model.sender.other()) else {
                continue;
            };
            let end = match receiver {
                Who::Client => &self.pair.client,
                Who::Server => &self.pair.server,
            };
            let key = model.keys.get(&receiver);
            let live = key
                .filter(|key| end.connection.links.generation(key.index) == Some(key.generation));
            let Some(link) = live.and_then(|key| end.connection.links.get(key.index)) else {
                continue;
            };
            let under_way = u32::from(link.partial.is_some());
            assert!(link.credit + link.unsettled + under_way <= most);
        }
    }

    /// Every session with something to send waits for its turn, once.
    fn check_turns(&self) {
        for connection in [&self.pair.client.connection, &self.pair.server.connection] {
            let mut waiting: Vec<u32> = connection.sendable.iter().copied().collect();
            waiting.sort_unstable();
            assert!(waiting.is_sorted_by(|one, other| one < other));
            for index in 0..8u32 {
                if let Some(session) = connection.sessions.get(index) {
                    assert!(session.queue.is_empty() || waiting.contains(&index));
                }
            }
        }
    }

    /// Everything that was sent on a link that stayed has arrived; everything is settled as the receiver says; and
    /// when all links are gone nothing is left of them.
    fn finish(&mut self) {
        self.quiet();
        for index in 0..self.links.len() {
            if !self.is_going(index) {
                let link = &self.links[index];
                assert_eq!(link.received, link.sent.len(), "link {index}");
            }
        }
        while !self.open.is_empty() {
            self.settle(self.open.len() / 2, self.open.len(), true);
            self.pair.exchange();
            self.handle_events();
        }
        self.quiet();
        for index in 0..self.links.len() {
            if !self.is_going(index) {
                assert!(self.links[index].sent.iter().all(|sent| sent.told));
                self.detach(self.links[index].sender, index);
            }
        }
        self.quiet();
        self.check_empty();
    }

    fn check_empty(&self) {
        for connection in [&self.pair.client.connection, &self.pair.server.connection] {
            assert!(!connection.is_done());
            assert_eq!(connection.queued_bytes, 0);
            assert_eq!(connection.links.len(), 0);
            assert!(connection.sendable.is_empty());
            let live = self.sessions.iter().filter(|session| !session.ended);
            assert_eq!(connection.session_count(), live.count());
            for index in 0..8u32 {
                if let Some(session) = connection.sessions.get(index) {
                    assert_eq!(session.sent.len() + session.received.len(), 0);
                    assert_eq!(session.queue.len(), 0);
                    assert_eq!(session.links().count(), 0);
                }
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![Just(Who::Client), Just(Who::Server)];
    let credit = prop_oneof![
        (1u32..8).prop_map(Credit::Auto),
        (0u32..8).prop_map(Credit::Manual)
    ];
    let bytes = prop_oneof![0usize..10, 400usize..520, 0usize..5_000];
    let attach = (who(), 0usize..4, any::<bool>(), any::<bool>(), credit).prop_map(
        |(who, session, sends, second, credit)| Step::Attach {
            who,
            session,
            sends,
            second,
            credit,
        },
    );
    let send = (
        any::<usize>(),
        bytes,
        proptest::bool::weighted(0.2),
        1usize..5,
    )
        .prop_map(|(link, bytes, settled, times)| Step::Send {
            link,
            bytes,
            settled,
            times,
        });
    let settle = (any::<usize>(), 0usize..4, any::<bool>()).prop_map(|(pick, outcome, propose)| {
        Step::Settle {
            pick,
            outcome,
            propose,
        }
    });
    let grant = (any::<usize>(), 0u32..8).prop_map(|(link, credit)| Step::Grant { link, credit });
    prop_oneof![
        2 => who().prop_map(Step::Begin),
        6 => attach,
        20 => send,
        12 => settle,
        3 => Just(Step::SettleAll),
        3 => grant,
        1 => any::<usize>().prop_map(Step::Drained),
        2 => (who(), any::<usize>()).prop_map(|(who, link)| Step::Detach(who, link)),
        1 => (who(), any::<usize>()).prop_map(|(who, session)| Step::End(who, session)),
        12 => Just(Step::Exchange),
        3 => Just(Step::Quiet),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn two_engines_keep_their_word_whatever_is_asked_of_them(
        steps in proptest::collection::vec(step(), 1..120),
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
