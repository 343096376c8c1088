//! Changes of a device's connection, as events for subscribers; and the parts that all events have in common.

use std::sync::Arc;

use drawspan_hub::{DeviceId, SubscriptionType};

use super::Controller;
use super::action::{Action, Note};
use super::correlation::Correlation;
use super::platform::Platform;
use crate::delivery::NoRoom;
use crate::events::{Content, Event, FinishedEvent, event_id};
use crate::history::Change;
use crate::subscriptions::Callback as _;

impl<P: Platform> Controller<P> {
    /// The device's connection is another than before, as the public words say it.
    pub(super) fn status_changed(&mut self, device: &DeviceId, change: Change) {
        let (status, reason) = (change.status, change.reason);
        self.act(Action::Note(Note::Status(device.clone(), change)));
        let kind = SubscriptionType::ConnectionStatus;
        if self.table.of(device, kind).is_none() {
            return;
        }
        let content = Content::Status {
            status,
            reason,
            skipped: 0,
        };
        let webhook_id = event_id::status(&mut self.secrets);
        if let Some(event) = self.event(device, webhook_id, content, Correlation::Status)
            && self.offer(event).is_err()
        {
            self.act(Action::Note(Note::NoRoomForStatus(device.clone())));
        }
    }

    /// An event for the subscriber, if there is one.
    pub(super) fn event(
        &self,
        device: &DeviceId,
        webhook_id: String,
        content: Content,
        correlation: Correlation<P>,
    ) -> Option<Event<P::Callback, Correlation<P>>> {
        let row = self.table.of(device, content.kind())?;
        let received = self.now.monotonic;
        Some(Event {
            device: device.clone(),
            callback: row.callback.clone(),
            webhook_id,
            received_at: self.wall_clock.at(received),
            received,
            content,
            correlation,
        })
    }

    pub(super) fn offer(
        &mut self,
        event: Event<P::Callback, Correlation<P>>,
    ) -> Result<(), NoRoom> {
        let origin = Arc::clone(event.callback.origin());
        let offered = self.outbox.offer(event, self.now.monotonic);
        if offered == Err(NoRoom::Share) {
            self.act(Action::Note(Note::ShareUsedUp(origin)));
        }
        offered
    }

    /// Passes the outcomes of events on to their devices. False if there were none.
    pub(super) fn hear_outcomes(&mut self) -> bool {
        let mut any = false;
        while let Some(finished) = self.outbox.next_finished() {
            any = true;
            self.over(finished);
        }
        any
    }

    fn over(&mut self, finished: FinishedEvent<P::Callback, Correlation<P>>) {
        let letter = self.letter(&finished);
        let FinishedEvent { event, outcome, .. } = finished;
        match event.correlation {
            Correlation::Method {
                attempt,
                session,
                request,
            } => {
                let of = (attempt, session, request);
                self.method_over(&event.device, &event.callback, of, &outcome);
            }
            Correlation::C2d(message) => {
                self.c2d_over(&message, &event.webhook_id, &outcome, letter);
            }
            Correlation::Desired {
                section,
                subscription,
            } => {
                let of = (section, subscription);
                let what = (&event.content, &outcome);
                self.desired_over(&event.device, of, what, letter);
            }
            Correlation::Status => self.bury(letter),
            Correlation::Replay => {
                self.replayed(&event.webhook_id, &outcome, letter);
                if event.content.kind() == SubscriptionType::DesiredProperties {
                    self.take_up_desired(&event.device);
                }
            }
        }
    }
}
