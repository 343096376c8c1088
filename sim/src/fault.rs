//! What may go wrong.

/// Faults, spontaneous or caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A hub is gone with all its connections, for a while.
    HubDown,
    /// A hub is permanently gone, and DPS assigns its devices to others.
    HubGone,
    /// Nobody gets through to a hub who is not through already, for a while.
    NoNewConnections,
    /// A connection breaks.
    ConnectionDrop,
    /// A device loses its session.
    DeviceDrop,
    /// Somebody else takes a device, again and again for a while.
    Thief,
    /// A connection takes no more tokens although there should be room.
    TokenLimit,
    /// A hub throttles for a while, with or without saying how long.
    Throttle,
    /// A hub's quota is used up until midnight.
    Quota,
    /// A hub answers that it is being upgraded.
    Maintenance,
    /// A hub fails now and then, for a while.
    ServerErrors,
    /// A device is disabled; some for ever.
    Disable,
    /// A device is deleted; some for ever.
    Delete,
    /// DPS assigns another hub to a device.
    Move,
    /// DPS assigns another hub to all devices of a hub.
    MoveAll,
    /// A hub does not take anybody's key, for a while.
    WrongKey,
    /// A hub does not take the keys of some devices, for a while.
    WrongKeys,
    /// This side's clock is off, for a while.
    Skew,
    /// A hub takes its time, and some answers never come.
    Slow,
    /// DPS cannot be reached, for a while.
    DpsDown,
    /// DPS throttles, for a while.
    DpsThrottle,
    /// DPS fails, for a while.
    DpsErrors,
    /// DPS does not take anybody's key, for a while.
    DpsWrongKey,
    /// DPS takes its time.
    DpsSlow,
    /// The process ends without a word and starts again, knowing the hubs of its devices.
    Restart,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::HubDown,
        Self::NoNewConnections,
        Self::ConnectionDrop,
        Self::DeviceDrop,
        Self::Thief,
        Self::TokenLimit,
        Self::Throttle,
        Self::Quota,
        Self::Maintenance,
        Self::ServerErrors,
        Self::Disable,
        Self::Delete,
        Self::Move,
        Self::MoveAll,
        Self::WrongKey,
        Self::Skew,
        Self::Slow,
        Self::DpsDown,
        Self::DpsThrottle,
        Self::DpsErrors,
        Self::DpsWrongKey,
        Self::DpsSlow,
        Self::Restart,
        Self::HubGone,
        Self::WrongKeys,
    ];
}
