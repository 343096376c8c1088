//! One HTTP connection of hyper, with a shutdown that loses no request.
//!
//! hyper's own graceful shutdown closes a connection between two requests although the next one may already be on its way, and its
//! sender would see the connection end without an answer. So a connection is kept until the server ends, and its end is an answer:
//! a client that has just sent a request reads it as the answer to that request, which is not executed, and other clients hang up.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{CONNECTION, DATE, HeaderValue};
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::farewell::{farewell, linger};
use super::stop::{Phase, Shared};
use super::table::Entry;
use crate::api::{Api, Treatment};
use crate::body;
use crate::client_disconnect::ClientDisconnect;
use crate::date;
use crate::lasting;
use crate::limits::{HEAD_TIMEOUT_MS, MAX_HEAD_BYTES};

/// The transport of a connection: a socket, or TLS over one.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Whether the caller said its last, as far as can be seen without reading. Wakes the task when something comes.
    fn has_hung_up(&self, context: &mut Context<'_>) -> bool;
}

impl Wire for TcpStream {
    fn has_hung_up(&self, context: &mut Context<'_>) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match self.poll_peek(context, &mut ReadBuf::uninit(&mut byte)) {
            Poll::Ready(Ok(1..)) | Poll::Pending => false,
            Poll::Ready(Ok(0) | Err(_)) => true,
        }
    }
}

/// Serves a connection until it ends, is asked to end, or the server does.
pub(super) async fn run(
    stream: impl Wire,
    api: Api,
    entry: &Entry,
    mut phase: watch::Receiver<Phase>,
) {
    let (shared, crowded) = (&entry.shared, entry.crowded);
    shared.enter(*phase.borrow_and_update());
    let socket = Socket {
        stream,
        shared: Arc::clone(shared),
    };
    let asked = Arc::clone(shared);
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, shared) = (api.clone(), Arc::clone(&asked));
        async move { Ok::<_, Infallible>(answer(&api, shared, crowded, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_TIMEOUT_MS))
        .max_buf_size(MAX_HEAD_BYTES)
        // The buffer alone is no limit: what is read last may be larger than its room.
        .max_header_size(MAX_HEAD_BYTES)
        // A caller that has said all it wants to say still waits for the answer.
        .half_close(true);
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    loop {
        let progress = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
            // A connection ends for many reasons that are all the caller's business: it went, idled, or spoke no HTTP.
            Poll::Ready(Ok(())) if !shared.is_unread() => Poll::Ready(Progress::Ended),
            Poll::Ready(_) => Poll::Ready(Progress::EndedEarly),
            Poll::Pending if shared.may_close() => Poll::Ready(Progress::MayClose),
            Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            biased;
            changed = phase.changed() => match changed {
                Ok(()) => shared.enter(*phase.borrow_and_update()),
                // The server is gone.
                Err(_) => return,
            },
            () = shared.asked_to_leave() => {}
            progress = progress => match progress {
                Progress::Ended => return,
                Progress::EndedEarly => {
                    let socket = connection.into_parts().io.into_inner();
                    return linger_until(socket.stream, shared, phase).await;
                }
                Progress::MayClose => break,
            },
        }
    }
    if shared.may_speak() && !shared.leaves_at_once() {
        let socket = connection.into_parts().io.into_inner();
        farewell(socket.stream, shared.is_stopping()).await;
    }
}

enum Progress {
    Ended,
    /// The caller may still be sending, what cannot be read or is not wanted.
    EndedEarly,
    MayClose,
}

/// Gives a caller that sends on the time to see its answer, unless the connection's place is needed or the server ends.
async fn linger_until(stream: impl Wire, shared: &Shared, mut phase: watch::Receiver<Phase>) {
    tokio::select! {
        () = linger(stream) => {}
        () = shared.asked_to_leave() => {}
        _ = phase.wait_for(|phase| *phase == Phase::CutOff) => {}
    }
}

