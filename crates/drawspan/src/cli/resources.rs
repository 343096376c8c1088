//! What the process asks of the system before it works.

/// Room for connections, and small pages.
pub(super) fn prepare() {
    #[cfg(unix)]
    allow_many_files();
    #[cfg(target_os = "linux")]
    keep_pages_small();
}

/// Raises the limit of open files to what the system permits: every connection is one, and many systems begin with
/// 1,024. Where it cannot be raised, the accept loop says so when it matters.
#[cfg(unix)]
fn allow_many_files() {
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

/// Pages of 2 MB would hold on to a fifth more memory at rest, and to 10 MB of a bridge without devices; messages do not
/// get cheaper by them. Where the kernel does not know how to, it costs just that.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
