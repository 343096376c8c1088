//! The routes of the API.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{Effect, Gateway};
use drawspan_settings::{Admission, ApiKeys};
use serde::Serialize;
use tower_service::Service;

use super::auth::{self, NotAdmitted};
use super::counted::Counted;
use super::counts::Counts;
use super::host::Hosts;
use super::idempotency::{Idempotency, Memory};
use super::listeners::Listeners;
use super::problem::{Kind, Problem};
use super::state::State;
use super::{authorization, path, probes, routes, uri_check};
use crate::limits::MAX_URI_BYTES;

/// The API over some devices. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    router: Router,
    counts: Arc<Counts>,
    keys: Arc<RwLock<ApiKeys>>,
    listeners: Arc<Listeners>,
    hosts: Hosts,
}

/// The possible results of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Its answer.
    Answered,
    /// 503, unless it is a probe: there is no room for its connection.
    Crowded,
    /// 503, unless it is a probe: the process is on its way out.
    Stopping,
}

impl Api {
    /// The API in front of `devices`. A request that is not done `request_timeout` after its head arrived is answered all the
    /// same; one that waits for a message may take as long as it asked for.
    pub fn new<D: Gateway>(devices: D, keys: ApiKeys, request_timeout: Duration) -> Self {
        Self::remembering(devices, keys, request_timeout, Memory::default())
    }

    /// The same, with a memory of what was done under which idempotency key.
    pub fn remembering<D: Gateway>(
        devices: D,
        keys: ApiKeys,
        request_timeout: Duration,
        memory: Memory,
    ) -> Self {
        let counts = Arc::default();
        let listeners: Arc<Listeners> = Arc::default();
        let router = routes::all()
            .fallback(Counted {
                operation: None,
                handler: not_found,
            })
            .method_not_allowed_fallback(Counted {
                operation: None,
                handler: method_not_allowed,
            })
            .with_state(Arc::new(State {
                devices,
                request_timeout,
                idempotency: Idempotency::new(memory),
                counts: Arc::clone(&counts),
                listeners: Arc::clone(&listeners),
            }));
        Self {
            router,
            counts,
            keys: Arc::new(RwLock::new(keys)),
            listeners,
            hosts: Hosts::Any,
        }
    }

    /// Answers only requests for these hosts.
    #[must_use]
    pub fn for_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// Takes other API keys from now on. Streams end, so that their listeners show their keys again.
    pub fn replace_keys(&self, keys: ApiKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.listeners.end_all();
    }

    fn admission(&self, headers: &HeaderMap) -> Result<(Admission, u32), NotAdmitted> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        auth::admit(&keys, headers)
    }

    /// Answers one request that came over a connection.
    pub(super) async fn serve(
        &self,
        request: Request<Body>,
        treatment: Treatment,
    ) -> Response<Body> {
        if let Err(problem) = self.hosts.check(&request) {
            return self.counted(problem.into_response());
        }
        match treatment {
            Treatment::Answered => self.answer(request).await,
            Treatment::Crowded => self.answer_crowded(request).await,
            Treatment::Stopping => self.answer_stopping(request).await,
        }
    }

    /// Answers one request. Every error results in a response.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.admit(request) {
            Ok(request) => self.route(request).await,
            Err(problem) => problem.into_response(),
        }
    }

    /// Answers one request while the process is on its way out: nothing is begun any more.
    async fn answer_stopping(&self, request: Request<Body>) -> Response<Body> {
        let request = match self.admit(request) {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        match request.uri().path() {
            "/health" | "/livez" | "/metrics" => self.route(request).await,
            "/readyz" => probes::stopping(),
            _ => self.counted(Self::not_begun().into_response()),
        }
    }

    /// Answers one request on a connection for which there is no room: probes are answered all the same.
    async fn answer_crowded(&self, request: Request<Body>) -> Response<Body> {
        let request = match self.admit(request) {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        if matches!(
            request.uri().path(),
            "/health" | "/livez" | "/readyz" | "/metrics"
        ) {
            return self.route(request).await;
        }
        let problem = Problem::new(
            Kind::TooManyConnections,
            "Too many connections are open; use fewer and keep them alive.",
        );
        self.counted(problem.retry_after(RETRY_AFTER_S).into_response())
    }

    /// The answer to a request that comes during shutdown.
    #[must_use]
    pub fn not_begun() -> Problem {
        stopping("The bridge is stopping; nothing was sent. Send it again, to its successor.")
    }

    /// The answer to a request that was begun and will not be finished; `maybe_done` where something of it may be at the hub.
    #[must_use]
    pub fn answer_cut_off(maybe_done: bool) -> Response<Body> {
        let problem = stopping(match maybe_done {
            true => {
                "The bridge had to stop before this was done; it may or may not have reached the hub. Send it again."
            }
            false => {
                "The bridge had to stop before this was begun; nothing was sent. Send it again, to its successor."
            }
        });
        problem.into_response()
    }

    fn counted(&self, response: Response<Body>) -> Response<Body> {
        self.counts.answered(None, response.status());
        response
    }

    /// The request with a canonical path, if its sender may ask.
    fn admit(&self, request: Request<Body>) -> Result<Request<Body>, Problem> {
        self.check(request)
            .inspect_err(|problem| self.counts.answered(None, problem.status()))
    }

    fn check(&self, mut request: Request<Body>) -> Result<Request<Body>, Problem> {
        let uri = request.uri();
        let uri_bytes = uri.path().len() + uri.query().map_or(0, str::len);
        if uri_bytes > MAX_URI_BYTES {
            let detail = format!("The path and its query are over {MAX_URI_BYTES} bytes.");
            return Err(Problem::new(Kind::UriTooLong, detail));
        }
        path::make_canonical(request.uri_mut());
        // Before validation, and before 404 and 405, as the original: without a key nothing is learned about routes.
        if path::needs_key(request.uri().path()) {
            self.check_key(&mut request)?;
            uri_check::check(request.uri())?;
        }
        Ok(request)
    }

    /// The limits of a key go with the request, for handlers that access more devices than the path names.
    fn check_key(&self, request: &mut Request<Body>) -> Result<(), Problem> {
        let (admission, caller) = self
            .admission(request.headers())
            .map_err(|error| Problem::new(Kind::Unauthorized, error.to_string()))?;
        Effect::comes_from(caller);
        match admission {
            Admission::Full => Ok(()),
            Admission::Limited(grant) => {
                authorization::check(&grant, request)?;
                request.extensions_mut().insert(grant);
                Ok(())
            }
        }
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }
}

/// 200 with JSON.
pub(super) fn json_response(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// 200 with JSON of texts, numbers and what was JSON before: writing that into memory does not fail.
pub(super) fn json_of(value: &impl Serialize) -> Response<Body> {
    json_response(serde_json::to_vec(value).unwrap_or_default())
}

/// A status that says it all.
pub(super) fn empty_response(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn stopping(detail: &'static str) -> Problem {
    Problem::new(Kind::Stopping, detail).retry_after(RETRY_AFTER_S)
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "There is no such route.")
}

/// The router adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        "This route does not support that method; Allow lists the supported ones.",
    )
}

#[cfg(test)]
mod tests;
