//! Resources that the process requests from the system at start.

/// Room for connections, and small pages.
pub(super) fn prepare() {
    drawspan_settings::open_files::raise_limit();
    #[cfg(target_os = "linux")]
    keep_pages_small();
}

/// Pages of 2 MB would hold on to a fifth more memory at rest, and to 10 MB of a bridge without devices; messages do not
/// get cheaper by them. Where the kernel does not know how to, it costs just that.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
