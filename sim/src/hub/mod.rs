//! A hub as this side of the wire knows it: who may connect, who is connected, who is counted. It knows nothing of the
//! production code and counts for itself.

mod line;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use drawspan_hub::{AttemptId, Failure, HostName};

use crate::dice::Dice;
use crate::words;
use line::Line;

/// Number of a device.
pub(crate) type DeviceNo = u32;
/// Number of a connection, unique in a run.
pub(crate) type LineNo = u32;

/// What a device shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// Issued at that time, and renewed as [`valid_until`] says.
    pub(crate) issued: Duration,
    pub(crate) life: Duration,
    /// How far ahead the issuer's clock was, in seconds.
    pub(crate) skew_s: i64,
}

/// A session of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) line: LineNo,
    /// As the client names it.
    pub(crate) attempt: AttemptId,
}

/// What a hub knows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Registered {
    #[default]
    No,
    Disabled,
    Enabled,
}

/// Who holds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Ours(Session),
    Foreign,
}

/// Who is counted on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// One token for all.
    OfPolicy,
    /// Each device, until its token expires; so many at most.
    OfDevices(usize),
}

/// What is wrong with a hub at the moment.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    pub(crate) down: bool,
    /// It stays down.
    pub(crate) gone: bool,
    pub(crate) no_new_connections: bool,
    pub(crate) wrong_key: bool,
    /// Devices whose keys it does not take: those whose number has this remainder.
    pub(crate) wrong_keys: Option<(DeviceNo, DeviceNo)>,
    pub(crate) maintenance: bool,
    /// With what it asks to wait.
    pub(crate) throttle: Option<Option<u32>>,
    pub(crate) quota: bool,
    /// Of 100 attempts, how many fail.
    pub(crate) errors_percent: usize,
    pub(crate) slow: bool,
}

impl Troubles {
    /// Whether something is wrong for all devices.
    pub(crate) const fn is_any(&self) -> bool {
        self.down
            || self.gone
            || self.no_new_connections
            || self.wrong_key
            || self.maintenance
            || self.throttle.is_some()
            || self.quota
            || self.errors_percent > 0
            || self.slow
    }

    pub(crate) fn has_wrong_key(&self, device: DeviceNo) -> bool {
        let wrong = |(of, remainder): (DeviceNo, DeviceNo)| device % of == remainder;
        self.wrong_keys.is_some_and(wrong)
    }
}

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) host: HostName,
    pub(crate) troubles: Troubles,
    tokens: Tokens,
    devices: Vec<Registered>,
    holders: HashMap<DeviceNo, Holder>,
    lines: BTreeMap<LineNo, Line>,
}

/// Why a device was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    /// Whether it was its token that was not taken.
    pub(crate) of_token: bool,
    /// Whether it is one identity more than this hub accepts, and the refusal was not scripted.
    pub(crate) overfilled: bool,
}

impl Hub {
    pub(crate) fn new(host: HostName, tokens: Tokens, devices: Vec<Registered>) -> Self {
        Self {
            host,
            troubles: Troubles::default(),
            tokens,
            devices,
            holders: HashMap::new(),
            lines: BTreeMap::new(),
        }
    }

    /// A new connection; with a policy its token is looked at here.
    pub(crate) fn connect(
        &mut self,
        line: LineNo,
        token: Token,
        now: Duration,
    ) -> Result<(), Failure> {
        if self.troubles.down || self.troubles.no_new_connections {
            return Err(words::unreachable());
        }
        let policy = self.tokens == Tokens::OfPolicy;
        if policy && (self.troubles.wrong_key || has_expired(token, now)) {
            return Err(words::cbs(401, 401_003));
        }
        self.lines.insert(line, Line::default());
        Ok(())
    }

    /// A device presents its token, if it has its own, and attaches. Returns the earlier holder.
    pub(crate) fn open(
        &mut self,
        device: DeviceNo,
        session: Session,
        token: Token,
        now: Duration,
        dice: &mut Dice,
    ) -> Result<Option<Holder>, Refusal> {
        let Some(line) = self.lines.get_mut(&session.line) else {
            return Err(refusal(words::lost()));
        };
        if let Tokens::OfDevices(limit) = self.tokens {
            if self.troubles.wrong_key
                || self.troubles.has_wrong_key(device)
                || has_expired(token, now)
            {
                return Err(Refusal {
                    of_token: true,
                    ..refusal(words::cbs(401, 401_003))
                });
            }
            if self.troubles.errors_percent > 0 && dice.percent(self.troubles.errors_percent / 2) {
                return Err(refusal(words::cbs(500, 500_001)));
            }
            let injected = line.refuses_tokens;
            if !line.counts(device, now) && (injected || line.count(now) >= limit) {
                return Err(Refusal {
                    failure: words::token_limit(dice.percent(50)),
                    of_token: true,
                    overfilled: !injected,
                });
            }
            line.show(device, token, now);
        }
        let failure = match self.devices.get(device as usize).copied() {
            Some(Registered::Enabled) => self.trouble(dice),
            Some(Registered::Disabled) => Some(words::amqp("amqp:not-allowed", 403_012)),
            _ => Some(words::amqp("amqp:not-found", 404_001)),
        };
        if let Some(failure) = failure {
            return Err(refusal(failure));
        }
        if let Some(line) = self.lines.get_mut(&session.line) {
            line.attach(device, session.attempt, token, now);
        }
        let held = self.holders.insert(device, Holder::Ours(session));
        if let Some(Holder::Ours(held)) = held {
            self.detach(device, held, now);
        }
        Ok(held)
    }

