//! The HTTP client: pooled connections, and a check of every address before connecting.

mod connector;
mod dns;
mod stream;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::delivery::AttemptFailure;
use drawspan_bridge::limits::ATTEMPTS_PER_ORIGIN;
use drawspan_net::{TrustError, client_config};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;

use super::Guard;
use crate::limits::{CALLBACK_IDLE_MS, MAX_CALLBACK_HEAD_BYTES};
use connector::{Connector, NoConnection};

/// Posts to receivers. Cheap to clone; redirects are answers like others.
#[derive(Debug, Clone)]
pub(super) struct Client(legacy::Client<Connector, Full<Bytes>>);

impl Client {
    /// Of `kept` connections that are open, more are closed after one answer.
    ///
    /// # Errors
    /// None of the `authorities` can be used. Where none are given, and the system has none, nobody is trusted.
    pub(super) fn new(
        guard: Arc<Guard>,
        authorities: Vec<CertificateDer<'static>>,
        kept: usize,
    ) -> Result<Self, TrustError> {
        let given = !authorities.is_empty();
        let tls = match client_config(authorities) {
            Ok(tls) => Some(tls),
            Err(error) if given => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "callbacks by https will fail");
                None
            }
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(CALLBACK_IDLE_MS))
            .pool_max_idle_per_host(ATTEMPTS_PER_ORIGIN)
            .http1_max_buf_size(MAX_CALLBACK_HEAD_BYTES)
            .build(Connector::new(guard, tls, kept));
        Ok(Self(client))
    }

    /// The answer; its body is still to be read.
    pub(super) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, AttemptFailure> {
        self.0.request(request).await.map_err(|error| why(&error))
    }
}

/// In words that hold nothing of the URL but its host.
fn why(error: &legacy::Error) -> AttemptFailure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(NoConnection(why)) = cause.downcast_ref() {
            return AttemptFailure::Unreachable(why.as_str().into());
        }
        source = cause.source();
    }
    let text = if error.is_connect() {
        "no connection"
    } else {
        "the connection broke, or what came was not HTTP"
    };
    AttemptFailure::Unreachable(text.into())
}
