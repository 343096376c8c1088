//! A device's session at its hub while it is connected: a place on an AMQP connection, a key that signs, links.
//!
//! These types are shared by the code that decides about devices and the code that connects them.

/// An AMQP connection to a hub, one of a pool. A key is never used again for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey(pub u32);

/// An attempt of a device to connect, up to the end of its connection. Unique in its process, over all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId {
    /// Index of the device.
    pub device: u32,
    /// Number of the attempt.
    pub serial: u32,
}

/// One of the two keys that every identity has, so that one can be exchanged while the other is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhichKey {
    /// The first one.
    #[default]
    Primary,
    /// The second key; the first one if there is no second.
    Secondary,
}

impl WhichKey {
    /// The one that is not this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

/// The links of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Wants {
    /// Direct methods.
    pub methods: bool,
    /// Cloud-to-device messages.
    pub c2d: Receive,
    /// Changes of desired properties.
    pub desired: bool,
}

/// How a device receives cloud-to-device messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Receive {
    /// Not at all.
    #[default]
    No,
    /// One each time that one is asked for.
    OnDemand,
    /// As they come, one after the other.
    Flowing,
}

/// A device's links in addition to telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// For direct methods.
    Methods,
    /// For cloud-to-device messages.
    C2d,
    /// For changes of desired properties.
    Desired,
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Links {
    /// Direct methods.
    pub methods: bool,
    /// Cloud-to-device messages.
    pub c2d: bool,
    /// Changes of desired properties.
    pub desired: bool,
}

impl Links {
    /// Adds one.
    pub const fn add(&mut self, link: Link) {
        match link {
            Link::Methods => self.methods = true,
            Link::C2d => self.c2d = true,
            Link::Desired => self.desired = true,
        }
    }

    /// Whether there are no links.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !(self.methods || self.c2d || self.desired)
    }
}

impl Wants {
    /// The links that this takes.
    #[must_use]
    pub const fn links(self) -> Links {
        Links {
            methods: self.methods,
            c2d: !matches!(self.c2d, Receive::No),
            desired: self.desired,
        }
    }
}
