//! Room for connections.

/// Raises the limit of open files to what the system permits: every connection is one, and many systems begin with
/// 1,024. Where it cannot be raised, the accept loop says so when it matters.
#[cfg(unix)]
pub(super) fn allow_many() {
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

#[cfg(not(unix))]
pub(super) fn allow_many() {}
