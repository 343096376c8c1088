//! Deeds at random: what callers want, and what goes wrong.

use std::time::Duration;

use drawspan_fleet::limits::MIDNIGHT_DOUBT;

use super::{Event, World};
use crate::check::Violation;
use crate::dps::{Enrolment, HubNo};
use crate::fault::Fault;
use crate::hub::{DeviceNo, Registered};
use crate::process::{PATIENCE, ToClient};
use crate::scenario::Profile;
use crate::words;

/// What ends after a while.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    AtHub(HubNo, Fault),
    AtDps(Fault),
    Skew,
    /// A device is welcome again.
    Shut(HubNo, DeviceNo),
}

impl World {
    /// Something happens, and something else some time later.
    pub(super) fn deed(&mut self) -> Result<(), Violation> {
        if self.calm {
            return Ok(());
        }
        let gap = self.dice.between(Duration::ZERO, 2 * self.scenario.gap);
        self.agenda.set(self.now + gap, Event::Deed);
        if self.dice.percent(self.scenario.faults_percent) {
            match self.dice.pick(&self.scenario.faults) {
                Some(fault) => self.fault(fault),
                None => Ok(()),
            }
        } else {
            self.wish()
        }
    }

    fn device(&mut self) -> DeviceNo {
        self.dice.below(self.scenario.devices) as DeviceNo
    }

