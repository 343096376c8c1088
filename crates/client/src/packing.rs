//! Which connection takes the next device.

use crate::limits::DEVICES_PER_CONNECTION;

/// A connection of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey(pub u32);

/// Devices per connection. Connections are filled one after the other, so that 50,000 devices need 51.
#[derive(Debug, Default)]
pub struct Packing {
    /// By key; none once the connection is gone.
    devices: Vec<Option<usize>>,
}

impl Packing {
    /// The connection for one more device, and whether it must be opened first.
    pub fn place(&mut self) -> (ConnectionKey, bool) {
        let roomy = self
            .devices
            .iter()
            .position(|count| count.is_some_and(|count| count < DEVICES_PER_CONNECTION));
        let index = roomy.unwrap_or_else(|| {
            let free = self
                .devices
                .iter()
                .position(Option::is_none)
                .unwrap_or(self.devices.len());
            match self.devices.get_mut(free) {
                Some(slot) => *slot = Some(0),
                None => self.devices.push(Some(0)),
            }
            free
        });
        if let Some(Some(count)) = self.devices.get_mut(index) {
            *count += 1;
        }
        (
            ConnectionKey(u32::try_from(index).unwrap_or(u32::MAX)),
            roomy.is_none(),
        )
    }

    /// A device left a connection. True when it was the last one.
    pub fn leave(&mut self, key: ConnectionKey) -> bool {
        match self.devices.get_mut(key.0 as usize) {
            Some(Some(count)) => {
                *count = count.saturating_sub(1);
                *count == 0
            }
            _ => false,
        }
    }

    /// A connection is gone, with all its devices.
    pub fn remove(&mut self, key: ConnectionKey) {
        if let Some(slot) = self.devices.get_mut(key.0 as usize) {
            *slot = None;
        }
    }

    /// Connections that stand or are being opened.
    pub fn connections(&self) -> usize {
        self.devices.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_thousand_devices_need_51_connections() {
        let mut packing = Packing::default();
        let opened = (0..50_000).filter(|_| packing.place().1).count();
        assert_eq!((opened, packing.connections()), (51, 51));
    }

    #[test]
    fn room_is_used_again_and_gone_connections_are_replaced() {
        let mut packing = Packing::default();
        for _ in 0..DEVICES_PER_CONNECTION {
            assert_eq!(packing.place().0, ConnectionKey(0));
        }
        assert_eq!(packing.place(), (ConnectionKey(1), true));
        assert!(!packing.leave(ConnectionKey(0)));
        assert_eq!(packing.place(), (ConnectionKey(0), false));
        packing.remove(ConnectionKey(0));
        assert_eq!(packing.place(), (ConnectionKey(1), false));
        assert!(!packing.leave(ConnectionKey(1)));
        assert!(packing.leave(ConnectionKey(1)));
        assert!(
            !packing.leave(ConnectionKey(7)),
            "an unknown connection is nobody's last"
        );
    }
}
