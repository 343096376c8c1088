//! Handlers that count their answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::handler::Handler;
use axum::http::{Request, Response};
use drawspan_gateway::DeviceGateway;

use super::counts::Counts;
use super::operation::Operation;
use super::state::State;

/// A handler whose answers are counted. It costs no allocation, as a layer of the router would.
#[derive(Clone)]
pub(super) struct Counted<H> {
    pub(super) operation: Option<Operation>,
    pub(super) handler: H,
}

/// An answer that is counted when it is there.
pub(super) struct Answering<F> {
    operation: Option<Operation>,
    counts: Arc<Counts>,
    answer: F,
}

impl<H, T, D> Handler<T, Arc<State<D>>> for Counted<H>
where
    H: Handler<T, Arc<State<D>>, Future: Unpin>,
    D: DeviceGateway,
{
    type Future = Answering<H::Future>;

    fn call(self, request: Request<Body>, state: Arc<State<D>>) -> Self::Future {
        Answering {
            operation: self.operation,
            counts: Arc::clone(&state.counts),
            answer: self.handler.call(request, state),
        }
    }
}

impl<F: Future<Output = Response<Body>> + Unpin> Future for Answering<F> {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        let response = ready!(Pin::new(&mut self.answer).poll(context));
        self.counts.answered(self.operation, response.status());
        Poll::Ready(response)
    }
}
