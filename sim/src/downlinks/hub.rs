//! A hub and its service side. It knows nothing of the production code and counts for itself.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use drawspan_hub::{AttemptId, ConnectionKey, Links, Outcome, Receive, Wants};

use super::DeviceNo;
use crate::check::{Violation, ensure};

/// How long a hub keeps a message locked.
pub(super) const LOCK: Duration = Duration::from_secs(60);

/// Deliveries of a message until the hub gives it up.
const MOST_DELIVERIES: u32 = 10;

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) devices: Vec<Device>,
    next_message: u64,
    next_method: u64,
}

#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) session: Option<Session>,
    pub(super) messages: VecDeque<Message>,
    pub(super) twin: Twin,
    /// Methods that were delivered and not answered, with the attempt they went over.
    pub(super) methods: BTreeMap<u64, AttemptId>,
}

/// A session of a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) attempt: AttemptId,
    pub(super) connection: ConnectionKey,
    pub(super) links: Links,
    pub(super) receive: Receive,
    /// The client has asked for a message.
    pub(super) credit: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) deliveries: u32,
    /// The delivery under way: until when it is locked, and for which attempt.
    pub(super) lock: Option<(Duration, AttemptId)>,
}

/// Desired properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) version: i64,
    pub(super) properties: BTreeMap<String, i64>,
}

impl Default for Twin {
    fn default() -> Self {
        Self {
            version: 1,
            properties: BTreeMap::new(),
        }
    }
}

impl Twin {
    /// The section as a hub writes it.
    pub(super) fn json(&self) -> String {
        let members = self.properties.iter();
        let members = members.map(|(name, value)| format!("\"{name}\":{value},"));
        format!(
            "{{{}\"$version\":{}}}",
            members.collect::<String>(),
            self.version
        )
    }
}

impl Hub {
    pub(super) fn new(devices: usize) -> Self {
        Self {
            devices: (0..devices).map(|_| Device::default()).collect(),
            next_message: 0,
            next_method: 0,
        }
    }

    pub(super) fn session(&self, device: DeviceNo, attempt: AttemptId) -> Option<&Session> {
        let session = self.devices[device].session.as_ref()?;
        (session.attempt == attempt).then_some(session)
    }

    /// A message for a device.
    pub(super) fn send(&mut self, device: DeviceNo) -> u64 {
        self.next_message += 1;
        self.devices[device].messages.push_back(Message {
            number: self.next_message,
            deliveries: 0,
            lock: None,
        });
        self.next_message
    }

    /// The next message that may be delivered over the device's link, locked from now on.
    pub(super) fn deliver(&mut self, device: DeviceNo, now: Duration) -> Option<Message> {
        let device = &mut self.devices[device];
        let session = device.session.as_mut()?;
        let wanted = match session.receive {
            Receive::No => false,
            Receive::OnDemand => session.credit,
            Receive::Flowing => true,
        };
        let locked = |message: &Message| {
            let lock = message.lock.filter(|(until, _)| *until > now);
            lock.is_some_and(|(_, attempt)| attempt == session.attempt)
        };
        // Credit is one: the next one comes when the last one is settled.
        if !wanted || !session.links.c2d || device.messages.iter().any(locked) {
            return None;
        }
        let free = |message: &&mut Message| message.lock.is_none_or(|(until, _)| until <= now);
        let message = device.messages.iter_mut().find(free)?;
        message.lock = Some((now + LOCK, session.attempt));
        message.deliveries += 1;
        session.credit = false;
        Some(message.clone())
    }

    /// The client says what became of a message. `None` if the lock is lost.
    pub(super) fn settle(
        &mut self,
        device: DeviceNo,
        number: u64,
        (attempt, outcome): (AttemptId, Outcome),
        now: Duration,
    ) -> Option<()> {
        let messages = &mut self.devices[device].messages;
        let at = messages.iter().position(|it| it.number == number)?;
        let message = messages.get_mut(at)?;
        message
            .lock
            .filter(|(until, of)| *until > now && *of == attempt)?;
        match outcome {
            Outcome::Complete | Outcome::Reject => _ = messages.remove(at),
            Outcome::Abandon if message.deliveries >= MOST_DELIVERIES => _ = messages.remove(at),
            Outcome::Abandon => message.lock = None,
            // Its lock ends by itself.
            Outcome::Leave => {}
        }
        Some(())
    }

    /// A service invokes a method. Its number, if the device can hear it.
    pub(super) fn invoke(&mut self, device: DeviceNo) -> Option<(u64, AttemptId)> {
        let device = &mut self.devices[device];
        let session = device.session.filter(|session| session.links.methods)?;
        self.next_method += 1;
        device.methods.insert(self.next_method, session.attempt);
        Some((self.next_method, session.attempt))
    }

    /// The client answers a method.
    pub(super) fn answered(
        &mut self,
        device: DeviceNo,
        number: u64,
        attempt: AttemptId,
    ) -> Result<(), Violation> {
        if self.session(device, attempt).is_none() {
            return Ok(());
        }
        let known = self.devices[device].methods.remove(&number);
        ensure(known == Some(attempt), "METHOD-ANSWERED-ONCE", || {
            format!("method {number} of device {device} is answered again, or elsewhere")
        })
    }

    /// The session is over.
    pub(super) fn end(&mut self, device: DeviceNo) {
        let device = &mut self.devices[device];
        device.session = None;
        device.methods.clear();
        for message in &mut device.messages {
            message.lock = None;
        }
    }

    /// Which links a session has, of those that the client wants.
    pub(super) fn want(&mut self, device: DeviceNo, wants: Wants, refused: Links) -> Links {
        let Some(session) = &mut self.devices[device].session else {
            return Links::default();
        };
        let wanted = wants.links();
        session.receive = wants.c2d;
        session.links = Links {
            methods: wanted.methods && !refused.methods,
            c2d: wanted.c2d && !refused.c2d,
            desired: wanted.desired && !refused.desired,
        };
        session.links
    }
}
