//! The context of a request: its caller, and whether it may have had an effect, for the answer if it is not finished.
//!
//! Both are in the task-local context of a request, so that code that sends something reaches them without parameters.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

tokio::task_local! {
    static CURRENT: Arc<Context>;
}

/// Whether something of a request may have left this process, or have been stored.
#[derive(Debug, Clone, Default)]
pub struct Effect(Arc<Context>);

#[derive(Debug, Default)]
struct Context {
    begun: AtomicBool,
    caller: AtomicU32,
    watched: AtomicBool,
    hung_up: AtomicBool,
}

/// Whether the caller of a request is still there, as far as the server sees.
#[derive(Debug, Clone, Default)]
pub struct Presence(Arc<Context>);

impl Presence {
    /// Whether the caller closed its connection, or says nothing more on it: it may still read an answer.
    #[must_use]
    pub fn has_hung_up(&self) -> bool {
        self.0.hung_up.load(Ordering::Relaxed)
    }
}

impl Effect {
    /// Marks the request in whose context this is called. Outside of one it does nothing.
    pub fn begins() {
        let _ = CURRENT.try_with(|context| context.begun.store(true, Ordering::Relaxed));
    }

    /// Notes who makes the request in whose context this is called: a number for each API key.
    pub fn comes_from(caller: u32) {
        let _ = CURRENT.try_with(|context| context.caller.store(caller, Ordering::Relaxed));
    }

    /// The caller of the current request; 0 if API keys are not needed.
    #[must_use]
    pub fn caller() -> u32 {
        let caller = CURRENT.try_with(|context| context.caller.load(Ordering::Relaxed));
        caller.unwrap_or_default()
    }

    /// Whether the caller of the request in whose context this is called hangs up. The server looks for that from now on, until
    /// the request ends.
    #[must_use]
    pub fn presence() -> Presence {
        let watch = |context: &Arc<Context>| {
            context.watched.store(true, Ordering::Relaxed);
            Presence(Arc::clone(context))
        };
        CURRENT.try_with(watch).unwrap_or_default()
    }

    /// Whether it matters that the caller hangs up, see [`presence`](Self::presence).
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.watched.load(Ordering::Relaxed)
    }

    /// The caller closed its connection, or says nothing more on it.
    pub fn hangs_up(&self) {
        self.0.hung_up.store(true, Ordering::Relaxed);
    }

    /// Runs `work` in the context of this request.
    pub fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Arc::clone(&self.0), work)
    }

    /// Carries the context of the current request into a separate task.
    pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
        let context = CURRENT.try_with(Arc::clone).unwrap_or_default();
        CURRENT.scope(context, work)
    }

    /// The next request begins: nothing of it has left.
    pub fn reset(&self) {
        self.0.begun.store(false, Ordering::Relaxed);
        self.0.caller.store(0, Ordering::Relaxed);
        self.0.watched.store(false, Ordering::Relaxed);
    }

    /// Whether [`begins`](Self::begins) was called in the request's context.
    #[must_use]
    pub fn may_have_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_reaches_its_request_and_no_other() {
        let (first, second) = (Effect::default(), Effect::default());
        Effect::begins();
        Effect::comes_from(7);
        assert_eq!(Effect::caller(), 0);
        first
            .scope(async {
                Effect::comes_from(7);
                let task = tokio::spawn(Effect::carry(async {
                    Effect::begins();
                    Effect::caller()
                }));
                assert_eq!(task.await.unwrap(), 7);
            })
            .await;
        second
            .scope(async { assert_eq!(Effect::caller(), 0) })
            .await;
        assert!(first.may_have_begun());
        assert!(!second.may_have_begun());
        first.reset();
        assert!(!first.may_have_begun());
    }
}
