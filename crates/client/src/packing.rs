//! Which connection takes the next device.

use crate::limits::DEVICES_PER_CONNECTION;

/// A connection of a pool. Never used again for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey(pub u32);

/// Devices per connection. Connections are filled one after the other, so that 50,000 devices need 51.
#[derive(Debug, Default)]
pub struct Packing {
    connections: Vec<(ConnectionKey, usize)>,
    next: u32,
}

impl Packing {
    /// The connection for one more device; a new one when all are full.
    pub fn place(&mut self) -> ConnectionKey {
        if let Some((key, count)) = self
            .connections
            .iter_mut()
            .find(|(_, count)| *count < DEVICES_PER_CONNECTION)
        {
            *count += 1;
            return *key;
        }
        let key = ConnectionKey(self.next);
        self.next = self.next.wrapping_add(1);
        self.connections.push((key, 1));
        key
    }

    /// A device left a connection. True when it was the last one: the connection takes no more.
    pub fn leave(&mut self, key: ConnectionKey) -> bool {
        let Some((_, count)) = self.connections.iter_mut().find(|(of, _)| *of == key) else {
            return false;
        };
        *count = count.saturating_sub(1);
        let last = *count == 0;
        if last {
            self.remove(key);
        }
        last
    }

    /// The hub takes no more devices on a connection.
    pub fn fill(&mut self, key: ConnectionKey) {
        if let Some((_, count)) = self.connections.iter_mut().find(|(of, _)| *of == key) {
            *count = (*count).max(DEVICES_PER_CONNECTION);
        }
    }

    /// A connection is gone, with all its devices.
    pub fn remove(&mut self, key: ConnectionKey) {
        self.connections.retain(|(of, _)| *of != key);
    }

    /// Connections that stand or are being opened.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_thousand_devices_need_51_connections() {
        let mut packing = Packing::default();
        let last = (0..50_000).map(|_| packing.place()).last();
        assert_eq!((last, packing.connections()), (Some(ConnectionKey(50)), 51));
    }

    #[test]
    fn room_is_used_again_and_keys_are_not() {
        let mut packing = Packing::default();
        for _ in 0..DEVICES_PER_CONNECTION {
            assert_eq!(packing.place(), ConnectionKey(0));
        }
        assert_eq!(packing.place(), ConnectionKey(1));
        assert!(!packing.leave(ConnectionKey(0)));
        assert_eq!(packing.place(), ConnectionKey(0));
        assert!(packing.leave(ConnectionKey(1)));
        packing.remove(ConnectionKey(0));
        assert_eq!(packing.place(), ConnectionKey(2));
        packing.fill(ConnectionKey(2));
        assert_eq!(packing.place(), ConnectionKey(3));
        assert!(
            !packing.leave(ConnectionKey(1)),
            "a connection that is gone is nobody's last"
        );
    }
}
