//! The receivers of answers to requests.

use tokio::sync::oneshot;

use super::command::SendFailure;
use super::room::Permit;

/// The receiver of an answer. If it is dropped, the answer is that nothing was sent or, after [`sent`](Self::sent), that the result
/// at the hub is unknown.
#[derive(Debug)]
pub(crate) struct Reply<T = ()> {
    to: Option<oneshot::Sender<Result<T, SendFailure>>>,
    sent: bool,
    /// Held until there is an answer, even if it is no longer awaited.
    _permit: Option<Permit>,
}

impl<T> Reply<T> {
    pub(crate) fn new(permit: Option<Permit>) -> (Self, oneshot::Receiver<Result<T, SendFailure>>) {
        let (to, answer) = oneshot::channel();
        let reply = Self {
            to: Some(to),
            sent: false,
            _permit: permit,
        };
        (reply, answer)
    }

    /// From now on the hub may have it.
    pub(crate) fn sent(mut self) -> Self {
        self.sent = true;
        self
    }

    pub(crate) fn send(mut self, answer: Result<T, SendFailure>) {
        if let Some(to) = self.to.take() {
            // The caller may be gone, which changes nothing.
            let _ = to.send(answer);
        }
    }

    /// The answer is no longer awaited.
    pub(crate) fn is_closed(&self) -> bool {
        self.to.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let failure = match self.sent {
                true => SendFailure::FateUnknown,
                false => SendFailure::Stale,
            };
            let _ = to.send(Err(failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_never_comes_says_whether_anything_was_sent() {
        let (reply, mut answer) = Reply::<()>::new(None);
        drop(reply);
        assert_eq!(answer.try_recv(), Ok(Err(SendFailure::Stale)));
        let (reply, mut answer) = Reply::<()>::new(None);
        drop(reply.sent());
        assert_eq!(answer.try_recv(), Ok(Err(SendFailure::FateUnknown)));
        let (reply, mut answer) = Reply::new(None);
        reply.sent().send(Ok(7));
        assert_eq!(answer.try_recv(), Ok(Ok(7)));
    }
}
