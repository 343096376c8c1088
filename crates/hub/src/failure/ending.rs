//! How something ended that failed.

/// Who ended it, or found that it had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The hub, or DPS, said so: by a condition, a status or a code.
    Told,
    /// The hub ended a connection, session or link without a reason.
    Unexplained,
    /// This side found it: no way to the hub, a stream that broke, no answer in time.
    Found,
    /// Nothing came from the hub within the idle time-out that this side had announced.
    Silence,
    /// The token ran out before the hub took the next one.
    TokenRanOut,
    /// The hub took no token, and its clock and this machine's differ by more than it tolerates.
    ClocksDiffer,
    /// This side ended it, or did not begin it, by a rule of its own.
    Own,
}
