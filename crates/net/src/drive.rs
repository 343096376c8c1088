//! One connection on one stream: a task that polls reading and writing together.
//!
//! Writing first and reading afterwards can deadlock two peers that both wait to be read. So each wake-up does everything that is
//! possible: take commands, read, handle events, then write once. Commands come in through a bounded channel.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use drawspan_amqp::engine::{Closed, Connection, Event};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::clock::Clock;
use crate::limits;

/// The handler of a connection's events and commands.
pub trait Handler {
    /// Commands to this connection.
    type Command;

    /// Something happened.
    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration);

    /// Handles a command.
    fn on_command(&mut self, connection: &mut Connection, command: Self::Command, now: Duration);

    /// All events and commands of this wake-up are handled; what is decided here goes out with the same write.
    fn on_batch_end(&mut self, _connection: &mut Connection, _now: Duration) {}

    /// When [`on_deadline`](Self::on_deadline) is due.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// The handler's deadline is reached.
    fn on_deadline(&mut self, _connection: &mut Connection, _now: Duration) {}
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// By AMQP; the handler saw the event too.
    Closed(Closed),
    /// The stream ended or failed.
    Stream(io::Error),
}

/// Runs `connection` on `stream` until it is over. Closes it when all senders of `commands` are gone.
pub async fn drive<S, H>(
    stream: S,
    connection: Connection,
    handler: &mut H,
    commands: mpsc::Receiver<H::Command>,
    clock: Clock,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let mut timer = pin!(tokio::time::sleep(Duration::from_secs(3_600)));
    let mut driver = Driver {
        stream,
        connection,
        handler,
        commands,
        clock,
        commands_open: true,
        closed: None,
        linger_until: None,
        shut_down: false,
        batch: Vec::new(),
    };
    poll_fn(|cx| driver.poll(cx, timer.as_mut())).await
}

struct Driver<'a, S, H: Handler> {
    stream: S,
    connection: Connection,
    handler: &'a mut H,
    commands: mpsc::Receiver<H::Command>,
    clock: Clock,
    commands_open: bool,
    closed: Option<Closed>,
    /// Set when the connection is over: what is left is written, and the peer's rest thrown away, until then.
    linger_until: Option<Duration>,
    shut_down: bool,
    batch: Vec<H::Command>,
}

thread_local! {
    /// Shared by all connections of a thread, so that an idle one holds no read buffer.
    static CHUNK: RefCell<Vec<u8>> = RefCell::new(vec![0; limits::READ_CHUNK_BYTES]);
}

