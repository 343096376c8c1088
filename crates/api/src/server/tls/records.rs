//! The socket under TLS, which tracks where TLS records end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Type, version and length (RFC 8446, section 5.1).
pub(super) const HEAD_BYTES: usize = 5;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;
/// An alert of TLS 1.3, which travels as data: level, description, its real type, and the tag that every cipher of ours has.
const ENCRYPTED_ALERT_BYTES: u8 = 2 + 1 + 16;

/// A socket that knows whether all that was read ends where a record ends.
#[derive(Debug)]
pub(crate) struct Recorded {
    stream: TcpStream,
    records: Records,
}

impl Recorded {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            records: Records::default(),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn is_whole(&self) -> bool {
        self.records.is_whole()
    }

    /// Whether anything was read.
    pub(super) fn has_begun(&self) -> bool {
        self.records.begun
    }
}

/// Whether a record with this head is an alert: the end of the connection, of any kind. (Two bytes of data look the same in TLS
/// 1.3; no caller sends these by themselves.)
pub(super) fn is_goodbye(head: &[u8]) -> bool {
    matches!(
        head,
        [ALERT, ..] | [APPLICATION_DATA, _, _, 0, ENCRYPTED_ALERT_BYTES]
    )
}

/// How far the record has come that is being read.
#[derive(Debug, Default)]
struct Records {
    /// Bytes of its head that came.
    head: usize,
    /// Bytes of its body that are to come, as far as the head says.
    left: usize,
    /// Anything came.
    begun: bool,
}

impl Records {
    fn is_whole(&self) -> bool {
        self.head == 0 && self.left == 0
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        self.begun |= !bytes.is_empty();
        while let Some((first, rest)) = bytes.split_first() {
            if self.head == 0 && self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.head += 1;
            match self.head {
                4 => self.left = usize::from(*first) << 8,
                HEAD_BYTES => {
                    self.left |= usize::from(*first);
                    self.head = 0;
                }
                _ => {}
            }
            bytes = rest;
        }
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let progress = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.records.feed(new);
        progress
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_their_heads_say() {
        let stream: Vec<u8> = [0, 1, 300, 7]
            .into_iter()
            .flat_map(|length: u16| {
                let [high, low] = length.to_be_bytes();
                let body = vec![0xff; length.into()];
                [vec![23, 3, 3, high, low], body].concat()
            })
            .collect();
        let ends = [5, 11, 316, 328];
        for step in [1, 2, 3, 7, 1_000] {
            let mut records = Records::default();
            let mut came = 0;
            for bytes in stream.chunks(step) {
                records.feed(bytes);
                came += bytes.len();
                let expected = ends.contains(&came);
                assert_eq!(records.is_whole(), expected, "{step} {came}");
            }
        }
    }
}
