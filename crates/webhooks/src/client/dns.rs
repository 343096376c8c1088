//! Names of receivers, each looked up once at a time.
//!
//! A look-up occupies a thread of the system's resolver until it ends. A look-up that never ends must not take one thread per
//! attempt.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::connector::NoConnection;

type Addresses = Arc<[SocketAddr]>;
type Cell = Arc<OnceCell<Result<Addresses, String>>>;

/// Look-ups under way.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<(String, u16), Cell>>);

/// A waiter for a look-up.
struct Waiter<'a> {
    names: &'a Names,
    key: (String, u16),
    cell: Cell,
}

impl Names {
    /// The current addresses of the name, as far as they are known when this look-up ends.
    pub(super) async fn look_up(&self, host: &str, port: u16) -> Result<Addresses, NoConnection> {
        let key = (host.to_owned(), port);
        let cell = Arc::clone(self.lock().entry(key.clone()).or_default());
        let names = self;
        let waiter = Waiter { names, key, cell };
        let found = waiter.cell.get_or_init(|| resolve(host, port)).await;
        found.clone().map_err(NoConnection)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, u16), Cell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    /// An answer counts for those who waited for it, and an abandoned look-up is forgotten.
    fn drop(&mut self) {
        let mut under_way = self.names.lock();
        // The table's and this one.
        let is_last = Arc::strong_count(&self.cell) <= 2;
        let known = under_way.get(&self.key);
        if known.is_some_and(|known| Arc::ptr_eq(known, &self.cell))
            && (is_last || self.cell.initialized())
        {
            under_way.remove(&self.key);
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Addresses, String> {
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(format!("its name cannot be looked up: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_of_a_look_up() {
        let names = Names::default();
        let found = names.look_up("localhost", 80).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(names.look_up("no-such-host.invalid", 80).await.is_err());
        let broken_off = names.look_up("localhost", 81);
        drop(tokio::time::timeout(std::time::Duration::ZERO, broken_off).await);
        assert!(names.lock().is_empty());
    }
}
