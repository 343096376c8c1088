//! The signal that the emulator stops, for everything that runs.

use tokio::sync::watch;

/// Resolves when the emulator stops.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<()>);

/// Stops everything that holds a [`Stop`] when it is dropped.
#[derive(Debug)]
pub struct Stopper(#[allow(dead_code, reason = "dropping it is its use")] watch::Sender<()>);

impl Stop {
    /// Both ends of the signal.
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(());
        (Stopper(sender), Self(receiver))
    }

    /// Waits until the emulator stops.
    pub async fn stopped(&mut self) {
        // No value is ever sent: the only event is that the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}
