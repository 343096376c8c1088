//! Whether messages and methods to devices fared as they must.

use std::path::Path;
use std::process::Command;

use super::Soak;
use super::loads::HANGING_EVERY;
use crate::conformance::outage::say;
use crate::conformance::scenario::Program;
use crate::error::{Error, Result};
use crate::load::downlink::{Messages, Report};
use crate::process::Script;

/// Prints how many messages wait at the hub.
pub(super) const WAITING: Program = Program::Python("waiting.py", &[]);
/// The hub gives up a message after ten deliveries, which take 10 to 50 s each. In longer runs a message may be gone for that reason.
const NONE_GIVEN_UP_S: u32 = 120;

/// Shows the report and judges it.
pub(super) fn check(report: &Report) -> Result<()> {
    let (c2d, methods, hanging) = (&report.c2d, &report.methods, &report.bad_c2d);
    say(&format!(
        "messages to devices: {} taken by the hub, {} came, {} of these again; {} answered 2xx, {} lost",
        c2d.accepted, c2d.arrived, c2d.again, c2d.taken, c2d.lost
    ));
    say(&format!(
        "methods: {} sent, {} answered, {} came twice, others {:?}",
        methods.sent, methods.answered, methods.again, methods.reasons
    ));
    say(&format!(
        "with the receiver that hangs: {} messages taken by the hub, they came {} times, {} were answered 2xx after the load; {} methods came",
        hanging.accepted,
        hanging.arrived + hanging.again,
        hanging.taken,
        report.bad_methods.arrived
    ));
    let all = [
        (c2d.accepted == 0, "no message was taken"),
        (c2d.again == 0, "no message came again"),
        (
            c2d.lost > 0,
            "messages that no receiver answered 2xx are gone",
        ),
        (methods.answered == 0, "no method was answered"),
        (methods.wrong > 0, "methods were answered wrongly"),
        (
            methods.again + methods.twice + report.bad_methods.again > 0,
            "methods came to their receiver twice",
        ),
        (
            hanging.arrived == 0,
            "no message came to the receiver that hangs",
        ),
        (
            report.bad_methods.arrived == 0,
            "no method came to the receiver that hangs",
        ),
    ];
    let wrong = all.iter().filter(|(is_wrong, _)| *is_wrong);
    let wrong: Vec<_> = wrong.map(|(_, what)| *what).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::Unexpected(wrong.join(", "))),
    }
}

/// Judges what became of messages for the receiver that hangs, which must wait at the hub since it does not answer.
/// `command` is that of `waiting.py`.
pub(super) fn check_hanging(
    report: &Report,
    soak: &Soak,
    seconds: u32,
    mut command: Command,
    folder: &Path,
) -> Result<()> {
    let numbers = (1..=soak.good).filter(|number| number % HANGING_EVERY == 0);
    command.args(numbers.map(|number| format!("good-{number}")));
    let log = Script::start("waiting", command, folder)?.finish()?;
    let waiting = waiting(&log)?;
    say(&format!("of these, {waiting} still wait at the hub"));
    judge_hanging(&report.bad_c2d, seconds, waiting)
}

fn waiting(log: &str) -> Result<u64> {
    let number = log.lines().find_map(|line| {
        let number = line.trim().strip_suffix(" messages wait")?;
        number.parse().ok()
    });
    number.ok_or_else(|| Error::Unexpected(format!("waiting.py printed `{log}`")))
}

fn judge_hanging(messages: &Messages, seconds: u32, waiting: u64) -> Result<()> {
    let gone = messages.lost.saturating_sub(waiting);
    if gone == 0 || seconds > NONE_GIVEN_UP_S {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "{gone} messages are gone from the hub that the receiver that hangs did not answer"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn messages() -> Value {
        json!({"sent": 20, "accepted": 20, "unknown": 0, "arrived": 20, "taken": 20, "again": 3, "twice": 0, "lost": 0,
            "other_webhook_ids": 0, "latency_us": {"mean": 1, "p50": 1, "p99": 1, "max": 1}, "reasons": {}})
    }

    fn calls() -> Value {
        json!({"sent": 20, "answered": 19, "wrong": 0, "failed": 1, "arrived": 20, "again": 0, "twice": 0,
            "latency_us": {"mean": 1, "p50": 1, "p99": 1, "max": 1}, "reasons": {"the device answered 503": 1}})
    }

    /// The report of a good run, but for one number.
    fn report(of: &str, name: &str, number: u64) -> Report {
        let mut report = json!({"devices": 1, "subscribing_s": 1.0, "connecting_s": 1.0, "seen_running": 1, "seconds": 1.0,
            "c2d": messages(), "methods": calls(), "bad_c2d": messages(), "bad_methods": calls(), "strays": 0, "notices": 0});
        report[of][name] = number.into();
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn what_is_lost_or_done_twice_is_found() {
        assert!(check(&report("c2d", "sent", 20)).is_ok());
        for (of, name, number) in [
            ("c2d", "accepted", 0),
            ("c2d", "again", 0),
            ("c2d", "lost", 1),
            ("methods", "answered", 0),
            ("methods", "again", 1),
            ("methods", "twice", 1),
            ("methods", "wrong", 1),
            ("bad_methods", "again", 1),
            ("bad_methods", "arrived", 0),
            ("bad_c2d", "arrived", 0),
        ] {
            assert!(check(&report(of, name, number)).is_err(), "{of} {name}");
        }
    }

    #[test]
    fn messages_that_vanish_were_completed() {
        let check = |lost: u64, seconds: u32, waiting: u64, is_right: bool| {
            let report = report("bad_c2d", "lost", lost);
            let judged = judge_hanging(&report.bad_c2d, seconds, waiting);
            assert_eq!(judged.is_ok(), is_right, "{lost} {seconds} {waiting}");
        };
        check(20, 120, 20, true);
        check(20, 120, 21, true);
        check(20, 120, 19, false);
        check(20, 121, 19, true);
    }

    #[test]
    fn the_number_that_waits_is_read() {
        assert_eq!(
            waiting("  good-25: 200\n  12 messages wait\nok\n").ok(),
            Some(12)
        );
        assert!(waiting("ok\n").is_err());
    }
}