impl<S, H> Driver<'_, S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<Ended> {
        let now = self.clock.now();
        let mut again = self.take_commands(cx, now);
        let read = self.read(cx, now);
        if let Ok(more) = read {
            again |= more;
        }
        self.run_deadlines(now);
        self.handle_events(now);
        self.handler.on_batch_end(&mut self.connection, now);
        // The handler may have ended the connection.
        self.handle_events(now);
        let written = self.write(cx, now);
        // Writing finds out that a peer does not read, and makes room for what waits with the handler.
        self.handle_events(now);
        again |= written.is_ready() && self.connection.has_output();
        if let Err(error) = read {
            return Poll::Ready(self.stream_ended(error));
        }
        match written {
            Poll::Ready(Err(error)) => return Poll::Ready(self.stream_ended(error)),
            Poll::Ready(Ok(())) if self.closed.is_some() => {
                if let Poll::Ready(ended) = self.shut_down(cx) {
                    return Poll::Ready(ended);
                }
            }
            _ => {}
        }
        if self.linger_until.is_some_and(|until| now >= until) {
            return Poll::Ready(self.stream_ended(io::ErrorKind::TimedOut.into()));
        }
        self.arm(cx, timer.as_mut(), now);
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// True when there may be more.
    fn take_commands(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        if !self.commands_open {
            return false;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let taken = self
            .commands
            .poll_recv_many(cx, &mut batch, limits::COMMAND_BUDGET);
        for command in batch.drain(..) {
            self.handler.on_command(&mut self.connection, command, now);
        }
        self.batch = batch;
        match taken {
            Poll::Pending => false,
            Poll::Ready(0) => {
                self.commands_open = false;
                self.connection.close(None, now);
                false
            }
            Poll::Ready(_) => true,
        }
    }

    /// True when the budget ended before the input did.
    fn read(&mut self, cx: &mut Context<'_>, now: Duration) -> io::Result<bool> {
        if self.closed.is_some() {
            return Ok(false);
        }
        CHUNK.with_borrow_mut(|chunk| {
            let mut budget = limits::READ_BUDGET_BYTES;
            loop {
                let mut buffer = ReadBuf::new(chunk);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    Poll::Ready(Ok(())) => {}
                }
                let filled = buffer.filled();
                self.connection.input().extend_from_slice(filled);
                self.connection.received(now);
                budget = budget.saturating_sub(filled.len());
                // Handled chunk by chunk, so that input is held no longer than needed.
                self.handle_events(now);
                if budget == 0 {
                    return Ok(true);
                }
            }
        })
    }

    fn handle_events(&mut self, now: Duration) {
        while let Some(event) = self.connection.poll_event(now) {
            if let Event::Closed(closed) = &event {
                self.closed = Some(closed.clone());
                self.linger_until = Some(now + Duration::from_millis(limits::LINGER_MS));
            }
            self.handler.on_event(&mut self.connection, event, now);
        }
    }

    fn run_deadlines(&mut self, now: Duration) {
        if self
            .connection
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.connection.tick(now);
            self.connection.shrink();
        }
        if self
            .handler
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.handler.on_deadline(&mut self.connection, now);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Duration) -> Poll<io::Result<()>> {
        loop {
            let output = self.connection.poll_output();
            if output.is_empty() {
                break;
            }
            let count = match Pin::new(&mut self.stream).poll_write(cx, output) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            output.advance(count);
            self.connection.wrote(now);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if !self.shut_down {
            // The peer may be gone already; how AMQP ended is what counts.
            let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
            self.shut_down = true;
        }
        let closed = self.closed.clone().unwrap_or(Closed::ByUs);
        if may_be_sending(&closed) {
            ready!(self.discard(cx));
        }
        Poll::Ready(Ended::Closed(closed))
    }

    /// Reads until the peer has ended, too. TCP resets a connection that is closed before all is read, and a reset takes
    /// with it what we said last: why we ended.
    fn discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CHUNK.with_borrow_mut(|chunk| {
            let mut budget = limits::READ_BUDGET_BYTES;
            while budget > 0 {
                let mut buffer = ReadBuf::new(chunk);
                match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => {
                        budget = budget.saturating_sub(buffer.filled().len());
                    }
                    _ => return Poll::Ready(()),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn stream_ended(&mut self, error: io::Error) -> Ended {
        match self.closed.clone() {
            Some(closed) => Ended::Closed(closed),
            None => Ended::Stream(error),
        }
    }

    /// Sets the timer to the next deadline. It only moves forward: one that fires early costs a look, re-arming at each
    /// wake-up costs more.
    fn arm(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>, now: Duration) {
        let deadlines = [
            self.connection.deadline(),
            self.handler.deadline(),
            self.linger_until,
        ];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return;
        };
        let instant = self.clock.instant(deadline.max(now));
        if timer.is_elapsed() || instant < timer.deadline() {
            timer.as_mut().reset(instant);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

/// Whether the peer was cut off, as opposed to having agreed to the end.
fn may_be_sending(closed: &Closed) -> bool {
    match closed {
        Closed::Violation(_)
        | Closed::SaslRefused(_)
        | Closed::NoSaslMechanism(_)
        | Closed::WrongProtocol(_) => true,
        Closed::ByUs
        | Closed::ByPeer(_)
        | Closed::Silent
        | Closed::TimedOut
        | Closed::PeerDoesNotRead => false,
    }
}

#[cfg(test)]
mod tests;
