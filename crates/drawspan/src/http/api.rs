//! The routes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Request, Response};
use axum::routing::{get, post};
use tower_service::Service;

use super::auth::ApiKeys;
use super::problem::{Kind, Problem};
use super::{body, path, telemetry};
use crate::devices::Devices;
use crate::limits::MAX_URI_BYTES;

/// The API over some devices. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    router: Router,
    keys: Arc<RwLock<ApiKeys>>,
}

/// What handlers know.
pub(super) struct State<D> {
    pub(super) devices: D,
    pub(super) request_timeout: Duration,
}

impl Api {
    /// The API in front of `devices`. A request that is not done `request_timeout` after its head arrived is answered all the same.
    pub fn new<D: Devices>(devices: D, keys: ApiKeys, request_timeout: Duration) -> Self {
        let router = Router::new()
            .route("/health", get(health))
            .route("/devices/{id}/messages/events", post(telemetry::send::<D>))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(Arc::new(State {
                devices,
                request_timeout,
            }));
        Self {
            router,
            keys: Arc::new(RwLock::new(keys)),
        }
    }

    /// Takes other API keys from now on.
    pub fn replace_keys(&self, keys: ApiKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.admit(headers)
    }

    /// Answers one request. Whatever is wrong with it, the answer is a response.
    pub async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        let uri = request.uri();
        let uri_bytes = uri.path().len() + uri.query().map_or(0, str::len);
        if uri_bytes > MAX_URI_BYTES {
            body::discard(request).await;
            return Problem::new(
                Kind::UriTooLong,
                format!("The path is over {MAX_URI_BYTES} bytes."),
            )
            .into_response();
        }
        path::make_canonical(request.uri_mut());
        // Before validation, and before 404 and 405, as the original: without a key nothing is learned about routes.
        if path::needs_key(request.uri().path()) && !self.admits(request.headers()) {
            body::discard(request).await;
            return Problem::new(
                Kind::Unauthorized,
                "Send a valid API key in the header x-api-key.",
            )
            .into_response();
        }
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }
}

async fn health() -> Response<Body> {
    let mut response = Response::new(Body::from("Healthy"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

async fn not_found(request: Request<Body>) -> Response<Body> {
    body::discard(request).await;
    Problem::new(Kind::NotFound, "There is no such route.").into_response()
}

/// The router adds `Allow`.
async fn method_not_allowed(request: Request<Body>) -> Response<Body> {
    body::discard(request).await;
    Problem::new(
        Kind::MethodNotAllowed,
        "This route does not take that method; Allow names those that it takes.",
    )
    .into_response()
}

#[cfg(test)]
mod tests;
