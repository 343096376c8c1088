//! The start position of a reader of events: the selector filter of its source.
//!
//! Clients send one of a handful of expressions, such as `amqp.annotation.x-opt-offset > '-1'`.

use drawspan_amqp::performative::Source;
use drawspan_amqp::value::Value;
use drawspan_segment_log::Position;

const SELECTOR: &str = "apache.org:selector-filter:string";
const LATEST: &str = "@latest";

/// The starting position. Without a filter reading starts at the beginning.
pub(super) fn position(source: &Source) -> Result<Position, String> {
    let filter = source
        .filter
        .as_ref()
        .and_then(|filter| filter.get(SELECTOR));
    let text = match filter {
        None => return Ok(Position::Start),
        // The descriptor is a symbol with some clients, a number with others; the name of the filter says enough.
        Some(Value::Described(described)) => described.1.as_str(),
        Some(value) => value.as_str(),
    };
    text.and_then(parse).ok_or_else(|| {
        format!(
            "the filter {} is not understood",
            text.unwrap_or("without text")
        )
    })
}

fn parse(expression: &str) -> Option<Position> {
    let rest = expression.trim().strip_prefix("amqp.annotation.")?;
    let (name, rest) = rest.split_once([' ', '>'])?;
    let rest = rest.trim_start_matches([' ', '>']);
    let inclusive = rest.starts_with('=');
    let value = rest
        .trim_start_matches(['=', ' '])
        .trim()
        .trim_matches('\'');
    if name == "x-opt-offset" && value == LATEST {
        return Some(Position::End);
    }
    let value: i64 = value.parse().ok()?;
    match name {
        "x-opt-offset" => Some(Position::Offset { value, inclusive }),
        "x-opt-sequence-number" => Some(Position::Sequence { value, inclusive }),
        "x-opt-enqueued-time" | "x-opt-enqueuedtimeutc" => Some(Position::EnqueuedTime {
            unix_ms: value,
            inclusive,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_understood() {
        let offset = |value, inclusive| Some(Position::Offset { value, inclusive });
        let check = |text: &str, expected| assert_eq!(parse(text), expected, "{text}");
        check("amqp.annotation.x-opt-offset > '-1'", offset(-1, false));
        check("amqp.annotation.x-opt-offset >= '120'", offset(120, true));
        check("amqp.annotation.x-opt-offset>='120'", offset(120, true));
        check(
            "amqp.annotation.x-opt-offset > '@latest'",
            Some(Position::End),
        );
        check(
            "amqp.annotation.x-opt-sequence-number > '7'",
            Some(Position::Sequence {
                value: 7,
                inclusive: false,
            }),
        );
        check(
            "amqp.annotation.x-opt-enqueued-time >= '1795328345000'",
            Some(Position::EnqueuedTime {
                unix_ms: 1_795_328_345_000,
                inclusive: true,
            }),
        );
        for bad in [
            "",
            "x-opt-offset > '1'",
            "amqp.annotation.x-opt-offset > 'a'",
            "amqp.annotation.other > '1'",
        ] {
            check(bad, None);
        }
    }
}
