//! The token of a service's connection, sent once the `$cbs` links are attached, and renewed.

use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, DeliveryId, LinkId};
use drawspan_hub::{Failure, FailureKind};

use crate::connection::cbs::{Cbs, Subject, TokenResponse};
use crate::connection::renewal_schedule::{Renewal, Step};
use crate::limits;

const LIFE: Duration = Duration::from_secs(limits::TOKEN_LIFE_S);

/// The `$cbs` links and the token. After an error from any of its functions the connection cannot be used any more.
#[derive(Debug, Default)]
pub(super) struct ServiceToken {
    cbs: Option<Cbs>,
    renewal: Renewal,
}

impl ServiceToken {
    /// The connection is open: attaches the links.
    pub(super) fn start(
        &mut self,
        connection: &mut Connection,
        now: Duration,
    ) -> Result<(), Failure> {
        let cbs = Cbs::start(connection, now);
        let failed = |error| protocol(&format!("the $cbs links could not be attached: {error}"));
        self.cbs = Some(cbs.map_err(failed)?);
        Ok(())
    }

    /// Whether a link belongs to the pair.
    pub(super) fn owns(&self, link: LinkId) -> bool {
        self.cbs.as_ref().is_some_and(|cbs| cbs.owns(link))
    }

    /// One of its links was attached.
    pub(super) fn on_attached(&mut self, link: LinkId) {
        if let Some(cbs) = &mut self.cbs {
            cbs.on_attached(link);
        }
    }

    /// Sends a token that is asked for, if there is credit and room for it. The first one is asked for when the links are there.
    pub(super) fn advance(
        &mut self,
        connection: &mut Connection,
        sign: impl FnOnce() -> Result<String, Failure>,
        now: Duration,
    ) -> Result<(), Failure> {
        let Some(cbs) = &mut self.cbs else {
            return Ok(());
        };
        if cbs.has_come_up(connection) {
            cbs.ask(Subject::Policy, now);
        }
        let Some((subject, until)) = cbs.next_to_send(connection) else {
            return Ok(());
        };
        let sent = sign().and_then(|token| {
            let sent = cbs.send(connection, subject, &token, until);
            sent.map_err(|error| protocol(&format!("the token could not be sent: {error}")))
        });
        sent.or_else(|failure| self.failed(failure, now))
    }

    /// Something came over one of its links. True if the peer took a token.
    pub(super) fn on_delivery(
        &mut self,
        connection: &mut Connection,
        (delivery, settled): (DeliveryId, bool),
        payload: &Bytes,
        now: Duration,
    ) -> Result<bool, Failure> {
        let Some(cbs) = &mut self.cbs else {
            return Ok(false);
        };
        match cbs.on_answer(connection, delivery, settled, payload) {
            TokenResponse::Stray => Ok(false),
            TokenResponse::Unreadable(text) => Err(protocol(&text)),
            TokenResponse::To(_, Err(failure)) => self.failed(failure, now).map(|()| false),
            TokenResponse::To(_, Ok(asked)) => {
                self.renewal.granted(asked, LIFE, SEED);
                Ok(true)
            }
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let cbs = self.cbs.as_ref().and_then(Cbs::deadline);
        let renewal = self.renewal.deadline(LIFE);
        [cbs, renewal].into_iter().flatten().min()
    }

    /// Does what is due. [`advance`](Self::advance) must follow.
    pub(super) fn on_deadline(&mut self, now: Duration) -> Result<(), Failure> {
        let Some(cbs) = &mut self.cbs else {
            return Ok(());
        };
        if cbs.is_late(now) {
            return Err(not_answered("the $cbs links were not taken in time"));
        }
        if cbs.next_overdue(now).is_some() {
            self.failed(not_answered("put-token was not answered in time"), now)?;
        }
        match self.renewal.step(now, LIFE) {
            Step::Nothing => {}
            Step::Ask => {
                if let Some(cbs) = &mut self.cbs {
                    cbs.ask(Subject::Policy, now);
                }
            }
            Step::End(failure) => return Err(failure),
        }
        Ok(())
    }

    /// A token was refused. While an earlier one is valid, the next one is requested later.
    fn failed(&mut self, failure: Failure, now: Duration) -> Result<(), Failure> {
        self.renewal.failed(failure, now, LIFE, SEED)
    }
}

/// A process has one token of this kind, so its renewal need not be spread.
const SEED: u64 = 0;

fn not_answered(text: &str) -> Failure {
    Failure::local(FailureKind::Timeout, text)
}

fn protocol(text: &str) -> Failure {
    Failure::local(FailureKind::Protocol, text)
}
