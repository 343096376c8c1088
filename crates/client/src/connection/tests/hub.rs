//! A scripted hub on the engine, which records what it sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{
    AcceptOptions, Config, Connection, Credit, DeliveryId, Event, LinkId, Outgoing, SessionId,
};
use drawspan_amqp::message::{Body, Message, Properties};
use drawspan_amqp::performative::{Attach, DeliveryState, DeliveryTag, Error, Role, condition};
use drawspan_amqp::value::{Map, Value};
use drawspan_net::{Clock, Handler, drive};
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc};

/// Longer, in virtual time, than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(3 * 3_600);

/// Credit that the hub gives on links to it by default.
const CREDIT: u32 = 100;

/// What the hub saw, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A link was asked for: `>` to the hub or `<` from it, then its address.
    Attach(String),
    /// A link went by the client's wish.
    Detach(String),
    /// A put-token, by its `name`.
    Token(String),
    /// Anything else that was sent: where to, and the message.
    Message(String, Box<Message>),
    /// What the client made of a delivery of the hub, and whether it settled it.
    Outcome(Option<DeliveryState>, bool),
    /// A session ended by the client's wish.
    End,
}

/// What the hub answers to a put-token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tokens {
    Take,
    Refuse(i32, &'static str),
    Ignore,
}

pub(crate) struct State {
    pub(crate) seen: Vec<Seen>,
    pub(crate) tokens: Tokens,
    /// The newest token, as it was sent.
    pub(crate) token: String,
    /// Credit of the `$cbs` link; it gives no credit while this is 0.
    pub(crate) cbs_credit: u32,
    pub(crate) telemetry_credit: u32,
    /// Credit of links by their names, as in [`Seen::Attach`], where it is another one.
    pub(crate) credits: Vec<(String, u32)>,
    /// Links whose name, as in [`Seen::Attach`], ends like this are refused with the condition.
    pub(crate) refuse: Vec<(String, Error)>,
    /// Links that end like this are never answered.
    pub(crate) ignore: Vec<String>,
    /// Devices whose links are taken only once their token was: as a hub does it that looks at one after the other.
    pub(crate) slow_tokens: bool,
    /// Whether an outcome that the client leaves open is settled, and how if not as it was said.
    pub(crate) settle: Option<Option<DeliveryState>>,
    pub(crate) links: Vec<(String, LinkId, SessionId)>,
    /// Mode in which the client receives, by link.
    pub(crate) attaches: Vec<Attach>,
    ended: bool,
    next_tag: u32,
    held: Vec<(LinkId, Message)>,
}

type Act = Box<dyn FnOnce(&mut State, &mut Connection) + Send>;

pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    acts: mpsc::UnboundedSender<Act>,
    commands: mpsc::Sender<()>,
}

impl Hub {
    /// Serves one end of a stream.
    pub(crate) fn start(stream: DuplexStream, clock: Clock) -> Self {
        let state = Arc::new(Mutex::new(State {
            seen: Vec::new(),
            tokens: Tokens::Take,
            token: String::new(),
            cbs_credit: CREDIT,
            telemetry_credit: CREDIT,
            credits: Vec::new(),
            refuse: Vec::new(),
            ignore: Vec::new(),
            slow_tokens: false,
            settle: Some(None),
            links: Vec::new(),
            attaches: Vec::new(),
            ended: false,
            next_tag: 0,
            held: Vec::new(),
        }));
        let changed = Arc::new(Notify::new());
        let (acts, queue) = mpsc::unbounded_channel();
        let (commands, receiver) = mpsc::channel(1_000);
        let mut head = Head {
            state: Arc::clone(&state),
            changed: Arc::clone(&changed),
            acts: queue,
        };
        let engine = Connection::server(Config::default(), Vec::new(), clock.now());
        tokio::spawn(async move {
            drive(stream, engine, &mut head, receiver, clock).await;
            head.state.lock().unwrap().ended = true;
            head.changed.notify_one();
        });
        Self {
            state,
            changed,
            acts,
            commands,
        }
    }

