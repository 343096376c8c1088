//! Orders of others: to cut a part of the connection, to stall clients, and to describe it.

use std::collections::BTreeSet;
use std::time::Duration;

use drawspan_amqp::engine::{Connection, LinkId, SessionId, TracedFrame};
use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::Symbol;
use drawspan_emulator_hub::connections::{Cut, CutHow, Frame, LinkLine, Order, Part, Report};
use drawspan_emulator_hub::refusals::Door;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::DisconnectReason;

use super::Head;
use crate::device_session::DeviceLink;
use crate::error::refusal;
use crate::limits;
use crate::links::Link;

const REASON: DisconnectReason = DisconnectReason::FaultInjected;

impl Head {
    /// Does what is ordered. Who ordered it may have given up.
    pub(super) fn obey(&mut self, connection: &mut Connection, order: Order, now: Duration) {
        match order {
            Order::Cut(cut) => self.cut(connection, &cut, now),
            Order::Stall(client) => {
                for session in self.sessions_of(connection, Some(&client)) {
                    // A session that has ended accepts nothing anyway.
                    let _ = connection.shut_window(session);
                }
                let why = "a fault is asked for";
                self.refused_with(Door::Session, &client.to_string(), "stall", why);
            }
            Order::GoOn(client) => {
                for session in self.sessions_of(connection, Some(&client)) {
                    let _ = connection.open_window(session);
                }
            }
            Order::Report(answer) => _ = answer.send(self.report(connection)),
            Order::Frames(answer) => {
                let unix_ms = self.shared.faults.now_unix_ms();
                let frame = |traced: &TracedFrame| Frame {
                    unix_ms: Frame::time(unix_ms, now.saturating_sub(traced.at)),
                    sent: traced.sent,
                    channel: Some(traced.channel),
                    bytes: traced.bytes,
                    text: traced.text.clone(),
                };
                let _ = answer.send(connection.traced().map(frame).collect());
                connection.trace();
            }
        }
    }

    fn cut(&mut self, connection: &mut Connection, cut: &Cut, now: Duration) {
        let of = cut.client.as_ref();
        match cut.how {
            CutHow::Connection => {
                let error = cut_error(condition::CONNECTION_FORCED);
                self.closing = Some(REASON);
                self.refused(Door::Protocol, "", &error);
                connection.close(Some(error), now);
            }
            CutHow::ShutDown => {
                self.end_sessions(connection, None);
                self.sever_soon(now);
            }
            CutHow::Session => self.end_sessions(connection, of),
            CutHow::Link(part) => {
                let links = self.links.iter();
                let meant = links.filter(|(_, link)| is_part(link, part, of));
                let meant: Vec<LinkId> = meant.map(|(id, _)| id).collect();
                for id in meant {
                    let error = cut_error(condition::DETACH_FORCED);
                    self.end_link(connection, id, REASON, error);
                }
            }
        }
    }

    /// Ends the sessions on which a client has links; with `None`, those of all clients.
    fn end_sessions(&mut self, connection: &mut Connection, of: Option<&ClientId>) {
        let sessions = self.sessions_of(connection, of);
        for (id, link) in self.links.iter() {
            let session = connection.session_of(id);
            if link.of_client().is_some() && session.is_some_and(|it| sessions.contains(&it)) {
                self.ending.insert(id, REASON);
            }
        }
        for session in sessions {
            let error = cut_error(condition::DETACH_FORCED);
            self.refused(Door::Session, "", &error);
            let _ = connection.end(session, Some(error));
        }
    }

    /// Ends the stream in a moment, when the end of the sessions is said. There is no close: Node's client answers one by detaching its
    /// links first, for whose answers it waits for ever, and the suites want every client to come again.
    fn sever_soon(&mut self, now: Duration) {
        self.sever_at = Some(now + Duration::from_millis(limits::CUT_LINGER_MS));
    }

    /// The sessions on which a client has links; with `None`, those of all clients.
    fn sessions_of(&self, connection: &Connection, client: Option<&ClientId>) -> Vec<SessionId> {
        let links = self.links.iter();
        let own = links.filter(|(_, link)| {
            let owner = link.of_client();
            owner.is_some_and(|(_, owner)| client.is_none_or(|of| *of == owner.client))
        });
        let mut seen = BTreeSet::new();
        own.filter_map(|(id, _)| connection.session_of(id))
            .filter(|session| seen.insert(session.channel()))
            .collect()
    }

    fn report(&self, connection: &Connection) -> Report {
        let links = self.links.iter().map(|(id, link)| {
            let owner = link.of_client();
            LinkLine {
                kind: match &owner {
                    Some((kind, _)) => format!("{kind:?}"),
                    None => kind_of(link).to_owned(),
                },
                client: owner.map(|(_, owner)| owner.client),
                credit: Some(connection.credit(id)),
            }
        });
        Report {
            links: links.collect(),
            tokens: self.access.lines(),
        }
    }
}

fn cut_error(condition: Symbol) -> Error {
    let code = ErrorCode::CONNECTION_FORCEFULLY_CLOSED_ON_FAULT_INJECTION;
    refusal(condition, code, "a fault is asked for")
}

/// Whether a link is of such a part, and of the client if one is meant. The links of `$cbs` are those of the connection.
fn is_part(link: &Link, part: Part, of: Option<&ClientId>) -> bool {
    let Some((kind, owner)) = link.of_client() else {
        return match part {
            Part::CbsRequests => matches!(link, Link::CbsRequests),
            Part::CbsAnswers => matches!(link, Link::CbsAnswers),
            _ => false,
        };
    };
    let is_meant = match part {
        Part::Telemetry => kind == DeviceLink::Telemetry,
        Part::C2d => kind == DeviceLink::Messages,
        Part::MethodCalls => kind == DeviceLink::MethodCalls,
        Part::MethodAnswers => kind == DeviceLink::MethodAnswers,
        Part::Methods => matches!(kind, DeviceLink::MethodCalls | DeviceLink::MethodAnswers),
        Part::TwinRequests => kind == DeviceLink::TwinRequests,
        Part::TwinAnswers => kind == DeviceLink::TwinAnswers,
        Part::Twin => matches!(kind, DeviceLink::TwinRequests | DeviceLink::TwinAnswers),
        Part::CbsRequests | Part::CbsAnswers => false,
    };
    is_meant && of.is_none_or(|of| *of == owner.client)
}

/// What a link is that is no client's.
const fn kind_of(link: &Link) -> &'static str {
    match link {
        Link::CbsRequests => "CbsRequests",
        Link::CbsAnswers => "CbsAnswers",
        Link::ManagementRequests => "ManagementRequests",
        Link::ManagementAnswers => "ManagementAnswers",
        Link::Events(_) => "Events",
        Link::ServiceSend => "ServiceSend",
        Link::RegistrationRequests(_) => "RegistrationRequests",
        Link::RegistrationAnswers => "RegistrationAnswers",
        // Feedback and file notifications.
        Link::LockedDelivery(_) => "ServiceReceive",
        _ => "",
    }
}