async fn answer(
    api: &Api,
    shared: Arc<Shared>,
    crowded: bool,
    request: Request<Incoming>,
) -> Response<Body> {
    shared.request_begins();
    let may_be_discarded = body::may_be_discarded(request.headers());
    let mut request = request.map(|body| Body::new(Watched::new(body, Arc::clone(&shared))));
    // A long poll, or a stream.
    if request.uri().query().is_some() || is_stream(request.uri().path()) {
        shared.watch();
        let patience = ClientDisconnect::new(Arc::clone(&shared));
        request.extensions_mut().insert(patience);
    }
    let treatment = match (shared.is_stopping(), crowded) {
        (true, _) => Treatment::Stopping,
        (false, true) => Treatment::Crowded,
        (false, false) => Treatment::Answered,
    };
    let work = async {
        let response = api.serve(request, treatment).await;
        // A client that was too slow with its body is not waited for again.
        if may_be_discarded
            && response.status() != StatusCode::REQUEST_TIMEOUT
            && let Some(rest) = shared.take_unread()
        {
            body::discard(Body::new(Watched::new(rest, Arc::clone(&shared)))).await;
        }
        response
    };
    let mut response = {
        let mut working = pin!(shared.effect().scope(work));
        // hyper polls this whenever the connection's task wakes, so that a cut is seen without a timer per request.
        poll_fn(|context| match working.as_mut().poll(context) {
            Poll::Pending if shared.is_cut_off() => {
                Poll::Ready(Api::answer_cut_off(shared.effect().may_have_begun()))
            }
            progress => progress,
        })
        .await
    };
    // hyper ends the connection if there is more of it.
    drop(shared.take_unread());
    let headers = response.headers_mut();
    if shared.closes() || crowded {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(date) = date::value(SystemTime::now()) {
        headers.insert(DATE, date);
    }
    let ending = Arc::clone(&shared);
    match lasting::at_end_of(&mut response, move || ending.request_ends()) {
        true => shared.streams(),
        false => shared.request_ends(),
    }
    response
}

/// Whether the path is that of a stream, in any case of letters and with or without a slash at its end.
fn is_stream(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let last = path.rsplit('/').next().unwrap_or_default();
    last.eq_ignore_ascii_case("stream")
}

/// The body of a request, which tracks its end. When it is dropped, the unread rest goes back to the connection.
struct Watched {
    /// Present until it is dropped.
    body: Option<Incoming>,
    shared: Arc<Shared>,
}

impl Watched {
    fn new(body: Incoming, shared: Arc<Shared>) -> Self {
        let body = Some(body);
        let watched = Self { body, shared };
        watched.look();
        watched
    }

    fn is_over(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(hyper::body::Body::is_end_stream)
    }

    fn look(&self) {
        if self.is_over() {
            self.shared.request_came();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_over()
            && let Some(body) = self.body.take()
        {
            self.shared.leave_unread(body);
        }
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        match &frame {
            Poll::Ready(None) => self.shared.request_came(),
            Poll::Ready(Some(Ok(_))) => self.look(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(SizeHint::default, hyper::body::Body::size_hint)
    }
}

/// The socket, with an eye on what passes.
struct Socket<S> {
    stream: S,
    shared: Arc<Shared>,
}

impl<S: Wire> Socket<S> {
    /// hyper does not read while it waits for an answer, as a caller that has said everything may wait for it. Who waits for
    /// something to come is not waited for longer than that.
    fn look_for_end(&self, context: &mut Context<'_>) {
        if self.stream.has_hung_up(context) {
            self.shared.hang_up();
            // The request was polled before.
            context.waker().wake_by_ref();
        }
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.shared.set_blocked(written.is_pending());
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.shared.progress();
        }
        written
    }
}

impl<S: Wire> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let progress = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.shared.progress();
        }
        progress
    }
}

impl<S: Wire> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for this whenever it has been polled.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.is_watched() {
            self.look_for_end(context);
        }
        // Bytes that TLS has accepted are not on the wire before that.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.shared.set_blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
