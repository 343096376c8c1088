//! Server-sent events (WHATWG HTML, section 9.2.6), out of the pieces in which they come.

use std::time::Duration;

use crate::limits::WATCH_EVENT_BYTES;

/// The events of a stream, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come of a line.
    line: Vec<u8>,
    event: Event,
    /// The last id, also of an event without data.
    pub(super) last_id: Option<String>,
    /// The pause before the next connection that the server asks for.
    pub(super) retry: Option<Duration>,
}

/// An event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name.
    pub(super) name: String,
    /// Its data.
    pub(super) data: String,
}

impl Events {
    /// The events that are complete with these bytes; `None` if a line, or an event, is too long.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line).into_owned();
                events.extend(self.field(line.strip_suffix('\r').unwrap_or(&line)));
            } else {
                self.line.push(*byte);
            }
            if self.line.len() + self.event.data.len() > WATCH_EVENT_BYTES {
                return None;
            }
        }
        Some(events)
    }

    /// Takes a line; an empty one ends an event.
    fn field(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" => self.last_id = Some(value.to_owned()),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis),
            // A comment, or a field of a newer version.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "retry: 2000\n\nid: a-1\n\n: heartbeat\r\nevent: x\r\nid: a-2\r\ndata: 1\r\ndata:2\r\n\r\ndata\n\nevent: y\n\n";

    #[test]
    fn events_are_the_same_however_they_come() {
        for size in 1..TEXT.len() {
            let mut events = Events::default();
            let pieces = TEXT.as_bytes().chunks(size);
            let read: Vec<_> = pieces
                .flat_map(|piece| events.read(piece).unwrap())
                .collect();
            let expected = Event {
                name: "x".into(),
                data: "1\n2".into(),
            };
            assert_eq!(read, [expected], "{size}");
            assert_eq!(events.last_id.as_deref(), Some("a-2"));
            assert_eq!(events.retry, Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn what_does_not_end_is_given_up() {
        let mut events = Events::default();
        assert!(events.read(&vec![b'x'; WATCH_EVENT_BYTES + 1]).is_none());
        let mut events = Events::default();
        let lines = "data: 1234567\n".repeat(WATCH_EVENT_BYTES / 7);
        assert!(events.read(lines.as_bytes()).is_none());
    }
}
