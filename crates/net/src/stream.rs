//! The stream of a connection, however it was opened.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::websocket::WebSocket;

/// A stream of bytes to a hub: TLS, or a WebSocket in it.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocket<TlsStream<TcpStream>>>),
}

impl Stream {
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(Box::new(stream)))
    }

    pub(crate) fn web_socket(stream: WebSocket<TlsStream<TcpStream>>) -> Self {
        Self(Kind::WebSocket(Box::new(stream)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Kind::WebSocket(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Kind::WebSocket(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Kind::WebSocket(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::WebSocket(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