    /// What callers want.
    fn wish(&mut self) -> Result<(), Violation> {
        // Often all at once, as after a restart of theirs.
        let many = if self.dice.percent(5) {
            self.dice.below(self.scenario.devices).min(500)
        } else {
            1
        };
        let what = self.dice.below(100);
        for _ in 0..many {
            let device = self.device();
            self.process
                .trace(|| format!("wish {what} for device {device}"));
            let now = self.now;
            let waits = match what {
                0..60 => {
                    self.troubled.asks(now);
                    self.process.used(device, now)?
                }
                60..85 => {
                    self.process.subscribe(device, what < 75, now)?;
                    None
                }
                85..92 => {
                    self.process.resync(device, now)?;
                    None
                }
                92..96 => {
                    self.process.release(device, now)?;
                    None
                }
                _ if self.scenario.profile == Profile::Dps => {
                    self.troubled.asks(now);
                    let stays = self.dice.percent(80);
                    self.process.ask_to_register(device, stays, now)?
                }
                _ => None,
            };
            if let Some(caller) = waits {
                self.agenda.set(now + PATIENCE, Event::GiveUp(caller));
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.process.tally.note(&format!("{fault:?}"));
        self.process.trace(|| format!("{fault:?}"));
        let hub = self.dice.below(self.hubs.len());
        // Of some devices' keys others know nothing.
        if fault != Fault::WrongKeys {
            self.troubled.hub(hub, self.now);
        }
        match fault {
            Fault::HubDown
            | Fault::NoNewConnections
            | Fault::Throttle
            | Fault::Quota
            | Fault::Maintenance
            | Fault::ServerErrors
            | Fault::WrongKey
            | Fault::WrongKeys
            | Fault::Slow => self.hub_trouble(hub, fault),
            Fault::ConnectionDrop => {
                let lines = self.hubs[hub].lines();
                if let Some(line) = self.dice.pick(&lines) {
                    self.break_line(hub, line);
                }
            }
            Fault::HubGone => self.hub_gone(hub),
            Fault::TokenLimit => {
                let lines = self.hubs[hub].lines();
                if let Some(line) = self.dice.pick(&lines) {
                    self.hubs[hub].refuse_tokens(line);
                }
            }
            Fault::DeviceDrop => self.device_drop(hub),
            Fault::Thief => {
                let device = self.device();
                let until = self.now + self.dice.seconds(1.0, 7_200.0);
                self.thief(device, until);
            }
            Fault::Disable | Fault::Delete => self.shut(fault),
            Fault::Move => {
                let device = self.device();
                self.move_device(device, hub);
            }
            Fault::MoveAll => self.move_all(hub),
            Fault::Skew => self.skew(),
            Fault::DpsDown
            | Fault::DpsThrottle
            | Fault::DpsErrors
            | Fault::DpsWrongKey
            | Fault::DpsSlow => self.dps_trouble(fault),
            Fault::Restart => {
                self.troubled.all(self.now);
                for (hub, line) in self.process.restart(self.now) {
                    self.hubs[hub].drop_line(line);
                }
            }
        }
        Ok(())
    }

    fn lasts(&mut self, trouble: Trouble) {
        let length = self.dice.seconds(0.5, 7_200.0);
        self.agenda.set(self.now + length, Event::Calm(trouble));
    }

    fn hub_trouble(&mut self, number: HubNo, fault: Fault) {
        let retry_after_s = self.retry_after_s();
        let percent = self.dice.within(10, 100);
        let every = self.dice.within(2, 20) as DeviceNo;
        let hub = &mut self.hubs[number];
        let lines = hub.lines();
        let troubles = &mut hub.troubles;
        match fault {
            Fault::HubDown => {
                troubles.down = true;
                for line in lines {
                    self.break_line(number, line);
                }
            }
            Fault::NoNewConnections => troubles.no_new_connections = true,
            Fault::Throttle => troubles.throttle = Some(retry_after_s),
            Fault::Maintenance => troubles.maintenance = true,
            Fault::ServerErrors => troubles.errors_percent = percent,
            Fault::WrongKey => troubles.wrong_key = true,
            Fault::WrongKeys => {
                // Those that are connected get to know it.
                troubles.wrong_keys = Some((every, 0));
                for device in (0..self.scenario.devices as DeviceNo).step_by(every as usize) {
                    self.refuse(number, device);
                }
            }
            Fault::Slow => troubles.slow = true,
            _ => {
                troubles.quota = true;
                let unix_s = self.scenario.epoch_unix_s + self.now.as_secs();
                let left = Duration::from_secs(86_400 - unix_s % 86_400);
                let over = Event::Calm(Trouble::AtHub(number, fault));
                self.agenda.set(self.now + left, over);
                return;
            }
        }
        self.lasts(Trouble::AtHub(number, fault));
    }

    fn retry_after_s(&mut self) -> Option<u32> {
        let asks = self.dice.percent(50);
        asks.then(|| self.dice.magnitude(1.0, 600.0) as u32)
    }

    fn dps_trouble(&mut self, fault: Fault) {
        self.troubled.dps(self.now);
        let retry_after_s = self.retry_after_s();
        let percent = self.dice.within(10, 100);
        let troubles = &mut self.dps.troubles;
        match fault {
            Fault::DpsDown => troubles.down = true,
            Fault::DpsThrottle => troubles.throttle = Some(retry_after_s),
            Fault::DpsErrors => troubles.errors_percent = percent,
            Fault::DpsWrongKey => troubles.wrong_key = true,
            _ => troubles.slow = true,
        }
        self.lasts(Trouble::AtDps(fault));
    }

    /// A device's key is not taken any more.
    fn refuse(&mut self, hub: HubNo, device: DeviceNo) {
        self.troubled.device(device, self.now);
        if let Some(session) = self.hubs[hub].eject(device, self.now) {
            let failure = words::amqp("amqp:unauthorized-access", 401_003);
            let news = ToClient::Lost(session.attempt, failure);
            self.tell(self.hubs[hub].troubles.slow, session.line, news);
        }
    }

    fn device_drop(&mut self, hub: HubNo) {
        let device = self.device();
        self.troubled.device(device, self.now);
        let failure = match self.dice.below(4) {
            0 => words::lost(),
            1 => words::amqp("amqp:link:detach-forced", 400_029),
            2 => words::amqp("amqp:internal-error", 500_001),
            _ => words::amqp("amqp:unauthorized-access", 401_003),
        };
        if let Some(session) = self.hubs[hub].eject(device, self.now) {
            let news = ToClient::Lost(session.attempt, failure);
            self.tell(self.hubs[hub].troubles.slow, session.line, news);
        }
    }

    pub(super) fn thief(&mut self, device: DeviceNo, until: Duration) {
        if self.calm {
            return;
        }
        self.troubled.device(device, self.now);
        for hub in 0..self.hubs.len() {
            if let Some(session) = self.hubs[hub].steal(device, self.now) {
                self.process.tally.note("stolen");
                self.stolen(self.hubs[hub].troubles.slow, session);
            }
        }
        let next = self.now + self.dice.seconds(1.0, 100.0);
        if next < until {
            self.agenda.set(next, Event::Thief(device, until));
        }
    }

    /// A device is disabled or deleted, here and in half of the cases at DPS.
    fn shut(&mut self, fault: Fault) {
        let device = self.device();
        let enrolment = self.dps.enrolment(device);
        let hub = enrolment.hub;
        let (registered, failure) = match fault {
            Fault::Disable => (
                Registered::Disabled,
                words::amqp("amqp:not-allowed", 403_012),
            ),
            _ => (Registered::No, words::amqp("amqp:not-found", 404_001)),
        };
        self.leave_hub(hub, device, registered, failure);
        if self.dice.percent(50) {
            let enabled = false;
            self.dps.enrol(device, Enrolment { hub, enabled });
        }
        if self.dice.percent(70) {
            self.lasts(Trouble::Shut(hub, device));
        }
    }

    fn leave_hub(
        &mut self,
        hub: HubNo,
        device: DeviceNo,
        registered: Registered,
        failure: drawspan_hub::Failure,
    ) {
        self.troubled.device(device, self.now);
        self.hubs[hub].register(device, registered);
        if let Some(session) = self.hubs[hub].eject(device, self.now) {
            let slow = self.hubs[hub].troubles.slow;
            self.tell(slow, session.line, ToClient::Lost(session.attempt, failure));
        }
    }

    /// DPS assigns a device elsewhere.
    fn move_device(&mut self, device: DeviceNo, to: HubNo) {
        let Enrolment { hub, enabled } = self.dps.enrolment(device);
        let gone = self.hubs[to].troubles.gone;
        if self.scenario.profile != Profile::Dps || hub == to || gone {
            return;
        }
        self.dps.enrol(device, Enrolment { hub: to, enabled });
        let failure = words::amqp("amqp:not-found", 404_001);
        self.leave_hub(hub, device, Registered::No, failure);
        // Often the device is connected before it gets the report.
        if enabled && self.dice.percent(50) {
            self.hubs[to].register(device, Registered::Enabled);
        }
    }

    fn move_all(&mut self, from: HubNo) {
        let to = self.dice.below(self.hubs.len());
        for device in 0..self.scenario.devices as DeviceNo {
            if self.dps.enrolment(device).hub == from {
                self.move_device(device, to);
            }
        }
    }

    /// One of several hubs, one time.
    fn hub_gone(&mut self, gone: HubNo) {
        let another = self.hubs.iter().any(|hub| hub.troubles.gone);
        let hubs = self.hubs.len();
        if self.scenario.profile != Profile::Dps || hubs < 2 || another {
            return;
        }
        self.hub_trouble(gone, Fault::HubDown);
        self.hubs[gone].troubles.gone = true;
        for device in 0..self.scenario.devices as DeviceNo {
            let Enrolment { hub, enabled } = self.dps.enrolment(device);
            if hub == gone {
                let hub = (gone + self.dice.within(1, hubs - 1)) % hubs;
                self.troubled.device(device, self.now);
                self.dps.enrol(device, Enrolment { hub, enabled });
            }
        }
    }

    fn skew(&mut self) {
        let far = if self.dice.percent(50) {
            300.0
        } else {
            20_000.0
        };
        let seconds = self.dice.magnitude(1.0, far) as i64;
        let skew_s = if self.dice.percent(50) {
            seconds
        } else {
            -seconds
        };
        self.process.skew_s = skew_s;
        self.troubled.all(self.now);
        self.clock_was_off |= skew_s.unsigned_abs() >= MIDNIGHT_DOUBT.as_secs();
        self.clock_was_ahead |= Self::is_far_ahead(skew_s);
        self.lasts(Trouble::Skew);
    }

    /// The keys that a hub did not take are good again.
    fn well_again(&mut self, hub: HubNo) {
        for device in 0..self.scenario.devices as DeviceNo {
            if self.hubs[hub].troubles.has_wrong_key(device) {
                self.troubled.device(device, self.now);
            }
        }
    }

    /// A trouble is over.
    pub(super) fn end(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::AtHub(hub, fault) => {
                match fault {
                    Fault::WrongKeys => self.well_again(hub),
                    _ => self.troubled.hub(hub, self.now),
                }
                let troubles = &mut self.hubs[hub].troubles;
                match fault {
                    Fault::HubDown => troubles.down = troubles.gone,
                    Fault::NoNewConnections => troubles.no_new_connections = false,
                    Fault::Throttle => troubles.throttle = None,
                    Fault::Maintenance => troubles.maintenance = false,
                    Fault::ServerErrors => troubles.errors_percent = 0,
                    Fault::WrongKey => troubles.wrong_key = false,
                    Fault::WrongKeys => troubles.wrong_keys = None,
                    Fault::Slow => troubles.slow = false,
                    _ => troubles.quota = false,
                }
            }
            Trouble::AtDps(fault) => {
                self.troubled.dps(self.now);
                let troubles = &mut self.dps.troubles;
                match fault {
                    Fault::DpsDown => troubles.down = false,
                    Fault::DpsThrottle => troubles.throttle = None,
                    Fault::DpsErrors => troubles.errors_percent = 0,
                    Fault::DpsWrongKey => troubles.wrong_key = false,
                    _ => troubles.slow = false,
                }
            }
            Trouble::Skew => {
                self.process.skew_s = 0;
                self.troubled.all(self.now);
            }
            Trouble::Shut(hub, device) => {
                self.troubled.device(device, self.now);
                self.dps.enrol(
                    device,
                    Enrolment {
                        enabled: true,
                        ..self.dps.enrolment(device)
                    },
                );
                // It may belong elsewhere by now.
                if self.dps.enrolment(device).hub == hub {
                    self.hubs[hub].register(device, Registered::Enabled);
                }
            }
        }
    }
}
