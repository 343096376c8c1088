//! Receivers of events: how they behave, and what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::delivery::{AttemptFailure, AttemptOutcome};
use drawspan_bridge::events::{Content, Post};
use drawspan_hub::SubscriptionType;

use crate::dice::Dice;
use crate::platform::Receiver;

/// Receivers there are.
pub(super) const RECEIVERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Behaviour {
    #[default]
    Good,
    /// It refuses everything: 400.
    Refuses,
    /// It fails: 500.
    Fails,
    /// It does not answer.
    Hangs,
    /// Sometimes this, sometimes that.
    Moody,
}

/// All receivers.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    pub(super) behaviour: [Behaviour; RECEIVERS],
    /// What each has of the desired properties of a device.
    pub(super) twins: BTreeMap<(usize, String), BTreeMap<String, i64>>,
    /// Messages that were taken, by their numbers.
    pub(super) taken: BTreeSet<u64>,
}

impl Receivers {
    /// What a receiver does with an event: how long it takes, and what it answers.
    pub(super) fn ask(
        &mut self,
        post: &Post<Receiver>,
        dice: &mut Dice,
    ) -> (Duration, AttemptOutcome, Bytes) {
        let number = post.callback.number;
        let behaviour = match self.behaviour[number] {
            Behaviour::Moody => dice
                .pick(&[
                    Behaviour::Good,
                    Behaviour::Refuses,
                    Behaviour::Fails,
                    Behaviour::Hangs,
                ])
                .unwrap_or_default(),
            other => other,
        };
        let slow = dice.percent(20);
        let time = dice.seconds(0.001, if slow { 12.0 } else { 2.0 });
        match behaviour {
            Behaviour::Good | Behaviour::Moody => {
                self.take(number, post);
                // An answer may be lost: the receiver has the event all the same.
                if time > post.timeout {
                    return (post.timeout, failed(AttemptFailure::TimedOut), Bytes::new());
                }
                (time, AttemptOutcome::Taken, Bytes::new())
            }
            Behaviour::Refuses => (
                time.min(post.timeout),
                AttemptOutcome::Refused(400),
                Bytes::new(),
            ),
            Behaviour::Fails => (
                time.min(post.timeout),
                failed(AttemptFailure::Status(500)),
                Bytes::new(),
            ),
            Behaviour::Hangs => (post.timeout, failed(AttemptFailure::TimedOut), Bytes::new()),
        }
    }

    fn take(&mut self, number: usize, post: &Post<Receiver>) {
        match &post.content {
            Content::Desired {
                properties,
                full_state,
            } => {
                let key = (number, post.device.to_string());
                let twin = self.twins.entry(key).or_default();
                apply(twin, properties, *full_state);
            }
            Content::C2d(message) => self.taken.extend(message.sequence_number),
            Content::Replay { kind, .. } => {
                debug_assert_ne!(*kind, SubscriptionType::Methods);
            }
            Content::Method { .. } | Content::Status { .. } => {}
        }
    }
}

/// As a receiver keeps a copy of desired properties.
fn apply(twin: &mut BTreeMap<String, i64>, properties: &Bytes, full_state: bool) {
    if full_state {
        twin.clear();
    }
    let text = String::from_utf8_lossy(properties);
    let members = text.trim_matches(['{', '}']).split(',');
    for (name, value) in members.filter_map(|member| member.split_once(':')) {
        let name = name.trim_matches('"');
        match value.parse() {
            _ if name == "$version" => {}
            Ok(value) => _ = twin.insert(name.to_owned(), value),
            // null
            Err(_) => _ = twin.remove(name),
        }
    }
}

const fn failed(why: AttemptFailure) -> AttemptOutcome {
    AttemptOutcome::Failed {
        why,
        retry_after: None,
    }
}
