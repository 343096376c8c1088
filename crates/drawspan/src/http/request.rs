//! What the handlers of device routes have in common.

use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use drawspan_hub::DeviceId;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

use super::api::State;
use super::body;
use super::problem::{Kind, Problem};
use crate::devices::DeviceError;
use crate::limits::RETRY_AFTER_S;

/// The id in the path, as the router found it.
pub(super) type IdInPath = Result<Path<String>, PathRejection>;

/// A request for a device, its id checked.
pub(super) struct DeviceRequest {
    pub(super) device: DeviceId,
    /// When it must have been answered.
    pub(super) deadline: Instant,
    request: Request<Body>,
}

impl DeviceRequest {
    /// Checks the id; the clock starts now.
    pub(super) async fn new<D>(
        state: &State<D>,
        id: IdInPath,
        request: Request<Body>,
    ) -> Result<Self, Problem> {
        let deadline = Instant::now() + state.request_timeout;
        match device_id(id) {
            Ok(device) => Ok(Self {
                device,
                deadline,
                request,
            }),
            Err(problem) => {
                body::discard(request).await;
                Err(problem)
            }
        }
    }

    /// Whether there is no body, and no word of one.
    pub(super) fn says_nothing(&self) -> bool {
        self.request.body().is_end_stream() && !self.request.headers().contains_key(CONTENT_TYPE)
    }

    /// Reads the body, which must be JSON.
    pub(super) async fn json(self) -> Result<(DeviceId, Instant, Bytes), Problem> {
        let body = body::read_json(self.request, self.deadline).await?;
        Ok((self.device, self.deadline, body))
    }

    /// Of a route that takes no body: one that was sent all the same does not matter.
    pub(super) async fn without_body(self) -> (DeviceId, Instant) {
        body::discard(self.request).await;
        (self.device, self.deadline)
    }
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

/// An error text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
