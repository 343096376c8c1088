//! Log lines of refusals over HTTPS.

use std::net::SocketAddr;

use axum::http::{Method, Request, Uri, header};
use axum::response::Response;
use drawspan_emulator_hub::refusals::{Door, Refusals};

use super::request::text;

/// Why a response refuses. Goes with the response to where it is logged.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub(crate) door: Door,
    pub(crate) code: u32,
    /// The text for the caller, or more.
    pub(crate) text: String,
}

/// The target of a request, for the log.
#[derive(Debug)]
pub(super) struct Asked {
    method: Method,
    uri: Uri,
    host: Option<String>,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: text(request.headers(), header::HOST.as_str()).map(str::to_owned),
        }
    }

    /// Logs the response, if it refuses.
    pub(super) fn log(&self, response: &Response, refusals: &Refusals, peer: SocketAddr) {
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return;
        }
        // Without the query, which may hold a signature.
        let (host, path) = (self.host.as_deref().unwrap_or_default(), self.uri.path());
        let what = format!("{} {host}{path}", self.method);
        match response.extensions().get::<Reason>() {
            Some(Reason { door, code, text }) => {
                refusals.log(*door, &code.to_string(), peer, &what, text);
            }
            None => {
                let reason = status.canonical_reason().unwrap_or_default();
                refusals.log(Door::Rest, status.as_str(), peer, &what, reason);
            }
        }
    }
}
