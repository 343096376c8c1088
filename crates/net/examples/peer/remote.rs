//! A connection that a script drives step by step: commands go in as closures, events come out in order.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::Symbol;
use drawspan_amqp::engine::{
    ClientSasl, CommandError, Connection, Event, LinkId, LinkOptions, SessionId,
};
use drawspan_amqp::performative::Error;
use drawspan_net::{Clock, Ended, Handler, drive};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::common::{Failure, config};

/// No step of the protocol takes longer.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce(&mut Connection, Duration) + Send>;

/// A connection to the mirror.
pub(crate) struct Remote {
    jobs: mpsc::Sender<Job>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Events that were not requested yet.
    kept: VecDeque<Event>,
    task: JoinHandle<Ended>,
}

struct Forward(mpsc::UnboundedSender<Event>);

impl Handler for Forward {
    type Command = Job;

    fn on_event(&mut self, _: &mut Connection, event: Event, _: Duration) {
        // The script may be over already.
        let _ = self.0.send(event);
    }

    fn on_command(&mut self, connection: &mut Connection, job: Job, now: Duration) {
        job(connection, now);
    }
}

impl Remote {
    /// Connects, with SASL ANONYMOUS or without SASL.
    pub(crate) async fn connect(address: &str, with_sasl: bool) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("{address}: {error}"))?;
        let sasl = with_sasl.then(|| ClientSasl {
            mechanism: Symbol::from_static("ANONYMOUS"),
            initial_response: None,
        });
        let clock = Clock::start();
        let connection = Connection::client(config("drawspan-driver"), sasl, clock.now());
        let (jobs, commands) = mpsc::channel(16);
        let (sender, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            drive(stream, connection, &mut Forward(sender), commands, clock).await
        });
        Ok(Self {
            jobs,
            events,
            kept: VecDeque::new(),
            task,
        })
    }

    /// Runs a command on the connection.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Connection, Duration) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection, now| {
            let _ = answer.send(command(connection, now));
        });
        let over = || "the connection is over".to_owned();
        self.jobs.send(job).await.map_err(|_| over())?;
        answered.await.map_err(|_| over())
    }

    /// The same for a command that may be refused.
    pub(crate) async fn command<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Connection) -> Result<T, CommandError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.run(|connection, _| command(connection))
            .await?
            .map_err(|error| error.to_string())
    }

    /// The first event that `pick` takes; earlier ones are kept for others.
    pub(crate) async fn wait<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let found = self.kept.iter().enumerate();
        let found = found.filter_map(|(position, event)| Some((position, pick(event)?)));
        if let Some((position, value)) = found.take(1).last() {
            self.kept.remove(position);
            return Ok(value);
        }
        let next = async {
            loop {
                let event = self.events.recv().await?;
                if let Some(value) = pick(&event) {
                    return Some(value);
                }
                self.kept.push_back(event);
            }
        };
        match tokio::time::timeout(STEP_TIMEOUT, next).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(format!(
                "the connection ended before {what}; {:?}",
                self.kept
            )),
            Err(_) => Err(format!("waited too long for {what}; {:?}", self.kept)),
        }
    }

    pub(crate) async fn begin(&mut self) -> Result<SessionId, Failure> {
        let session = self.command(Connection::begin).await?;
        let began = |event: &Event| match event {
            Event::SessionBegan {
                session: found,
                by_peer: false,
            } if *found == session => Some(()),
            _ => None,
        };
        self.wait("begin", began).await?;
        Ok(session)
    }

    pub(crate) async fn attach(
        &mut self,
        session: SessionId,
        options: LinkOptions,
    ) -> Result<LinkId, Failure> {
        let link = self
            .command(move |connection| connection.attach(session, options))
            .await?;
        let attached = |event: &Event| match event {
            Event::Attached { link: found, .. } if *found == link => Some(()),
            _ => None,
        };
        self.wait("attach", attached).await?;
        Ok(link)
    }

    /// Detaches and closes a link.
    pub(crate) async fn detach(&mut self, link: LinkId) -> Result<(), Failure> {
        self.command(move |connection| connection.detach(link, true, None))
            .await?;
        match self.detached(link).await? {
            None => Ok(()),
            Some(error) => Err(format!("detached with {error}")),
        }
    }

    /// Waits until a link is closed. Its pending events are dropped.
    pub(crate) async fn detached(&mut self, link: LinkId) -> Result<Option<Error>, Failure> {
        let gone = |event: &Event| match event {
            Event::Detached {
                link: found,
                closed: true,
                error,
                ..
            } if *found == link => Some(error.clone()),
            _ => None,
        };
        self.wait("detach", gone).await
    }

    /// Closes and waits until all is over.
    pub(crate) async fn close(mut self) -> Result<Ended, Failure> {
        self.run(|connection, now| connection.close(None, now))
            .await?;
        self.wait("close", |event| {
            matches!(event, Event::Closed(_)).then_some(())
        })
        .await?;
        self.task.await.map_err(|error| error.to_string())
    }
}
