//! Logs go to stderr. They hold no keys, tokens or payloads.
//!
//! A separate thread writes them, from a bounded queue: if a terminal or collector does not read, lines are lost, but nothing
//! blocks.

use std::io::{self, IsTerminal, Write as _};
use std::panic;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use drawspan_hub::UtcTime;
use serde_json::json;

use super::term;

/// Environment variable with a filter like `info` or `drawspan=debug`.
const FILTER: &str = "DRAWSPAN_LOG";
/// How the targets of our own lines begin.
const OURS: &str = "drawspan";
/// Environment variable: `json` for one JSON object per line, `text` for lines to read.
const FORMAT: &str = "DRAWSPAN_LOG_FORMAT";

/// The target of lines that are written outside the log.
const TARGET: &str = "drawspan::cli";

/// Whether everything on the log's stream is JSON, including lines that are written outside the log.
pub(super) fn is_json() -> bool {
    std::env::var_os(FORMAT).is_some_and(|format| format == "json")
}

/// Writes a line as the log has them, without the log: before it starts, and when it cannot be reached.
pub(super) fn json_line(level: Level, text: &str) {
    // A failure to write cannot be reported elsewhere.
    let _ = writeln!(io::stderr(), "{}", line(level, text, SystemTime::now()));
}

/// Has panics written as JSON, if everything is.
pub(super) fn watch_panics() {
    if is_json() {
        panic::set_hook(Box::new(|panic| {
            json_line(Level::ERROR, &panic.to_string())
        }));
    }
}

fn line(level: Level, text: &str, now: SystemTime) -> String {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    json!({
        "timestamp": UtcTime::from_unix_ms(unix_ms).to_string(),
        "level": level.as_str(),
        "fields": { "message": text },
        "target": TARGET,
    })
    .to_string()
}

/// Starts logging, once per process; `default` is the filter unless the environment has another. Lines that wait are
/// written when the result is dropped.
pub(super) fn start(default: &str) -> WorkerGuard {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (wanted, format) = (variable(FILTER), variable(FORMAT));
    let understood = understand(&wanted);
    let filter = match &understood {
        Ok(Some(filter)) => EnvFilter::new(filter),
        Ok(None) | Err(_) => EnvFilter::new(default),
    };
    let colour = term::colour_wanted(std::io::stderr().is_terminal());
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let layer = fmt::layer().with_writer(writer).with_ansi(colour);
    let layer = match format.as_str() {
        "json" => layer.json().boxed(),
        _ => layer.compact().boxed(),
    };
    // A second start, in a test, is no harm.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter_fn(may_be_told)))
        .with(filter)
        .try_init();
    if let Err(why) = understood {
        tracing::warn!("{FILTER}: {why}; it counts as `{default}`");
    }
    if !matches!(format.as_str(), "" | "json" | "text") {
        tracing::warn!("{FORMAT}: `{format}` is neither json nor text; it counts as text");
    }
    guard
}

/// Libraries log payloads and keys below `info`, so no filter enables that.
fn may_be_told(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(OURS)
}

/// The filter to use; `None` for an invalid one.
///
/// # Errors
/// What is wrong with it, in words. A word without `=` that is no level would be taken for the name of a part of the program,
/// and nothing else would be logged any more.
fn understand(text: &str) -> Result<Option<&str>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let words = text.split(',').map(str::trim);
    let mut plain = words.filter(|word| !word.contains(['=', '[']));
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    if let Some(word) = plain.find(|word| !is_level(word)) {
        return Err(format!(
            "`{word}` is not one of off, error, warn, info, debug, trace; for a part of the program write PART=LEVEL"
        ));
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(format!("`{text}` is no filter: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beside_the_log_look_like_the_logs_own() {
        let line = line(Level::ERROR, "two\nlines and a \"quote\"", UNIX_EPOCH);
        assert!(!line.contains('\n'), "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "timestamp": "1970-01-01T00:00:00.0000000Z",
            "level": "ERROR",
            "fields": { "message": "two\nlines and a \"quote\"" },
            "target": TARGET,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn filters_that_would_hide_everything_by_mistake_are_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "drawspan=debug",
            "info,drawspan_client=trace",
        ] {
            assert_eq!(understand(good), Ok(Some(good)));
        }
        assert_eq!(understand(""), Ok(None));
        assert_eq!(understand(" "), Ok(None));
        for bad in [
            "verbose",
            "info,drawspan",
            "drawspan=loud",
            "drawspan:debug",
            "a=b=c",
        ] {
            assert!(understand(bad).is_err(), "{bad}");
        }
    }
}
