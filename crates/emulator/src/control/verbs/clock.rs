//! `clock`: the emulator's time.

use std::time::Duration;

use axum::extract::State;
use axum::routing::on;
use drawspan_emulator_hub::clock::{Clock, ClockError};
use drawspan_hub::time::UtcTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Shape};
use crate::control::problem::Problem;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::control::words;
use crate::https::Shared;

const PATH: &str = "/emulator/clock";
const SCALE: &str = "/emulator/clock/scale";
const ADVANCE: &str = "/emulator/clock/advance";
const RESET: &str = "/emulator/clock/reset";

pub(super) const CLOCK: Verb = Verb {
    name: "clock",
    usages: &[
        ("clock", "print the emulator's time, UTC"),
        (
            "clock scale N",
            "have the time run N times as fast as the machine's, 0.01 to 1000",
        ),
        (
            "clock advance 61m",
            "skip a time; clients may be silent for as long as before",
        ),
        ("clock reset", "have the machine's time and speed again"),
    ],
    operations: &[
        Operation {
            method: Method::Get,
            path: PATH,
            about: "The emulator's time.",
            query: &[],
            body: None,
            answer: Shape::of::<Time>(),
            handler: |method| on(method, read),
        },
        Operation {
            method: Method::Put,
            path: SCALE,
            about: "Has the emulator's time run faster or slower than the machine's.",
            query: &[],
            body: Some(Shape::of::<Scale>()),
            answer: Shape::of::<Time>(),
            handler: |method| on(method, scale),
        },
        Operation {
            method: Method::Post,
            path: ADVANCE,
            about: "Skips a time: tokens, locks and messages are that much older. How long clients may be silent stays as it is.",
            query: &[],
            body: Some(Shape::of::<Step>()),
            answer: Shape::of::<Time>(),
            handler: |method| on(method, advance),
        },
        Operation {
            method: Method::Post,
            path: RESET,
            about: "Has the machine's time of day and speed again. What has run out stays so.",
            query: &[],
            body: None,
            answer: Shape::of::<Time>(),
            handler: |method| on(method, reset),
        },
    ],
    parse,
};

/// The emulator's time.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ClockTime)]
#[serde(rename_all = "camelCase")]
struct Time {
    /// UTC, ISO 8601.
    time: String,
    /// The same in Unix milliseconds.
    unix_ms: u64,
    /// How many times as fast as the machine's it runs.
    scale: f64,
    /// By how many milliseconds it is ahead of the machine's; less than 0 when it is behind.
    ahead_ms: i64,
}

/// A speed.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ClockScale)]
#[serde(deny_unknown_fields)]
struct Scale {
    /// 0.01 to 1000.
    scale: f64,
}

/// A time to skip.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ClockStep)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Milliseconds.
    ms: u64,
}

fn parse(words: &[&str]) -> Result<Call, InvalidWords> {
    let call = |method, path| Call::new(method, path, |time: &Time| time.time.clone());
    Ok(match words {
        [] => call(Method::Get, PATH),
        ["reset"] => call(Method::Post, RESET),
        ["scale", number] => {
            let scale = number
                .parse()
                .map_err(|_| InvalidWords::new(format!("`{number}` is no number")))?;
            call(Method::Put, SCALE).with_body(&Scale { scale })
        }
        ["advance", step] => {
            let step = words::duration(step)?;
            let ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
            call(Method::Post, ADVANCE).with_body(&Step { ms })
        }
        words => return Err(InvalidWords::unknown(words)),
    })
}

/// `GET /emulator/clock`
async fn read(State(shared): State<Shared>) -> Json<Time> {
    Json(Time::of(&shared.control.clock))
}

/// `PUT /emulator/clock/scale`
async fn scale(
    State(shared): State<Shared>,
    Json(Scale { scale }): Json<Scale>,
) -> Result<Json<Time>, Problem> {
    change(&shared.control.clock, |clock| clock.set_scale(scale))
}

/// `POST /emulator/clock/advance`
async fn advance(
    State(shared): State<Shared>,
    Json(Step { ms }): Json<Step>,
) -> Result<Json<Time>, Problem> {
    let step = Duration::from_millis(ms);
    change(&shared.control.clock, |clock| clock.advance(step))
}

/// `POST /emulator/clock/reset`
async fn reset(State(shared): State<Shared>) -> Result<Json<Time>, Problem> {
    change(&shared.control.clock, Clock::reset)
}

fn change(
    clock: &Clock,
    change: impl FnOnce(&Clock) -> Result<(), ClockError>,
) -> Result<Json<Time>, Problem> {
    change(clock).map_err(|error| match error {
        ClockError::Scale { .. } | ClockError::TooFar => Problem::invalid(error.to_string()),
        ClockError::Manual => Problem::conflict(error.to_string()),
    })?;
    let time = Time::of(clock);
    tracing::info!(time = %time.time, scale = time.scale, "the emulator's clock was changed");
    Ok(Json(time))
}

impl Time {
    fn of(clock: &Clock) -> Self {
        let (unix_ms, machine) = (clock.unix_ms(), clock.machine_unix_ms());
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Self {
            time: UtcTime::from_unix_ms(signed(unix_ms)).to_string(),
            unix_ms,
            scale: clock.scale(),
            ahead_ms: signed(unix_ms).saturating_sub(signed(machine)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::control::tests::{ctl, ctl_json, emulator};

    #[tokio::test]
    async fn the_clock_is_read_and_changed() {
        let folder = tempfile::tempdir().unwrap();
        let running = emulator(folder.path(), &[]).await;
        let at = |line: &'static str| async {
            let time = ctl_json(folder.path(), line).await;
            let ahead = time["aheadMs"].as_i64().unwrap();
            (ahead, time["scale"].as_f64().unwrap())
        };
        assert_eq!(at("clock").await, (0, 1.0));
        assert_eq!(at("clock advance 61m").await, (3_660_000, 1.0));
        let (ahead, scale) = at("clock scale 60").await;
        assert!(ahead >= 3_660_000 && scale == 60.0);
        assert!(at("clock").await.0 > ahead, "it runs");
        assert_eq!(at("clock reset").await, (0, 1.0));
        let text = ctl(folder.path(), "clock").await.unwrap();
        assert!(text.ends_with("Z\n") && text.len() == 29, "{text}");
        for (line, expected) in [
            ("clock scale 0", "0.01 to 1000"),
            ("clock scale 1001", "0.01 to 1000"),
            ("clock advance 9999d", "at most 3660 days"),
        ] {
            let error = ctl(folder.path(), line).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!error.is_usage());
        }
        for line in ["clock scale fast", "clock advance", "clock advance 5"] {
            assert!(ctl(folder.path(), line).await.unwrap_err().is_usage());
        }
        running.shutdown().await;
    }
}
