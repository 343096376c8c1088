//! What a connection's task can be asked to do.

use std::str::FromStr;

use drawspan_hub_model::client_id::ClientId;
use tokio::sync::oneshot;

use super::report::{Frame, Report};

/// An order to a connection's task.
#[derive(Debug)]
pub enum Order {
    /// End a part of what the client has here.
    Cut(Cut),
    /// Accept nothing from a client any more.
    Stall(ClientId),
    /// Accept again what a stalled client sends.
    GoOn(ClientId),
    /// Describe the connection: its links and tokens.
    Report(oneshot::Sender<Report>),
    /// The last frames or packets, and note from now on which there are.
    Frames(oneshot::Sender<Vec<Frame>>),
}

/// A cut, and the client for which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Whose sessions and links are meant; `None` for all.
    pub client: Option<ClientId>,
    /// What ends.
    pub how: CutHow,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutHow {
    /// The connection, with the hub's code 400029 where the protocol can say so.
    Connection,
    /// The connection, as if the hub had nothing more to say: over AMQP the sessions, and a moment later the TCP connection.
    ShutDown,
    /// The AMQP sessions of the client.
    Session,
    /// AMQP links of the client.
    Link(Part),
}

/// The AMQP links that one thing goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Messages of the device.
    Telemetry,
    /// Messages to the device.
    C2d,
    /// Method calls and their answers.
    Methods,
    /// Method calls alone.
    MethodCalls,
    /// Answers to method calls alone.
    MethodAnswers,
    /// Requests about the twin, and their answers.
    Twin,
    /// Requests about the twin alone.
    TwinRequests,
    /// Answers about the twin alone.
    TwinAnswers,
    /// Requests to `$cbs`.
    CbsRequests,
    /// Answers of `$cbs`.
    CbsAnswers,
}

impl FromStr for Part {
    type Err = ();

    /// The parts that a user names.
    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "telemetry" => Self::Telemetry,
            "c2d" => Self::C2d,
            "methods" => Self::Methods,
            "twin" => Self::Twin,
            _ => return Err(()),
        })
    }
}
