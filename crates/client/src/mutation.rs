//! Faults planted for the simulation to find, to show that it would find real ones like them. They exist with feature
//! `mutations` alone, which no product enables; without it [`planted`] is false, and the compiler removes them.

/// A planted fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The slot of a device that leaves is given to another one at once.
    SlotFreed,
    /// The slots of a connection that has ended are remembered, and devices sent there.
    EndedRemembered,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SlotFreed, Self::EndedRemembered];
}

#[cfg(feature = "mutations")]
thread_local!(static PLANTED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) });

/// Plants a fault, or none, in what this thread does from now on.
#[cfg(feature = "mutations")]
pub fn plant(mutation: Option<Mutation>) {
    PLANTED.set(mutation);
}

/// Whether a fault is planted.
#[cfg(feature = "mutations")]
pub(crate) fn planted(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

/// No fault is.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn planted(_: Mutation) -> bool {
    false
}