    /// Looks at the hub, or tells it how to behave.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap())
    }

    /// Waits until the hub has seen enough.
    pub(crate) async fn until<R>(&self, mut enough: impl FnMut(&State) -> Option<R>) -> R {
        let wait = async {
            loop {
                if let Some(found) = enough(&self.state.lock().unwrap()) {
                    return found;
                }
                self.changed.notified().await;
            }
        };
        let Ok(found) = tokio::time::timeout(PATIENCE, wait).await else {
            panic!("in vain: {:#?}", self.with(|state| state.seen.clone()));
        };
        found
    }

    /// Waits until the hub has seen `wanted` this often, and returns all it saw so far.
    pub(crate) async fn seen(&self, wanted: &Seen, times: usize) -> Vec<Seen> {
        self.until(|state| {
            let count = state.seen.iter().filter(|seen| *seen == wanted).count();
            (count >= times).then(|| state.seen.clone())
        })
        .await
    }

    /// The `number`th message that was sent to `to`, from 0.
    pub(crate) async fn message(&self, to: &str, number: usize) -> Message {
        self.until(|state| state.messages(to).nth(number).cloned())
            .await
    }

    /// Has the hub do something.
    pub(crate) fn act(&self, act: impl FnOnce(&mut State, &mut Connection) + Send + 'static) {
        assert!(self.acts.send(Box::new(act)).is_ok(), "the hub stands");
        self.commands.try_send(()).unwrap();
    }

    /// Sends a message over the newest link of that name.
    pub(crate) fn send(&self, link: &'static str, tag: &[u8], message: Message) {
        let tag = DeliveryTag::new(tag).unwrap();
        self.act(move |state, connection| {
            let (id, _) = state.link(link).unwrap_or_else(|| panic!("no link {link}"));
            let outgoing = Outgoing {
                tag,
                message_format: 0,
                settled: false,
                context: 0,
                payload: &message.to_bytes(),
            };
            connection.send(id, &outgoing).unwrap();
        });
    }

    /// Waits until the connection is over.
    pub(crate) async fn ended(&self) {
        self.until(|state| state.ended.then_some(())).await;
    }
}

impl State {
    pub(crate) fn link(&self, name: &str) -> Option<(LinkId, SessionId)> {
        let found = self.links.iter().rev().find(|(of, ..)| of == name);
        found.map(|(_, link, session)| (*link, *session))
    }

    pub(crate) fn messages(&self, to: &str) -> impl Iterator<Item = &Message> {
        self.seen.iter().filter_map(move |seen| match seen {
            Seen::Message(link, message) if link == to => Some(&**message),
            _ => None,
        })
    }

    pub(crate) fn attach(&self, name: &str) -> Option<&Attach> {
        self.attaches
            .iter()
            .rev()
            .find(|attach| name_of(attach) == name)
    }
}

struct Head {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    acts: mpsc::UnboundedReceiver<Act>,
}

impl Handler for Head {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, _now: Duration) {
        let mut state = self.state.lock().unwrap();
        match event {
            Event::AttachRequested {
                session,
                link,
                attach,
            } => state.on_attach(connection, session, link, *attach),
            Event::Delivery {
                link,
                delivery,
                settled,
                payload,
                ..
            } => state.on_delivery(connection, link, delivery, settled, &payload),
            Event::Outcome {
                link,
                delivery,
                state: outcome,
                settled,
                ..
            } => state.on_outcome(connection, link, delivery, outcome, settled),
            Event::Credit { .. } => state.answer_held(connection),
            Event::Detached { link, .. } => {
                let at = state.links.iter().position(|(_, of, _)| *of == link);
                if let Some(at) = at {
                    let (name, ..) = state.links.remove(at);
                    state.seen.push(Seen::Detach(name));
                }
            }
            Event::SessionEnded { session, .. } => {
                state.links.retain(|(_, _, of)| *of != session);
                state.seen.push(Seen::End);
            }
            _ => {}
        }
        self.changed.notify_one();
    }

    fn on_command(&mut self, connection: &mut Connection, (): (), _now: Duration) {
        let mut state = self.state.lock().unwrap();
        while let Ok(act) = self.acts.try_recv() {
            act(&mut state, connection);
        }
        self.changed.notify_one();
    }
}

fn name_of(attach: &Attach) -> String {
    let (arrow, address) = match attach.role {
        Role::Sender => (
            ">",
            attach.target.as_ref().and_then(|to| to.address.clone()),
        ),
        Role::Receiver => (
            "<",
            attach.source.as_ref().and_then(|from| from.address.clone()),
        ),
    };
    format!("{arrow}{}", address.unwrap_or_default())
}

