//! Answers that do not end by themselves: their connection is busy until they do.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};

/// Marks such an answer, for the server, among its extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting;

/// Has `end` called when the body of the answer is over, or given up, if it is one that lasts. False if it is not.
pub(super) fn at_end_of<F: FnOnce() + Send + Unpin + 'static>(
    response: &mut Response<Body>,
    end: F,
) -> bool {
    if response.extensions_mut().remove::<Lasting>().is_none() {
        return false;
    }
    let body = std::mem::take(response.body_mut());
    *response.body_mut() = Body::new(Ending {
        body,
        end: Some(end),
    });
    true
}

struct Ending<F: FnOnce()> {
    body: Body,
    end: Option<F>,
}

impl<F: FnOnce() + Unpin> hyper::body::Body for Ending<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce()> Drop for Ending<F> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}
