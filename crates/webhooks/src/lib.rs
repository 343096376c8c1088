//! Requests to the receivers of events.
//!
//! [`Webhooks`] makes the requests that the controller decides on ([`send`](Webhooks::send)); each leaves its result in the
//! [`mailbox`](Webhooks::mailbox). [`drawspan_bridge::delivery`] decides which event is tried when.
// Printing panics if the reader has gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod attempt;
mod client;
mod guard;
pub mod limits;
mod signatures;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use drawspan_bridge::events::Post;
use drawspan_gateway::CallbackUrl;
use drawspan_net::Mailbox;
use drawspan_net::TrustError;
use drawspan_settings::open_files::Shares;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;

pub use attempt::Done;
pub use guard::Guard;
pub use signatures::Secrets;

use attempt::Request;
use client::Client;

/// The configuration of requests.
#[derive(Debug)]
pub struct Options {
    /// Keys that sign events; may be exchanged at any time.
    pub secrets: Arc<Secrets>,
    /// The guard of callback addresses.
    pub guard: Arc<Guard>,
    /// Authorities to trust; empty means the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// See the module.
pub struct Webhooks {
    client: Client,
    secrets: Arc<Secrets>,
    mailbox: Arc<Mailbox<Done>>,
    /// Requests under way; with their owner they end.
    requests: JoinSet<()>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Without requests. Within a tokio runtime.
    ///
    /// # Errors
    /// [`TrustError`]: none of the authorities given can be used.
    pub fn new(options: Options) -> Result<Self, TrustError> {
        let kept = Shares::of_process().kept_callbacks;
        Ok(Self {
            client: Client::new(options.guard, options.authorities, kept)?,
            secrets: options.secrets,
            mailbox: Arc::default(),
            requests: JoinSet::new(),
        })
    }

    /// Makes a request. Its end goes to the mailbox, however it ends.
    pub fn send(&mut self, post: Post<CallbackUrl>) {
        let request = Request {
            post,
            mailbox: Arc::clone(&self.mailbox),
            client: self.client.clone(),
            secrets: Arc::clone(&self.secrets),
        };
        self.requests.spawn(request.run());
    }

    /// Removes finished requests. To be called at intervals.
    pub fn reap(&mut self) {
        while self.requests.try_join_next().is_some() {}
    }

    /// The mailbox for results of requests.
    #[must_use]
    pub fn mailbox(&self) -> Arc<Mailbox<Done>> {
        Arc::clone(&self.mailbox)
    }
}
