//! Requests and results that the handlers have in common.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{self, FromRequest, FromRequestParts as _, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response};
use bytes::Bytes;
use drawspan_gateway::DeviceGateway;
use drawspan_hub::DeviceId;
use drawspan_settings::Grant;
use tokio::time::Instant;

use super::authorization;
use super::body;
use super::idempotency::Key;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::state::State;
use crate::limits::MAX_BODY_BYTES;

/// The state of the handlers.
pub(super) type Shared<D> = extract::State<Arc<State<D>>>;

/// The result of a handler.
pub(super) type HandlerResult = Result<Response<Body>, Problem>;

/// The device id in paths, by the name that operations give it.
const DEVICE_ID: &str = "deviceId";

/// The head of a request whose clock runs.
pub(super) struct Head {
    /// When it must have been answered.
    pub(super) deadline: Instant,
    parts: Parts,
}

/// The limits of the request's key, unless it permits everything.
pub(super) fn limit_of(request: &Head) -> Option<Arc<Grant>> {
    request.extension()
}

/// A request of a route that takes no body. One that was sent all the same is read and thrown away before anything is done.
pub(super) struct Bare(Head);

/// A request with its body, which is not read yet.
pub(super) struct Full {
    head: Head,
    body: Body,
}

/// A request for a device whose id is valid, and one of those that the caller's key is for.
pub(super) struct ForDevice<R> {
    pub(super) device: DeviceId,
    pub(super) request: R,
}

impl Head {
    /// The clock starts now.
    fn new<D>(state: &State<D>, parts: Parts) -> Self {
        Self {
            deadline: Instant::now() + state.request_timeout,
            parts,
        }
    }

    pub(super) const fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Data of the connection that accompanies the request; see [`super::client_disconnect`].
    pub(super) fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.parts.extensions.get().cloned()
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Whether it asks for something that the device itself would do, or that lasts.
    fn reaches_device(&self) -> bool {
        authorization::reaches_device(&self.parts.method, self.parts.uri.path())
    }

    /// The key under which a request about `what` is done once, if it has one.
    pub(super) fn idempotency_key(&self, what: &str) -> Result<Option<Key>, Problem> {
        Key::read(&self.parts.headers, what)
    }

    /// Whether nothing follows the path.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.parts.uri.query().is_none()
    }

    /// The query string.
    pub(super) fn query(&self) -> Query<'_> {
        Query::new(self.parts.uri.query())
    }
}

impl Deref for Bare {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0
    }
}

impl Deref for Full {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Full {
    /// Reads the body, which must be JSON.
    pub(super) async fn json(self) -> Result<Bytes, Problem> {
        self.json_up_to(MAX_BODY_BYTES).await
    }

    /// The same, up to so many bytes.
    pub(super) async fn json_up_to(self, limit: usize) -> Result<Bytes, Problem> {
        let Self { head, body } = self;
        body::read_json(&head.parts.headers, body, head.deadline, limit).await
    }
}

impl<D: DeviceGateway> FromRequest<Arc<State<D>>> for Bare {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &Arc<State<D>>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let head = Head::new(state, parts);
        if body::may_be_discarded(&head.parts.headers) {
            body::discard(body).await;
        }
        Ok(Self(head))
    }
}

impl<D: DeviceGateway> FromRequest<Arc<State<D>>> for Full {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &Arc<State<D>>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let head = Head::new(state, parts);
        Ok(Self { head, body })
    }
}

impl<D: DeviceGateway, R> FromRequest<Arc<State<D>>> for ForDevice<R>
where
    R: FromRequest<Arc<State<D>>, Rejection = Problem> + Deref<Target = Head> + Send,
{
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &Arc<State<D>>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let names = RawPathParams::from_request_parts(&mut parts, state).await;
        let request = R::from_request(Request::from_parts(parts, body), state).await?;
        let names = names.as_ref().map_or(None, |names| {
            names.iter().find(|(name, _)| *name == DEVICE_ID)
        });
        let device = device_id(names.map(|(_, id)| id))?;
        if let Some(grant) = limit_of(&request).filter(|grant| grant.is_for_some()) {
            let (deadline, asks) = (request.deadline, request.reaches_device());
            let standing =
                authorization::check_standing(&state.devices, &grant, &device, asks, deadline);
            // Few keys are bounded: the way of the others stays small.
            Box::pin(standing).await?;
        }
        Ok(Self { device, request })
    }
}

/// The id in the path, `None` if it is not UTF-8.
fn device_id(text: Option<&str>) -> Result<DeviceId, Problem> {
    let Some(text) = text else {
        return Err(Problem::new(
            Kind::InvalidDeviceId,
            "The device id in the path is not percent-encoded UTF-8.",
        ));
    };
    DeviceId::parse(text)
        .map_err(|error| Problem::new(Kind::InvalidDeviceId, sentence(&error.to_string())))
}

/// A mistake in the body.
pub(super) fn invalid_body(text: impl Into<String>) -> Problem {
    Problem::new(Kind::InvalidBody, text.into())
}

/// An error text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
