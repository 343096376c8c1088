//! Whether a request may have had an effect, for the answer to one that is not finished.
//!
//! The mark belongs to the task-local context of a request, so that whoever sends something can set it without a word in every signature.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static CURRENT: Arc<AtomicBool>;
}

/// Whether something of a request may have left this process, or have been stored.
#[derive(Debug, Clone, Default)]
pub struct Effect(Arc<AtomicBool>);

impl Effect {
    /// Marks the request in whose context this is called. Outside of one it does nothing.
    pub fn begins() {
        let _ = CURRENT.try_with(|mark| mark.store(true, Ordering::Relaxed));
    }

    /// Runs `work` in the context of this request.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Arc::clone(&self.0), work)
    }

    /// Takes the context of the current request along, into a task of its own.
    pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
        let mark = CURRENT.try_with(Arc::clone).unwrap_or_default();
        CURRENT.scope(mark, work)
    }

    /// The next request begins: nothing of it has left.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether [`begins`](Self::begins) was called in the request's context.
    #[must_use]
    pub fn may_have_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_reaches_its_request_and_no_other() {
        let (first, second) = (Effect::default(), Effect::default());
        Effect::begins();
        first
            .scope(async {
                let task = tokio::spawn(Effect::carry(async { Effect::begins() }));
                task.await.unwrap();
            })
            .await;
        second.scope(async {}).await;
        assert!(first.may_have_begun());
        assert!(!second.may_have_begun());
        first.reset();
        assert!(!first.may_have_begun());
    }
}
