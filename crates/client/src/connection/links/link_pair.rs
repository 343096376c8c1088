//! A pair of links: one for requests, the other for answers.

use std::time::Duration;

use drawspan_amqp::engine::{CommandError, Credit, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::performative::SenderSettleMode;
use drawspan_amqp::value::{Symbol, Value};
use drawspan_hub::Failure;
use drawspan_hub::address::{Address, DeviceFunction};

use super::{LinkContext, no_room};
use crate::connection::device::named;
use crate::limits;

/// Link property by which the hub knows which two links belong together.
const CORRELATION: Symbol = Symbol::from_static("com.microsoft:channel-correlation-id");
/// Link property with the version of the hub's interface, as the Node client has it.
const API_VERSION: Symbol = Symbol::from_static("com.microsoft:api-version");
const API_VERSION_TEXT: &str = "2021-04-12";

/// The purpose of a pair.
pub(super) struct Purpose {
    pub(super) function: DeviceFunction,
    /// Names of the two links: every device has its own session, so all devices share the names.
    pub(super) sender: &'static str,
    pub(super) receiver: &'static str,
    /// The prefix of its correlation ids.
    pub(super) prefix: &'static str,
    pub(super) settled: SenderSettleMode,
    pub(super) credit: Credit,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) sender: LinkId,
    pub(super) receiver: LinkId,
    state: State,
    /// The connection had no room for what was to be sent: it is worth another try soon.
    crowded: bool,
}

#[derive(Debug)]
enum State {
    /// The hub must take both until then.
    Attaching {
        until: Duration,
        sender: bool,
        receiver: bool,
    },
    Up,
}

impl Pair {
    pub(super) fn attach(at: &mut LinkContext<'_>, purpose: &Purpose) -> Result<Self, Failure> {
        let address = Address::device(at.device, purpose.function).to_string();
        let correlation = format!("{}:{}", purpose.prefix, at.ids.uuid());
        let options = |mut options: LinkOptions| {
            options.snd_settle_mode = purpose.settled;
            let mut options = named(options);
            let properties = options.properties.get_or_insert_default();
            properties.push(CORRELATION, Value::from(correlation.as_str()));
            properties.push(API_VERSION, Value::from(API_VERSION_TEXT));
            options
        };
        let sender = LinkOptions::sender(purpose.sender, address.as_str());
        let receiver = LinkOptions::receiver(purpose.receiver, address.as_str(), purpose.credit);
        let sender = at.connection.attach(at.session, options(sender));
        let sender = sender.map_err(no_room)?;
        let receiver = at.connection.attach(at.session, options(receiver));
        Ok(Self {
            sender,
            receiver: receiver.map_err(no_room)?,
            state: State::Attaching {
                until: at.now + Duration::from_millis(limits::ATTACH_TIMEOUT_MS),
                sender: false,
                receiver: false,
            },
            crowded: false,
        })
    }

    pub(super) fn owns(&self, link: LinkId) -> bool {
        link == self.sender || link == self.receiver
    }

    /// The hub took a link.
    pub(super) fn on_attached(&mut self, link: LinkId) {
        if let State::Attaching {
            sender, receiver, ..
        } = &mut self.state
        {
            *sender |= link == self.sender;
            *receiver |= link == self.receiver;
            if *sender && *receiver {
                self.state = State::Up;
            }
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Until when the hub must have taken both.
    fn attached_by(&self) -> Option<Duration> {
        match self.state {
            State::Attaching { until, .. } => Some(until),
            State::Up => None,
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let at_once = self.crowded.then_some(Duration::ZERO);
        at_once.or(self.attached_by())
    }

    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.attached_by().is_some_and(|until| until <= now)
    }

    /// Whether a message would go out now.
    pub(super) fn may_send(&self, at: &mut LinkContext<'_>) -> bool {
        self.is_up() && at.connection.credit(self.sender) > 0 && at.connection.has_room(self.sender)
    }

    /// Sends a message. With [`CommandError::QueueFull`] it is worth keeping for another try.
    pub(super) fn send(
        &mut self,
        at: &mut LinkContext<'_>,
        message: &Outgoing<'_>,
    ) -> Result<(), CommandError> {
        let sent = at.connection.send(self.sender, message);
        self.crowded = sent == Err(CommandError::QueueFull);
        sent
    }

    pub(super) fn detach(&self, at: &mut LinkContext<'_>) {
        at.detach(self.sender);
        at.detach(self.receiver);
    }
}
