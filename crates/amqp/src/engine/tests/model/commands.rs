//! Commands at the two ends.

use std::collections::HashMap;

use super::super::message;
use super::{
    LinkModel, Open, SESSIONS_MAX, Sent, SessionModel, Who, World, context, outcome, payload,
};
use crate::engine::{CommandError, Credit, LinkId, LinkOptions, Outgoing};
use crate::performative::ReceiverSettleMode;

impl World {
    pub(super) fn begin(&mut self, who: Who) {
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

    pub(super) fn attach(
        &mut self,
        who: Who,
        session: usize,
        sends: bool,
        second: bool,
        credit: Credit,
    ) {
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
                    count: 0,
                    received: 0,
                });
            }
            Err(error) => assert!(self.sessions[session].ended, "{error}"),
        }
    }

    /// A link and its key at an end; `None` if it does not exist yet.
    pub(super) fn pick(
        &self,
        link: usize,
        who: impl Fn(&LinkModel) -> Who,
    ) -> Option<(usize, LinkId)> {
        let index = link.checked_rem(self.links.len())?;
        let link = &self.links[index];
        Some((index, *link.keys.get(&who(link))?))
    }

    pub(super) fn is_going(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.going || self.sessions[link.session].ended
    }

    pub(super) fn send(&mut self, link: usize, bytes: usize, settled: bool) {
        let Some((index, key)) = self.pick(link, |link| link.sender) else {
            return;
        };
        let number = self.links[index].count;
        let body = payload(index, number, bytes);
        let sender = self.links[index].sender;
        let connection = &mut self.end(sender).connection;
        let credit = connection.credit(key);
        let sent = connection.send(
            key,
            &Outgoing {
                settled,
                ..message(context(index, number), &body)
            },
        );
        match sent {
            Ok(()) => {
                assert_eq!(connection.credit(key), credit - 1);
                self.links[index].count += 1;
                self.links[index].sent.push(Sent {
                    number,
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

    pub(super) fn withdraw(&mut self, link: usize, pick: usize) {
        let Some((index, key)) = self.pick(link, |link| link.sender) else {
            return;
        };
        let model = &self.links[index];
        let Some(place) = pick.checked_rem(model.sent.len()) else {
            return;
        };
        let (sender, number) = (model.sender, model.sent[place].number);
        let connection = &mut self.end(sender).connection;
        if connection.withdraw(key, context(index, number)) {
            assert!(self.links[index].received <= place, "it has arrived");
            self.links[index].sent.remove(place);
        }
    }

    pub(super) fn settle(&mut self, pick: usize, pick_outcome: usize, propose: bool) {
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

    pub(super) fn grant(&mut self, link: usize, credit: u32) {
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

    pub(super) fn drained(&mut self, link: usize) {
        let Some((index, key)) = self.pick(link, |link| link.sender) else {
            return;
        };
        let sender = self.links[index].sender;
        let connection = &mut self.end(sender).connection;
        if connection.drained(key).is_ok() {
            assert_eq!(connection.credit(key), 0);
        }
    }

    pub(super) fn detach(&mut self, who: Who, link: usize) {
        let Some((index, key)) = self.pick(link, |_| who) else {
            return;
        };
        match self.end(who).connection.detach(key, true, None) {
            Ok(()) => self.links[index].going = true,
            Err(error) => assert!(self.is_going(index), "{error}"),
        }
    }

    pub(super) fn end_session(&mut self, who: Who, session: usize) {
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
}
