//! The division of the process's open files, so that callers cannot use up those of hubs, receivers and the store.
//!
//! Of the system's limit, half is for connections of callers, an eighth for connections that are being closed or answered beyond
//! the limit, and an eighth each for attempts to deliver an event and for idle connections to receivers. The last eighth is for
//! connections to hubs and DPS, the store and the log.

use drawspan_bridge::limits::ATTEMPTS;

use crate::limits::{
    MAX_CONNECTIONS, MAX_FAREWELLS, MAX_KEPT_CALLBACK_CONNECTIONS, MAX_REFUSALS, MIN_CONNECTIONS,
};

/// Most files of each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Connections of callers.
    pub callers: usize,
    /// Connections of callers beyond these, which get 503, or the answer to a probe.
    pub refusals: usize,
    /// Connections of callers that were asked to end and have not hung up yet.
    pub farewells: usize,
    /// Attempts to deliver an event that are under way.
    pub callbacks: usize,
    /// Connections to receivers above which idle ones are not kept.
    pub kept_callbacks: usize,
}

impl Shares {
    /// The shares of a process with so many open files; `None` if there is no limit.
    #[must_use]
    pub fn of(open_files: Option<u64>) -> Self {
        let part = |divisor: u64, most: usize| {
            let part =
                open_files.map(|files| usize::try_from(files / divisor).unwrap_or(usize::MAX));
            part.map_or(most, |part| part.clamp(1, most))
        };
        Self {
            callers: part(2, MAX_CONNECTIONS).max(MIN_CONNECTIONS),
            refusals: part(16, MAX_REFUSALS),
            farewells: part(16, MAX_FAREWELLS),
            callbacks: part(8, ATTEMPTS),
            kept_callbacks: part(8, MAX_KEPT_CALLBACK_CONNECTIONS),
        }
    }

    /// The shares of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(limit())
    }
}

/// The limit of open files of this process; `None` if there is no limit.
#[must_use]
pub fn limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    None
}

/// Raises that number to what the system permits: many systems begin with 1,024. Where it cannot be raised, it stays.
pub fn raise_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_something_to_everybody_else() {
        for files in [64, 256, 1_024, 4_096, 20_000, 1_048_576] {
            let shares = Shares::of(Some(files));
            let sum = shares.callers
                + shares.refusals
                + shares.farewells
                + shares.callbacks
                + shares.kept_callbacks;
            let left = usize::try_from(files).unwrap() - sum;
            assert!(
                left >= usize::try_from(files / 8).unwrap(),
                "{files}: {shares:?}"
            );
        }
        assert_eq!(Shares::of(Some(1_024)).callers, 512);
        let most = Shares::of(None);
        assert_eq!(most.callers, MAX_CONNECTIONS);
        assert_eq!(most, Shares::of(Some(u64::MAX)));
        assert_eq!(most, Shares::of(Some(1_048_576)));
    }

    #[test]
    fn a_tiny_limit_still_serves() {
        let shares = Shares::of(Some(0));
        assert_eq!(shares.callers, MIN_CONNECTIONS);
        assert!(shares.refusals > 0 && shares.callbacks > 0);
    }
}
