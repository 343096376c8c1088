//! Counts of what a connection holds, for tests.

use drawspan_amqp::engine::Connection;

use super::handler::DeviceHandler;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) devices: usize,
    pub(super) opening: usize,
    pub(super) ending: usize,
    pub(super) retired: usize,
    pub(super) detaching: usize,
    pub(super) queued: usize,
    pub(super) waiting: usize,
    pub(super) sends: usize,
    pub(super) tokens: usize,
    pub(super) sessions: usize,
    pub(super) links: usize,
}

impl DeviceHandler {
    pub(super) fn counts(&self, connection: &Connection) -> Counts {
        Counts {
            devices: self.devices.iter().flatten().count(),
            opening: self.opening,
            ending: self.ending,
            retired: self.retired.len(),
            detaching: self.detaching.len(),
            queued: self.queued.len(),
            waiting: self.waiting,
            sends: self.sends.len(),
            tokens: self.cbs.as_ref().map_or(0, |cbs| cbs.under_way()),
            sessions: connection.session_count(),
            links: connection.link_count(),
        }
    }
}
