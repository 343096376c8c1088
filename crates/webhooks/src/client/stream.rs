//! A connection to a receiver, with TLS or without.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Counts itself among the open connections.
#[derive(Debug)]
pub(super) struct Stream {
    kind: Kind,
    open: Arc<Open>,
}

/// Connections that are open.
#[derive(Debug)]
pub(super) struct Open {
    count: AtomicUsize,
    /// Number beyond which no connection is kept for another request.
    kept: usize,
}

impl Open {
    pub(super) const fn new(kept: usize) -> Self {
        Self {
            count: AtomicUsize::new(0),
            kept,
        }
    }
}

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn plain(tcp: TcpStream, open: Arc<Open>) -> Self {
        Self::new(Kind::Plain(tcp), open)
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>, open: Arc<Open>) -> Self {
        Self::new(Kind::Tls(Box::new(tls)), open)
    }

    fn new(kind: Kind, open: Arc<Open>) -> Self {
        open.count.fetch_add(1, Ordering::Relaxed);
        Self { kind, open }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.open.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.open.count.load(Ordering::Relaxed) > self.open.kept {
            // Good for one request.
            connected.poison();
        }
        connected
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Kind::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Kind::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Kind::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(tcp) => tcp.is_write_vectored(),
            Kind::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
