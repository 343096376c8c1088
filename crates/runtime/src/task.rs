//! The task that owns the controller: it handles inputs and time one after the other, and executes actions.
//!
//! One task is enough: messages do not pass through it, and other inputs (a device that connects or ends) cost it microseconds.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::controller::{ConnectionEvent, SessionEvent};
use drawspan_client::{DeviceSession, Inbox, Incoming, Status, StatusMailbox};
use drawspan_fleet::{Now, ServiceId};
use drawspan_hub::AttemptId;
use drawspan_net::Clock;
use drawspan_net::Mailbox;
use drawspan_webhooks::Done;
use tokio::sync::mpsc;

use super::executor::Executor;
use super::platform::{Controller, Input};
use super::request::Request;
use super::routes::Route;
use super::{unix, views};
use crate::limits;

/// The channels from which the task takes its inputs.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) requests: mpsc::Receiver<Request>,
    /// Of connections.
    pub(super) mailbox: Arc<StatusMailbox>,
    /// Events of devices.
    pub(super) inbox: Arc<Inbox>,
    /// To deliver an event.
    pub(super) attempts: Arc<Mailbox<Done>>,
    /// Results of tasks that the executor spawned. It never awaits them; they arrive as completions.
    pub(super) completions: Arc<Mailbox<Input>>,
    pub(super) clock: Clock,
}

/// The controller and what its actions are done with.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) controller: Controller,
    pub(super) executor: Executor,
    pub(super) clock: Clock,
}

/// Runs until every [`Gateway`](super::Gateway) is gone.
pub(super) async fn run(mut task: Task, sources: Sources) {
    let Sources {
        mut requests,
        mailbox,
        inbox,
        attempts,
        completions,
        clock,
    } = sources;
    let mut batch = Vec::new();
    loop {
        let due = task.run();
        tokio::select! {
            taken = requests.recv_many(&mut batch, limits::REQUEST_BATCH) => {
                if taken == 0 {
                    return;
                }
                for request in batch.drain(..) {
                    task.request(request);
                }
            }
            news = mailbox.take() => {
                for status in news {
                    task.status(status);
                }
            }
            incoming = inbox.take() => {
                for incoming in incoming {
                    task.arrived(incoming);
                }
            }
            completions = completions.take() => {
                for input in completions {
                    task.handle(input);
                }
            }
            attempts = attempts.take() => {
                for done in attempts {
                    task.handle(Input::Answered {
                        attempt: done.attempt,
                        answer: done.answer,
                        body: done.body,
                    });
                }
            }
            () = tokio::time::sleep_until(clock.instant(due)) => {}
        }
    }
}

impl Task {
    /// Does what is due and says when to come back.
    fn run(&mut self) -> Duration {
        self.executor.webhooks.reap();
        loop {
            let due = self.controller.run(self.now(), unix());
            if !self.act() {
                return due;
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.controller.handle(input, self.now());
        self.act();
    }

    /// Does everything that the controller wants done. False if that is nothing.
    fn act(&mut self) -> bool {
        let mut any = false;
        while let Some(action) = self.controller.action() {
            any = true;
            if let Some(input) = self.executor.execute(action) {
                self.controller.handle(input, self.now());
            }
        }
        any
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Ask(ask) => self.handle(Input::Request(ask)),
            Request::Unanswered(hub, failure) => {
                self.handle(Input::Unanswered(hub, failure));
            }
            Request::MessageQuota(hub, refused) => {
                self.handle(Input::MessageQuota(hub, refused));
            }
            Request::MessagesTaken(device, serial) => {
                self.handle(Input::MessagesTaken { device, serial });
            }
            Request::MessagesRefused(device, serial, failure) => {
                self.handle(Input::MessagesRefused {
                    device,
                    serial,
                    failure,
                });
            }
            Request::Look(look) => {
                let per_device = self.executor.credentials.is_per_device();
                views::look(&self.controller, look, per_device, self.clock.now());
            }
        }
    }

    /// A connection said something.
    fn status(&mut self, status: Status) {
        let input = match status {
            Status::ConnectionReady(pool, key) => Input::Connection {
                hub: ServiceId::of(pool),
                key,
                event: ConnectionEvent::Ready,
            },
            Status::ConnectionEnded(pool, key, failure) => {
                let hub = ServiceId::of(pool);
                self.executor.connections.remove(&(hub, key));
                Input::Connection {
                    hub,
                    key,
                    event: ConnectionEvent::Ended(failure),
                }
            }
            Status::Opened(attempt, session) => {
                let Some(event) = self.opened(attempt, session) else {
                    return;
                };
                of(attempt, event)
            }
            Status::TokenRefused(attempt, failure) => {
                of(attempt, SessionEvent::TokenRefused(failure))
            }
            Status::OpenFailed(attempt, failure) | Status::Lost(attempt, failure) => {
                of(attempt, SessionEvent::Ended(failure))
            }
            Status::Closed(attempt) => of(attempt, SessionEvent::Closed),
            Status::Linked(attempt, links) => of(attempt, SessionEvent::Linked(links)),
            Status::LinkRefused(attempt, link, failure) => {
                of(attempt, SessionEvent::LinkRefused(link, failure))
            }
        };
        self.handle(input);
    }

    /// The route to a device that was opened. `None` if its attempt is over.
    fn opened(
        &self,
        attempt: AttemptId,
        session: DeviceSession,
    ) -> Option<SessionEvent<super::platform::Runtime>> {
        let fleet = self.controller.fleet();
        if !fleet.is_current(attempt) {
            return None;
        }
        let member = fleet.context(attempt.device)?.place?;
        let connection = self.executor.connection(member.hub, member.connection)?;
        let paces = Arc::clone(&self.controller.pool(member.hub)?.paces);
        let route = Arc::new(Route::new(
            self.controller.identity(attempt.device)?,
            connection.clone(),
            session,
            attempt.serial,
            (member.hub, paces),
        ));
        Some(SessionEvent::Opened { session, route })
    }

    /// A device received something. It may come before the news that the device is open.
    fn arrived(&mut self, incoming: Incoming) {
        let input = match incoming {
            Incoming::Method {
                attempt,
                session,
                request,
                name,
                payload,
            } => of(
                attempt,
                SessionEvent::Method {
                    session,
                    request,
                    name,
                    payload,
                },
            ),
            Incoming::C2d {
                attempt,
                session,
                delivery,
                message,
            } => {
                let share = self.executor.inbox.hold(message.size_bytes());
                of(
                    attempt,
                    SessionEvent::C2d {
                        session,
                        delivery,
                        message,
                        share,
                    },
                )
            }
            Incoming::Desired { attempt, body, .. } => of(attempt, SessionEvent::Desired(body)),
            Incoming::DesiredMissed { attempt } => of(attempt, SessionEvent::DesiredMissed),
        };
        self.handle(input);
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.clock.now(),
            unix_s: unix().as_secs(),
        }
    }
}

const fn of(attempt: AttemptId, event: SessionEvent<super::platform::Runtime>) -> Input {
    Input::Session { attempt, event }
}