impl State {
    fn on_attach(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        link: LinkId,
        attach: Attach,
    ) {
        let name = name_of(&attach);
        self.seen.push(Seen::Attach(name.clone()));
        self.attaches.push(attach);
        if self.ignore.iter().any(|end| name.ends_with(end)) {
            return;
        }
        let refused = self.refuse.iter().find(|(end, _)| name.ends_with(end));
        if let Some((_, error)) = refused {
            connection.refuse(link, error.clone()).unwrap();
            return;
        }
        if self.slow_tokens && name.ends_with("/events") {
            let error = Error::new(condition::UNAUTHORIZED_ACCESS, "no token yet");
            connection.refuse(link, error).unwrap();
            self.slow_tokens = false;
            return;
        }
        let other = self.credits.iter().find(|(of, _)| *of == name);
        let credit = match name.as_str() {
            _ if other.is_some() => other.map_or(0, |(_, credit)| *credit),
            _ if let Some((_, credit)) = other => *credit,
            ">$cbs" => self.cbs_credit,
            _ if name.ends_with("/events") => self.telemetry_credit,
            _ => CREDIT,
        };
        let options = AcceptOptions {
            credit: Some(Credit::Auto(credit)),
            ..AcceptOptions::default()
        };
        connection.accept(link, options).unwrap();
        self.links.push((name, link, session));
    }

    fn on_delivery(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        delivery: DeliveryId,
        settled: bool,
        payload: &Bytes,
    ) {
        let message = Message::decode(payload).unwrap();
        if !settled {
            connection
                .settle(link, delivery, DeliveryState::Accepted)
                .unwrap();
        }
        let named = self.links.iter().find(|(_, of, _)| *of == link);
        let name = named.map(|(name, ..)| name.clone()).unwrap_or_default();
        if name != ">$cbs" {
            self.seen.push(Seen::Message(name, Box::new(message)));
            return;
        }
        let properties = message.application_properties.as_ref().unwrap();
        let of = properties.get("name").and_then(Value::as_str).unwrap();
        self.seen.push(Seen::Token(of.to_owned()));
        if let Body::Value(Value::String(token)) = &message.body {
            self.token.clone_from(token);
        }
        let (status, text) = match self.tokens {
            Tokens::Take => (200, "OK"),
            Tokens::Refuse(status, text) => (status, text),
            Tokens::Ignore => return,
        };
        let (answers, _) = self.link("<$cbs").unwrap();
        self.held
            .push((answers, cbs_answer(&message, status, text)));
        self.answer_held(connection);
    }

    /// Takes a token that was left without an answer.
    pub(crate) fn answer_token(&mut self, connection: &mut Connection, message_id: &str) {
        let request = Message {
            properties: Some(Properties {
                message_id: Some(message_id.into()),
                ..Properties::default()
            }),
            ..Message::default()
        };
        let (answers, _) = self.link("<$cbs").unwrap();
        self.held.push((answers, cbs_answer(&request, 200, "OK")));
        self.answer_held(connection);
    }

    fn on_outcome(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        delivery: DeliveryId,
        outcome: Option<DeliveryState>,
        settled: bool,
    ) {
        self.seen.push(Seen::Outcome(outcome.clone(), settled));
        if let (false, Some(said)) = (settled, &self.settle) {
            let session = connection.session_of(link).unwrap();
            let state = said.clone().or(outcome);
            connection.settle_sent(session, delivery, state).unwrap();
        }
    }

    /// Answers to tokens wait for credit like anything else.
    fn answer_held(&mut self, connection: &mut Connection) {
        while let Some((link, message)) = self.held.first()
            && connection.credit(*link) > 0
        {
            let outgoing = Outgoing {
                tag: DeliveryTag::from_u32(self.next_tag),
                message_format: 0,
                settled: true,
                context: 0,
                payload: &message.to_bytes(),
            };
            self.next_tag += 1;
            connection.send(*link, &outgoing).unwrap();
            self.held.remove(0);
        }
    }
}

fn cbs_answer(request: &Message, status: i32, text: &str) -> Message {
    Message {
        properties: Some(Properties {
            correlation_id: request.properties.as_ref().unwrap().message_id.clone(),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (Value::from("status-code"), Value::Int(status)),
            (Value::from("status-description"), Value::from(text)),
        ])),
        ..Message::default()
    }
}
