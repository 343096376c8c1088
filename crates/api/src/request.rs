//! What the handlers have in common.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{Request, Response};
use bytes::Bytes;
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{DeviceError, Devices};
use drawspan_hub::DeviceId;
use tokio::time::{Instant, timeout_at};

use super::access;
use super::api::State;
use super::body;
use super::idempotency::Key;
use super::problem::{Kind, Problem};
use super::query::Query;
use crate::limits::MAX_BODY_BYTES;

/// The id in the path, as the router found it.
pub(super) type IdInPath = Result<Path<String>, PathRejection>;

/// A request whose clock runs.
pub(super) struct Arrived {
    /// When it must have been answered.
    pub(super) deadline: Instant,
    request: Request<Body>,
}

/// A request for a device, its id checked.
pub(super) struct DeviceRequest {
    pub(super) device: DeviceId,
    pub(super) arrived: Arrived,
}

impl Arrived {
    /// The clock starts now.
    pub(super) fn new<D>(state: &State<D>, request: Request<Body>) -> Self {
        Self {
            deadline: Instant::now() + state.request_timeout,
            request,
        }
    }

    /// What came beside head and body; see [`super::patience`].
    pub(super) fn extension<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.request.extensions().get().cloned()
    }

    /// Whether it asks for something that the device itself would do, or that lasts.
    fn reaches_device(&self) -> bool {
        access::reaches_device(self.request.method(), self.request.uri().path())
    }

    /// The key under which a request about `what` is done once, if it has one.
    pub(super) fn idempotency_key(&self, what: &str) -> Result<Option<Key>, Problem> {
        Key::read(self.request.headers(), what)
    }

    /// Whether nothing follows the path.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.request.uri().query().is_none()
    }

    /// What the query string says, once `read` has found it valid.
    pub(super) async fn query<T>(
        self,
        read: impl FnOnce(Query<'_>) -> Result<T, Problem>,
    ) -> Result<(T, Self), Problem> {
        match read(Query::new(self.request.uri().query())) {
            Ok(value) => Ok((value, self)),
            Err(problem) => Err(self.refuse(problem).await),
        }
    }

    /// Reads the body, which must be JSON.
    pub(super) async fn json(self) -> Result<(Instant, Bytes), Problem> {
        self.json_up_to(MAX_BODY_BYTES).await
    }

    /// The same, up to so many bytes.
    pub(super) async fn json_up_to(self, limit: usize) -> Result<(Instant, Bytes), Problem> {
        let body = body::read_json(self.request, self.deadline, limit).await?;
        Ok((self.deadline, body))
    }

    /// Of a route that takes no body: one that was sent all the same does not matter.
    pub(super) async fn without_body(self) -> Instant {
        body::discard(self.request).await;
        self.deadline
    }

    /// Nothing will be done.
    pub(super) async fn refuse(self, problem: Problem) -> Problem {
        body::discard(self.request).await;
        problem
    }
}

impl DeviceRequest {
    /// Checks the id, and that it is one of those that the caller's key is for; the clock starts now.
    pub(super) async fn new<D: Devices>(
        state: &State<D>,
        id: IdInPath,
        request: Request<Body>,
    ) -> Result<Self, Problem> {
        let arrived = Arrived::new(state, request);
        let device = match device_id(id) {
            Ok(device) => device,
            Err(problem) => return Err(arrived.refuse(problem).await),
        };
        if let Some(grant) = access::limit_of(&arrived).filter(|grant| grant.is_for_some()) {
            let (deadline, asks) = (arrived.deadline, arrived.reaches_device());
            let standing = access::check_standing(&state.devices, &grant, &device, asks, deadline);
            // Few keys are bounded: the way of the others stays small.
            if let Err(problem) = Box::pin(standing).await {
                return Err(arrived.refuse(problem).await);
            }
        }
        Ok(Self { device, arrived })
    }

    /// What the query string says, once `read` has found it valid.
    pub(super) async fn query<T>(
        self,
        read: impl FnOnce(Query<'_>) -> Result<T, Problem>,
    ) -> Result<(T, Self), Problem> {
        let Self { device, arrived } = self;
        let (value, arrived) = arrived.query(read).await?;
        Ok((value, Self { device, arrived }))
    }

    /// Reads the body, which must be JSON.
    pub(super) async fn json(self) -> Result<(DeviceId, Instant, Bytes), Problem> {
        let (deadline, body) = self.arrived.json().await?;
        Ok((self.device, deadline, body))
    }

    /// Of a route that takes no body.
    pub(super) async fn without_body(self) -> (DeviceId, Instant) {
        (self.device, self.arrived.without_body().await)
    }
}

/// The response, whichever it is.
pub(super) fn respond(answer: Result<Response<Body>, Problem>) -> Response<Body> {
    answer.unwrap_or_else(Problem::into_response)
}

/// What the devices say, if they say it in time: what they only look up has no deadline of its own.
pub(super) async fn by<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, Problem> {
    match timeout_at(deadline, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::new(
            Kind::NotReady,
            "The bridge has too much to do and did not come to this request.",
        )
        .retry_after(RETRY_AFTER_S)),
    }
}

fn device_id(path: IdInPath) -> Result<DeviceId, Problem> {
    let Ok(Path(text)) = path else {
        return Err(Problem::new(
            Kind::InvalidDeviceId,
            "The device id in the path is not percent-encoded UTF-8.",
        ));
    };
    DeviceId::parse(&text)
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
