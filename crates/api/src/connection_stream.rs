//! `GET /connectionStatus/stream`: changes of devices' connections as they happen, as server-sent events (WHATWG HTML, section 9.2).
//!
//! All listeners read one ring of recent changes. The bridge keeps only a position in that ring for each listener. A listener that is too
//! slow skips changes, and gets an event `missed` with their number.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use drawspan_api_types::connection_change::{ConnectionEvent, MissedChanges};
use drawspan_gateway::{ConnectionFeed, ConnectionListener, Effect, Gateway, Prefix, Published};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::time::sleep;

use super::client_disconnect::ClientDisconnect;
use super::lasting::Lasting;
use super::listeners::Place;
use super::request::limit_of;
use super::request::{Bare, HandlerResult, Shared};
use crate::limits::{LISTENER_HEARTBEAT_MS, LISTENER_RETRY_MS, STREAM_CHANGES_AT_ONCE};

/// The header in which a listener that comes back says how far it had come.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Follows changes until the listener hangs up or the server stops.
pub(super) async fn stream<D: Gateway>(
    extract::State(state): Shared<D>,
    request: Bare,
) -> HandlerResult {
    let prefix = request.query().prefix()?;
    let within = limit_of(&request).map(|grant| grant.prefix.clone());
    let place = state.listeners.admit(Effect::caller())?;
    let feed = state.devices.connection_feed();
    let from = From::read(request.headers(), feed.run());
    let events = Events {
        greeting: Some(from.greeting(&feed)),
        listener: feed.listen(from.number()),
        feed,
        prefix,
        within: within.unwrap_or_default(),
        patience: request.extension(),
        place,
    };
    let body = unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), events))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    let media = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Lasting);
    Ok(response)
}

/// Where a listener wants to begin.
#[derive(Debug, PartialEq)]
enum From {
    /// With what comes.
    Now,
    /// With the change of that number, of this process.
    Number(u64),
    /// It has listened to another process, or says what no process has told it.
    Elsewhere,
}

impl From {
    fn read(headers: &HeaderMap, run: u64) -> Self {
        let Some(id) = headers.get(LAST_EVENT_ID) else {
            return Self::Now;
        };
        let parts = id.to_str().ok().and_then(|id| id.split_once('-'));
        let parsed = parts.and_then(|(of, number)| {
            let of = u64::from_str_radix(of, 16).ok()?;
            (of == run).then_some(number.parse().ok()?)
        });
        parsed.map_or(Self::Elsewhere, Self::Number)
    }

    /// The number to begin with; `None` for what comes.
    const fn number(&self) -> Option<u64> {
        match self {
            Self::Now => None,
            Self::Number(number) => Some(*number),
            // All that there is came after what it has seen.
            Self::Elsewhere => Some(0),
        }
    }

    /// The first lines.
    fn greeting(&self, feed: &ConnectionFeed) -> Bytes {
        let mut text = format!("retry: {LISTENER_RETRY_MS}\n\n");
        if *self == Self::Elsewhere {
            let detail = "The bridge has restarted since, or the id is not one of its own: changes before its start are not known.";
            push(&mut text, "missed", None, &MissedChanges::new(None, detail));
        }
        if *self == Self::Now {
            // An id without data is no event, and lets a listener that is cut off at once go on from here.
            let next = feed.listen(None).next();
            let _ = write!(text, "id: {}\n\n", id(feed.run(), next));
        }
        text.into()
    }
}

/// The events of one listener.
struct Events {
    greeting: Option<Bytes>,
    feed: Arc<ConnectionFeed>,
    listener: ConnectionListener,
    /// What it asks for.
    prefix: Prefix,
    /// What its key is for.
    within: Prefix,
    patience: Option<ClientDisconnect>,
    place: Place,
}

impl Events {
    /// The next lines; `None` at the end. Must be polled in the task of the connection.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            let patience = self.patience.as_ref();
            if patience.is_some_and(ClientDisconnect::is_over) || self.place.is_ended() {
                return None;
            }
            if let Some(lines) = self.read() {
                return Some(lines);
            }
            let heartbeat = Duration::from_millis(LISTENER_HEARTBEAT_MS);
            tokio::select! {
                () = ClientDisconnect::over(self.patience.as_ref()) => return None,
                () = self.place.ended() => return None,
                goes_on = self.listener.changed() => if !goes_on {
                    return None;
                },
                () = sleep(heartbeat) => {
                    // The id is no event, but what the listener begins with if it comes back.
                    let id = id(self.feed.run(), self.listener.next());
                    return Some(format!(": heartbeat\nid: {id}\n\n").into());
                }
            }
        }
    }

    /// The lines of what has come since.
    fn read(&mut self) -> Option<Bytes> {
        let (prefix, within) = (&self.prefix, &self.within);
        let passage = self.feed.read(
            &mut self.listener,
            STREAM_CHANGES_AT_ONCE,
            |device, assigned| {
                prefix.covers(device) && within.covers(device) && within.covers(assigned)
            },
        );
        let mut text = String::new();
        if passage.missed > 0 {
            let detail = "The listener was too slow, or away for too long: these changes are forgotten. They are counted over all devices.";
            let missed = MissedChanges::new(Some(passage.missed), detail);
            push(&mut text, "missed", None, &missed);
        }
        for published in &passage.changes {
            let Published { number, .. } = published;
            let id = id(self.feed.run(), number + 1);
            let event = ConnectionEvent::new(published);
            push(&mut text, "connectionStatus", Some(&id), &event);
        }
        (!text.is_empty()).then(|| text.into())
    }
}

/// The id of an event: where a listener goes on after it.
fn id(run: u64, next: u64) -> String {
    format!("{run:016x}-{next}")
}

/// Adds an event. Its data is one line: JSON writes line breaks as escapes.
fn push(text: &mut String, event: &str, id: Option<&str>, data: &impl Serialize) {
    let data = serde_json::to_string(data).unwrap_or_default();
    let _ = writeln!(text, "event: {event}");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "data: {data}\n\n");
}

#[cfg(test)]
mod tests;