    /// What keeps devices from attaching that may.
    fn trouble(&self, dice: &mut Dice) -> Option<Failure> {
        let troubles = &self.troubles;
        if troubles.maintenance {
            return Some(words::amqp("amqp:not-found", 404_012));
        }
        if troubles.quota {
            return Some(words::amqp("amqp:resource-limit-exceeded", 403_002));
        }
        if let Some(retry_after_s) = troubles.throttle
            && dice.percent(70)
        {
            return Some(words::throttled(retry_after_s));
        }
        dice.percent(troubles.errors_percent)
            .then(|| words::amqp("amqp:internal-error", 500_001))
    }

    /// The client ends a session.
    pub(crate) fn close(&mut self, device: DeviceNo, session: Session, now: Duration) {
        if self.holders.get(&device) == Some(&Holder::Ours(session)) {
            self.holders.remove(&device);
        }
        self.detach(device, session, now);
    }

    fn detach(&mut self, device: DeviceNo, session: Session, now: Duration) {
        if let Some(line) = self.lines.get_mut(&session.line) {
            line.detach(device, session.attempt, now);
        }
    }

    /// A connection is gone.
    pub(crate) fn drop_line(&mut self, number: LineNo) -> bool {
        let Some(line) = self.lines.remove(&number) else {
            return false;
        };
        for (device, attempt) in line.attached() {
            let session = Session {
                line: number,
                attempt,
            };
            if self.holders.get(&device) == Some(&Holder::Ours(session)) {
                self.holders.remove(&device);
            }
        }
        true
    }

    /// Somebody else takes a device. Says whose session that ended.
    pub(crate) fn steal(&mut self, device: DeviceNo, now: Duration) -> Option<Session> {
        if self.registered(device) != Registered::Enabled || self.troubles.down {
            return None;
        }
        let Some(Holder::Ours(session)) = self.holders.insert(device, Holder::Foreign) else {
            return None;
        };
        self.detach(device, session, now);
        Some(session)
    }

    /// Ends what a device has. Says what that was.
    pub(crate) fn eject(&mut self, device: DeviceNo, now: Duration) -> Option<Session> {
        let Some(Holder::Ours(session)) = self.holders.remove(&device) else {
            return None;
        };
        self.detach(device, session, now);
        Some(session)
    }

    pub(crate) fn registered(&self, device: DeviceNo) -> Registered {
        let known = self.devices.get(device as usize).copied();
        known.unwrap_or_default()
    }

    pub(crate) fn register(&mut self, device: DeviceNo, registered: Registered) {
        if let Some(known) = self.devices.get_mut(device as usize) {
            *known = registered;
        }
    }

    /// The session that a device has.
    pub(crate) fn session(&self, device: DeviceNo) -> Option<Session> {
        match self.holders.get(&device) {
            Some(Holder::Ours(session)) => Some(*session),
            _ => None,
        }
    }

    /// Devices that we hold.
    pub(crate) fn sessions(&self) -> usize {
        self.lines.values().map(Line::len).sum()
    }

    pub(crate) fn lines(&self) -> Vec<LineNo> {
        self.lines.keys().copied().collect()
    }

    pub(crate) fn stands(&self, line: LineNo) -> bool {
        self.lines.contains_key(&line)
    }

    /// From now on a connection takes no identity that it does not know.
    pub(crate) fn refuse_tokens(&mut self, line: LineNo) {
        if let Some(line) = self.lines.get_mut(&line) {
            line.refuses_tokens = true;
        }
    }

    /// Devices attached on a connection.
    pub(crate) fn attached(&self, line: LineNo) -> usize {
        self.lines.get(&line).map_or(0, Line::len)
    }
}

fn refusal(failure: Failure) -> Refusal {
    Refusal {
        failure,
        of_token: false,
        overfilled: false,
    }
}

/// Until when a token, renewed at 85 % of its life for as long as its device is there, is valid at the hub.
pub(crate) fn valid_until(token: Token, seen: Duration) -> Duration {
    let renewal = token.life * 85 / 100;
    let renewals = seen.saturating_sub(token.issued).as_nanos() / renewal.as_nanos().max(1);
    let renewed = token.issued + renewal * u32::try_from(renewals).unwrap_or(u32::MAX);
    let ahead = Duration::from_secs(token.skew_s.unsigned_abs());
    let until = renewed + token.life;
    if token.skew_s < 0 {
        until.saturating_sub(ahead)
    } else {
        until + ahead
    }
}

fn has_expired(token: Token, now: Duration) -> bool {
    valid_until(token, token.issued) <= now
}
