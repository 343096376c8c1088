//! Faults that are planted for the simulation to find, to show that it would find similar real ones. They exist only with the
//! feature `mutations`, which no product enables; without it [`planted`] is false, and the compiler removes them.

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// An answer to an attempt that is over is taken for one to the attempt under way.
    StaleAnswer,
    /// A permit that is no longer needed is not given back.
    PermitKept,
    /// Registrations are not charged.
    RegistrationFree,
    /// A hub that is down counts as a failure of each of its devices.
    DownCounted,
    /// A hub that is down makes its devices ask DPS.
    DownAsksDps,
    /// A hub that throttles makes its devices ask DPS.
    ThrottleAsksDps,
    /// A hub that fails over makes its devices ask DPS.
    FailoverAsksDps,
    /// A hub whose quota is used up makes its devices ask DPS.
    QuotaAsksDps,
    /// Devices that wait for their hub's quota wait for ever.
    QuotaLeavesBehind,
    /// A device that its hub does not know any more stays there.
    MoveLeavesBehind,
    /// Registrations have no pace.
    DpsUnpaced,
    /// A timer that is set is not brought forward.
    TimerLate,
    /// While a hub is down everybody probes it.
    EverybodyProbes,
    /// Demand that arises while a connection closes is forgotten.
    WishForgotten,
    /// After the hub has refused everyone, an accepted device changes nothing.
    BreakerStays,
    /// The hub seems to refuse everyone although devices are connected to it.
    BreakerBlind,
    /// Each use keeps a device wanted for that much longer, instead of from then on.
    UsesAddUp,
    /// While an origin is left alone everybody tries it.
    EverybodyTries,
    /// An origin that answers again stays alone.
    OriginStaysAlone,
    /// The next event overtakes one that is to be tried again.
    RetryOvertaken,
    /// Events whose time is up are tried.
    LateIsTried,
    /// An origin may take all the memory that there is for events.
    OneTakesAll,
    /// An event for which its origin has no room is refused as one that the next end in its lane makes room for.
    NoRoomMisnamed,
    /// A mark of desired properties moves over a number that was skipped.
    MarkOverHole,
    /// A version alone says that a receiver has a section.
    VersionAlone,
    /// A look at a twin that waited for an event is not taken up.
    LookForgotten,
    /// A device's demand is forgotten when its connection has no room.
    WantForgotten,
    /// A link that was refused is not asked for again.
    LinkNotRetried,
    /// A message that its receiver refused is completed.
    RefusedCompleted,
    /// A message is rejected without its dead letter.
    LetterLost,
    /// A method whose event was not tried has no answer.
    MethodUnanswered,
    /// The way to a device that is gone stays published.
    RouteKept,
    /// Stored subscriptions connect no device after a start.
    StartWithoutSweep,
    /// An unsettled message is held forever.
    HoldKept,
    /// The token slot of a device that leaves is given to another one at once.
    SlotFreed,
    /// The slots of a connection that has ended are remembered, and devices sent there.
    EndedRemembered,
}

impl Mutation {
    /// The faults of the device machine and the ledger, which the simulation must find.
    pub const ALL: [Self; 19] = [
        Self::StaleAnswer,
        Self::PermitKept,
        Self::RegistrationFree,
        Self::DownCounted,
        Self::DownAsksDps,
        Self::ThrottleAsksDps,
        Self::FailoverAsksDps,
        Self::QuotaAsksDps,
        Self::QuotaLeavesBehind,
        Self::MoveLeavesBehind,
        Self::DpsUnpaced,
        Self::TimerLate,
        Self::EverybodyProbes,
        Self::WishForgotten,
        Self::BreakerStays,
        Self::BreakerBlind,
        Self::UsesAddUp,
        Self::SlotFreed,
        Self::EndedRemembered,
    ];

    /// The faults of the controller, which the simulation of downlinks must find.
    pub const CONTROLLER: [Self; 11] = [
        Self::MarkOverHole,
        Self::VersionAlone,
        Self::LookForgotten,
        Self::WantForgotten,
        Self::LinkNotRetried,
        Self::RefusedCompleted,
        Self::LetterLost,
        Self::MethodUnanswered,
        Self::RouteKept,
        Self::StartWithoutSweep,
        Self::HoldKept,
    ];

    /// The faults of the deliveries, which their property tests must find.
    pub const DELIVERY: [Self; 6] = [
        Self::EverybodyTries,
        Self::OriginStaysAlone,
        Self::RetryOvertaken,
        Self::LateIsTried,
        Self::OneTakesAll,
        Self::NoRoomMisnamed,
    ];
}

#[cfg(feature = "mutations")]
thread_local!(static PLANTED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) });

/// Plants a fault, or removes it, for this thread from now on.
#[cfg(feature = "mutations")]
pub fn plant(mutation: Option<Mutation>) {
    PLANTED.set(mutation);
}

/// Whether a fault is planted.
#[cfg(feature = "mutations")]
pub fn planted(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

/// No fault is.
#[cfg(not(feature = "mutations"))]
pub const fn planted(_: Mutation) -> bool {
    false
}
