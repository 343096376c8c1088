//! AMQP in a WebSocket (RFC 6455): bytes in binary messages.
//!
//! The .NET client requires that a message does not split an AMQP frame, so written messages end where a frame ends. Read messages
//! may split frames anywhere.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::limits;

/// The path that hubs serve.
pub const PATH: &str = "/$iothub/websocket";
/// The subprotocol that stands for AMQP.
pub const SUBPROTOCOL: &str = "AMQPWSB10";

/// The first bytes of a connection, which are no frame.
const PROTOCOL_HEADER: &[u8] = b"AMQP";
const PROTOCOL_HEADER_BYTES: usize = 8;

/// A WebSocket as a stream of bytes. Pings are answered while it is read.
#[derive(Debug)]
pub struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// The rest of the message that is being read.
    unread: Bytes,
    /// The peer violated the protocol, and is being informed.
    violation: Option<io::Error>,
}

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum WebSocketError {
    /// The server does not serve one there.
    #[error("it was refused with HTTP status {0}")]
    Refused(u16),
    /// The handshake failed otherwise.
    #[error("the handshake failed: {0}")]
    Handshake(#[source] Box<Error>),
}

/// The server's answer to a client's `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Opens one at [`PATH`] of `host`.
    ///
    /// # Errors
    /// When the server refuses, or breaks the handshake's rules.
    pub async fn connect(stream: S, host: &str) -> Result<Self, WebSocketError> {
        let handshake = |error| WebSocketError::Handshake(Box::new(error));
        let uri = format!("wss://{host}{PATH}");
        let mut request = uri.into_client_request().map_err(handshake)?;
        request.headers_mut().insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(SUBPROTOCOL),
        );
        match client_async_with_config(request, stream, Some(config())).await {
            Ok((inner, _)) => Ok(Self::new(inner)),
            Err(Error::Http(response)) => Err(WebSocketError::Refused(response.status().as_u16())),
            Err(error) => Err(handshake(error)),
        }
    }

    /// The server's end, after its answer to the handshake.
    pub async fn server(stream: S) -> Self {
        Self::new(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await)
    }

    const fn new(inner: WebSocketStream<S>) -> Self {
        Self {
            inner,
            unread: Bytes::new(),
            violation: None,
        }
    }

    /// Takes the next message in. False at the end of the stream.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.violation.is_some() {
                // This is the end, even if the peer does not get it.
                let _ = ready!(Pin::new(&mut self.inner).poll_flush(cx));
                let violation = self.violation.take();
                return Poll::Ready(violation.map_or(Ok(false), Err));
            }
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None => return Poll::Ready(Ok(false)),
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => {
                    self.unread = bytes;
                    return Poll::Ready(Ok(true));
                }
                // The answer to a ping, or to a close, goes out as reading goes on.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                    self.refuse(CloseCode::Unsupported, "a text message instead of AMQP");
                }
                Some(Err(Error::Capacity(_))) => {
                    self.refuse(CloseCode::Size, "a WebSocket message is too large");
                }
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
            }
        }
    }

    fn refuse(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // A peer that closes at the same time hears nothing more.
        let _ = Pin::new(&mut self.inner).start_send(Message::Close(Some(frame)));
        self.violation = Some(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && !ready!(self.poll_message(cx))? {
            return Poll::Ready(Ok(()));
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Not before what was written is on its way: this is what bounds the buffer.
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(to_io)?;
        let message = whole_frames(bytes);
        let sent = Message::Binary(Bytes::copy_from_slice(message));
        Pin::new(&mut self.inner).start_send(sent).map_err(to_io)?;
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_close(cx)).map_err(to_io)?;
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

/// As many frames as fit into one message; everything if not even one is whole.
fn whole_frames(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(length) = bytes.get(end..).and_then(frame_length) {
        let next = end.saturating_add(length);
        if next > bytes.len() || (end > 0 && next > limits::WEBSOCKET_MESSAGE_BYTES) {
            break;
        }
        end = next;
    }
    match end {
        0 => bytes,
        _ => bytes.get(..end).unwrap_or(bytes),
    }
}

/// Length of the frame that begins here, if that is a frame.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(PROTOCOL_HEADER) {
        return Some(PROTOCOL_HEADER_BYTES);
    }
    let length = u32::from_be_bytes(*bytes.first_chunk()?);
    usize::try_from(length).ok().filter(|length| *length > 0)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(limits::WEBSOCKET_READ_BYTES)
        .write_buffer_size(limits::WEBSOCKET_WRITE_BYTES)
        .max_message_size(Some(limits::WEBSOCKET_MESSAGE_MAX_BYTES))
        .max_frame_size(Some(limits::WEBSOCKET_MESSAGE_MAX_BYTES))
}

fn to_io(error: tungstenite::Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests;
