//! The address of a hub's event endpoint: the hub answers a reader of `messages/events` with a redirect.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use drawspan_amqp::engine::{
    ClientSasl, Closed, Config, Connection, Credit, Event, LinkId, LinkOptions,
};
use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Symbol, Value};
use drawspan_hub::{Failure, FailureKind, HostName, WhichKey, sas};
use drawspan_net::{Clock, Ended, Handler, drive};
use tokio::sync::mpsc;

use super::EventEndpoint;
use crate::connection::device::named;
use crate::connection::{failure_of, failure_of_end};
use crate::limits;
use crate::service::ServiceConfig;

/// The address to read.
const ADDRESS: &str = "messages/events/$management";
const PLAIN: Symbol = Symbol::from_static("PLAIN");

/// Asks over a separate connection. The token goes by SASL PLAIN, as in Microsoft's samples: this is the only way in which a hub is
/// known to answer.
pub(in crate::service) async fn ask(
    config: &Arc<ServiceConfig>,
    clock: Clock,
) -> Result<EventEndpoint, Failure> {
    let limit = Duration::from_millis(limits::EVENT_REDIRECT_TIMEOUT_MS);
    let asked = tokio::time::timeout(limit, converse(config, clock)).await;
    asked.unwrap_or_else(|_| {
        let text = format!("{} did not say where its events are in time", config.host);
        Err(Failure::local(FailureKind::Timeout, &text))
    })
}

async fn converse(config: &ServiceConfig, clock: Clock) -> Result<EventEndpoint, Failure> {
    let host = &config.host;
    let stream = config
        .connector
        .connect_to(host.as_str(), config.transport)
        .await
        .map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))?;
    let engine = Config {
        container_id: format!("drawspan-events-{}", std::process::id()),
        hostname: Some(host.as_str().to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    };
    let sasl = ClientSasl {
        mechanism: PLAIN,
        initial_response: Some(credential(config)?),
    };
    let connection = Connection::client(engine, Some(sasl), clock.now());
    let mut asking = Asking {
        host: host.clone(),
        link: None,
        found: None,
    };
    // Held until the end: without it the connection closes at once.
    let (_commands, receiver) = mpsc::channel(1);
    let ended = drive(stream, connection, &mut asking, receiver, clock).await;
    asking.found.unwrap_or_else(|| Err(failure(ended, host)))
}

/// `NUL policy@sas.root.hub NUL token` (RFC 4616).
fn credential(config: &ServiceConfig) -> Result<Bytes, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let expiry = now.map_or(0, |now| now.as_secs()) + limits::TOKEN_LIFE_S;
    let resource = sas::telemetry_resource(&config.host);
    let credentials = &config.credentials;
    let token = credentials.policy_token_for(&resource, WhichKey::Primary, expiry);
    let (Some(policy), Some(token)) = (credentials.policy_name(), token) else {
        let text = "there is no policy key to sign with";
        return Err(Failure::local(FailureKind::Unauthorized, text));
    };
    let hub = config.host.hub_name();
    Ok(format!("\0{policy}@sas.root.{hub}\0{token}").into())
}

struct Asking {
    host: HostName,
    link: Option<LinkId>,
    found: Option<Result<EventEndpoint, Failure>>,
}

impl Asking {
    fn end(
        &mut self,
        connection: &mut Connection,
        found: Result<EventEndpoint, Failure>,
        now: Duration,
    ) {
        self.found.get_or_insert(found);
        connection.close(None, now);
    }
}

impl Handler for Asking {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => {
                let options = named(LinkOptions::receiver(
                    "drawspan-events",
                    ADDRESS,
                    Credit::Manual(0),
                ));
                let link = connection
                    .begin()
                    .and_then(|session| connection.attach(session, options));
                match link {
                    Ok(link) => self.link = Some(link),
                    Err(error) => {
                        let text = format!("the link could not be attached: {error}");
                        let failure = Failure::local(FailureKind::Protocol, &text);
                        self.end(connection, Err(failure), now);
                    }
                }
            }
            // The events are read right here.
            Event::Attached { link, .. } if self.link == Some(link) => {
                let endpoint = EventEndpoint {
                    host: self.host.clone(),
                    entity: "messages/events".to_owned(),
                };
                self.end(connection, Ok(endpoint), now);
            }
            Event::Detached { error, .. } | Event::SessionEnded { error, .. } => {
                let found = match &error {
                    Some(error) if error.condition == condition::LINK_REDIRECT => endpoint(error),
                    other => Err(failure_of(other.as_ref())),
                };
                self.end(connection, found, now);
            }
            _ => {}
        }
    }

    fn on_command(&mut self, _: &mut Connection, (): (), _: Duration) {}
}

/// The endpoint that a redirect names: `hostname`, and the entity in `address`
/// (`amqps://host:5671/entity/$management`).
fn endpoint(redirect: &Error) -> Result<EventEndpoint, Failure> {
    let senseless = || {
        let text = "the hub's redirect to its event endpoint makes no sense";
        Failure::local(FailureKind::Protocol, text)
    };
    let info = redirect.info.as_ref().ok_or_else(senseless)?;
    let text = |name: &str| info.get(name).and_then(Value::as_str);
    let host = text("hostname").ok_or_else(senseless)?;
    let address = text("address").ok_or_else(senseless)?;
    let path = address.split_once("://").map_or(address, |(_, rest)| rest);
    let mut segments = path.split('/').skip(1);
    let entity = segments
        .next()
        .filter(|entity| (1..=limits::EVENT_NAME_CHARS).contains(&entity.len()))
        .ok_or_else(senseless)?;
    Ok(EventEndpoint {
        host: HostName::parse(host).map_err(|_| senseless())?,
        entity: entity.to_owned(),
    })
}

fn failure(ended: Ended, host: &HostName) -> Failure {
    match ended {
        Ended::Closed(Closed::SaslRefused(_)) => {
            let text = format!("{host} refused the policy's name or key");
            Failure::local(FailureKind::Unauthorized, &text)
        }
        other => failure_of_end(other),
    }
}

#[cfg(test)]
mod tests {
    use drawspan_amqp::value::Map;

    use super::*;

    #[test]
    fn a_redirect_names_host_and_entity() {
        let check = |host: &str, address: &str, expected: Option<(&str, &str)>| {
            let mut info = Map::new();
            info.push(Symbol::from_static("hostname"), host);
            info.push(Symbol::from_static("address"), address);
            let error = Error::new(condition::LINK_REDIRECT, "elsewhere").with_info(info);
            let found = endpoint(&error).ok();
            let found = found
                .as_ref()
                .map(|found| (found.host.as_str(), found.entity.as_str()));
            assert_eq!(found, expected, "{address}");
        };
        let host = "ihsuprod.servicebus.windows.net";
        check(
            host,
            "amqps://ihsuprod.servicebus.windows.net:5671/iothub-ehub-a-1-2/$management",
            Some((host, "iothub-ehub-a-1-2")),
        );
        check(host, "amqps://x:5671/hub", Some((host, "hub")));
        check(host, "amqps://x:5671/", None);
        check(host, "amqps://x:5671", None);
        check("a b", "amqps://x:5671/hub", None);
    }
}
