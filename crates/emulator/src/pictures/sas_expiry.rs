//! What becomes of connections when tokens expire.

use std::time::Duration;

use clap::Args;
use drawspan_chart::{Axis, Lane, Mark, Span, Timeline, Tone};
use drawspan_hub::ErrorCode;
use drawspan_hub::limits::{SAS_CONNECTED_GRACE_S, SAS_GRACE_S};
use drawspan_hub_model::session_end::{DisconnectReason, Protocol};
use drawspan_hub_model::token_life::{Presentation, SasGrace};

use super::PictureError;

/// When SDKs that renew do so, percent of a token's life.
const RENEWED_AT: u64 = 85;
/// Where the clock stands at the left edge, Unix seconds.
const START_S: u64 = 1_800_000_000;

/// Flags of the picture.
#[derive(Args, Clone, Debug)]
pub(super) struct SasExpiryArgs {
    /// Life of a token, minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    life: u64,
    /// Time after its expiry in which a token is still taken from a new connection, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = SAS_GRACE_S, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace_connect: u64,
    /// Time after its expiry in which a token still holds a connection, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = SAS_CONNECTED_GRACE_S, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace_live: u64,
}

impl SasExpiryArgs {
    /// The picture: two lives of a token, and what follows them.
    pub(super) fn draw(&self) -> Result<Timeline, PictureError> {
        let cut = self.cut_at(0);
        let end = minutes(cut) * 1.95;
        Ok(Timeline {
            title: format!("Tokens of {} minutes", self.life),
            time: Axis::to("time [min]", end),
            lanes: vec![
                self.not_renewed("MQTT, not renewed", Protocol::Mqtts, end),
                self.reconnecting(end),
                self.not_renewed("AMQP, not renewed", Protocol::Amqps, end),
                self.renewing(end),
                self.old_token(end),
            ],
        })
    }

    /// A device that comes back with a new token when it is cut.
    fn not_renewed(&self, name: &str, protocol: Protocol, end: f64) -> Lane {
        let mut lane = lane(name);
        let mut from = 0;
        while minutes(from) < end {
            let (expiry, cut) = (from + self.life_s(), self.cut_at(from));
            lane.spans.push(span(from, expiry, Tone::Good, "connected"));
            lane.spans
                .push(span(expiry, cut, Tone::Doubtful, "expired"));
            let closed = DisconnectReason::TokenExpired.code(protocol);
            let codes = [Some(ErrorCode::UNAUTHORIZED), closed];
            let codes: Vec<String> = codes.iter().flatten().map(ToString::to_string).collect();
            let what = if protocol.is_mqtt() {
                "connection"
            } else {
                "links"
            };
            let label = format!("{}: {what} cut, connects again", codes.join(", "));
            lane.marks.push(mark(cut, &label));
            from = cut;
        }
        shown_until(lane, end)
    }

    /// A device over MQTT, which cannot renew within a connection.
    fn reconnecting(&self, end: f64) -> Lane {
        let mut lane = lane("MQTT, new connection in time");
        let mut from = 0;
        while minutes(from) < end {
            let next = from + self.life_s() * RENEWED_AT / 100;
            lane.spans.push(span(from, next, Tone::Good, "connected"));
            lane.marks
                .push(mark(next, "new connection with a new token"));
            from = next;
        }
        shown_until(lane, end)
    }

    /// A device over AMQP that puts a new token in time.
    fn renewing(&self, end: f64) -> Lane {
        let mut lane = lane("AMQP, token renewed");
        let mut from = 0;
        while minutes(from) < end {
            from += self.life_s() * RENEWED_AT / 100;
            lane.marks.push(mark(from, "new token, same links"));
        }
        let last = self.cut_at(from);
        lane.spans.push(span(0, last, Tone::Good, "connected"));
        shown_until(lane, end)
    }

    /// Attempts to connect with the first token.
    fn old_token(&self, end: f64) -> Lane {
        let mut lane = lane("connecting with the old token");
        let expiry = self.life_s();
        let refused = (0..).find(|second| !self.presented(*second).takes(START_S + expiry));
        let refused = refused.unwrap_or(expiry);
        lane.spans = vec![
            span(0, expiry, Tone::Good, "accepted"),
            span(expiry, refused, Tone::Doubtful, "expired"),
            span(refused, u64::MAX, Tone::Bad, "refused"),
        ];
        lane.marks = vec![mark(refused, &ErrorCode::UNAUTHORIZED.to_string())];
        shown_until(lane, end)
    }

    const fn life_s(&self) -> u64 {
        self.life * 60
    }

    const fn presented(&self, second: u64) -> Presentation {
        Presentation {
            machine_unix_ms: (START_S + second) * 1_000,
            elapsed: Duration::from_secs(second),
            grace: SasGrace {
                connect_s: self.grace_connect,
                live_s: self.grace_live,
            },
        }
    }

    /// When a connection is cut that was made in that second, with a new token.
    fn cut_at(&self, second: u64) -> u64 {
        let expiry = START_S + second + self.life_s();
        self.presented(second).holds_until(expiry).as_secs()
    }
}

fn lane(name: &str) -> Lane {
    Lane {
        name: name.to_owned(),
        spans: Vec::new(),
        marks: Vec::new(),
    }
}

fn span(from_s: u64, to_s: u64, tone: Tone, label: &str) -> Span {
    Span {
        from: minutes(from_s),
        to: minutes(to_s),
        label: label.to_owned(),
        tone,
    }
}

fn mark(at_s: u64, label: &str) -> Mark {
    Mark {
        at: minutes(at_s),
        label: label.to_owned(),
    }
}

/// Leaves out what is beyond the right edge.
fn shown_until(mut lane: Lane, end: f64) -> Lane {
    lane.spans
        .retain(|span| span.from < end && span.from < span.to);
    for span in &mut lane.spans {
        span.to = span.to.min(end);
    }
    lane.marks.retain(|mark| mark.at < end);
    lane
}

fn minutes(seconds: u64) -> f64 {
    seconds as f64 / 60.0
}
