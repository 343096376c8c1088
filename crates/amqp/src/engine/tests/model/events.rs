//! Events at the two ends, compared with what was sent.

use super::{Open, Sent, SessionModel, Who, World, context, payload};
use crate::engine::{AcceptOptions, DeliveryId, Event, LinkId};
use crate::performative::{DeliveryState, Role};

impl World {
    pub(super) fn quiet(&mut self) {
        loop {
            let moved = self.pair.exchange();
            let handled = self.handle_events();
            if !moved && !handled {
                return;
            }
        }
    }

    pub(super) fn handle_events(&mut self) -> bool {
        let mut any = false;
        for who in [Who::Client, Who::Server] {
            for event in self.end(who).drain() {
                any = true;
                self.on_event(who, event);
            }
        }
        any
    }

    pub(super) fn on_event(&mut self, who: Who, event: Event) {
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

    pub(super) fn accept(&mut self, who: Who, link: LinkId, index: usize, theirs: Role) {
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

    pub(super) fn on_delivery(
        &mut self,
        link: usize,
        delivery: DeliveryId,
        settled: bool,
        body: &[u8],
    ) {
        let model = &mut self.links[link];
        let index = model.received;
        model.received += 1;
        let sent = &model.sent[index];
        assert_eq!(settled, sent.settled);
        assert!(
            *body == payload(link, sent.number, sent.bytes),
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

    pub(super) fn on_outcome(
        &mut self,
        who: Who,
        link: LinkId,
        delivery: DeliveryId,
        told: u64,
        state: Option<DeliveryState>,
        settled: bool,
    ) {
        let index = self.link_of[&(who, link)];
        let named = |sent: &&mut Sent| context(index, sent.number) == told;
        let mut all = self.links[index].sent.iter_mut();
        let sent = all.find(named).unwrap();
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
}
