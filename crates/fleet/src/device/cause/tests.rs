//! The table, row by row, in the hub's own words.

use drawspan_hub::{ConnectionCause as Cause, Failure, FailureKind as Kind};

use super::*;

fn amqp(condition: &str, description: &str) -> Failure {
    Failure::from_amqp(condition, Some(description))
}

/// As the hub writes it into the description of an AMQP error.
fn coded(condition: &str, code: u32, message: &str) -> Failure {
    let text = format!(
        r#"{{"errorCode":{code},"trackingId":"0123abcd-G:6","message":"{message}","timestampUtc":"2026-11-30T00:00:00Z"}}"#
    );
    amqp(condition, &text)
}

fn check(failure: &Failure, live: bool, expected: Cause) {
    let found = cause_of(failure, live);
    assert_eq!(found, expected, "live {live}: {failure:?}");
}

/// The hub ended an open session, or refused one: the same cause.
fn check_both(failure: &Failure, expected: Cause) {
    check(failure, true, expected);
    check(failure, false, expected);
}

#[test]
fn another_client_has_the_identity() {
    let text = "another connection took the device over";
    check_both(
        &coded("amqp:link:stolen", 409_002, text),
        Cause::OtherClient,
    );
    check_both(&amqp("amqp:link:stolen", ""), Cause::OtherClient);
    let conflict = "com.microsoft:link-creation-conflict";
    check_both(&amqp(conflict, ""), Cause::OtherClient);
    let taken = coded("amqp:connection:forced", 400_027, "");
    check_both(&taken, Cause::OtherClient);
}

#[test]
fn a_token_that_was_good_runs_out() {
    let text = "the token has expired";
    let expired = coded("amqp:unauthorized-access", 401_003, text);
    check(&expired, true, Cause::TokenExpired);
    // One that was made a moment ago has not run out: the clocks differ.
    check(&expired, false, Cause::ClockSkew);
    let refused = Failure::from_cbs(401, "The SAS token is expired");
    check(&refused, false, Cause::ClockSkew);
    let renewal = refused.with_ending(Ending::TokenRanOut);
    check(&renewal, true, Cause::ClockSkew);

    let silent = "the hub did not answer put-token before the last token expired";
    let silent = Failure::local(Kind::Timeout, silent).with_ending(Ending::TokenRanOut);
    check(&silent, true, Cause::TokenExpired);
    let failing = Failure::from_cbs(500, "").with_ending(Ending::TokenRanOut);
    check(&failing, true, Cause::TokenExpired);
    let throttled = Failure::from_cbs(429, "").with_ending(Ending::TokenRanOut);
    check(&throttled, true, Cause::TokenExpired);
    // What the hub has against the next token says more.
    let key = Failure::from_cbs(401, "").with_ending(Ending::TokenRanOut);
    check(&key, true, Cause::CredentialsRefused);
    let gone = Failure::from_cbs(404, "").with_ending(Ending::TokenRanOut);
    check(&gone, true, Cause::Deleted);
}

#[test]
fn a_keep_alive_is_missed_on_either_side() {
    let text = "The connection was inactive for more than the allowed 240000 milliseconds and is closed by container 'x'.";
    let inactive = amqp("amqp:connection:forced", text);
    check_both(&inactive, Cause::KeepAliveMissed);
    let short = amqp("amqp:connection:forced", "inactive for more than 240000 ms");
    check_both(&short, Cause::KeepAliveMissed);
    let engine = "nothing was received within the announced idle time-out";
    let engine = amqp("amqp:connection:forced", engine);
    check_both(&engine, Cause::KeepAliveMissed);
    let lapsed = coded("amqp:link:detach-forced", 404_104, "");
    check_both(&lapsed, Cause::KeepAliveMissed);
    let silent = Failure::local(Kind::ConnectionLost, "").with_ending(Ending::Silence);
    check_both(&silent, Cause::KeepAliveMissed);
}

#[test]
fn limits_of_the_hub() {
    for code in [429_000, 429_001, 429_002, 429_003, 429_005, 503_008] {
        let throttled = coded("com.microsoft:device-container-throttled", code, "");
        check_both(&throttled, Cause::Throttled);
        check_both(&coded("amqp:internal-error", code, ""), Cause::Throttled);
    }
    let throttled = "com.microsoft:device-container-throttled";
    check_both(&amqp(throttled, ""), Cause::Throttled);
    let dps = Failure::from_http(429, None, "", Some(5));
    check_both(&dps, Cause::Throttled);
    let full = "The maximum number of tokens per connection (1000) has been reached.";
    check_both(&Failure::from_cbs(500, full), Cause::Throttled);
    check_both(&amqp("amqp:resource-limit-exceeded", ""), Cause::Throttled);

    let quota = "amqp:resource-limit-exceeded";
    let quota = Failure::from_outcome(quota, None);
    check_both(&quota, Cause::QuotaExceeded);
    let coded = coded("amqp:not-allowed", 403_002, "");
    check_both(&coded, Cause::QuotaExceeded);
    check_both(
        &amqp("com.microsoft:quota-exceeded", ""),
        Cause::QuotaExceeded,
    );
}

#[test]
fn what_the_hub_has_against_the_device() {
    let unauthorized = "amqp:unauthorized-access";
    let disabled = coded(unauthorized, 403_012, "the device is disabled");
    check_both(&disabled, Cause::Disabled);
    let deleted = coded("amqp:not-found", 404_001, "the device is not registered");
    check_both(&deleted, Cause::Deleted);
    check_both(&amqp("amqp:not-found", ""), Cause::Deleted);
    let refused = Failure::from_cbs(404, "Device d at IotHub h not registered.");
    check_both(&refused, Cause::Deleted);

    for code in [401_002, 401_003] {
        check_both(&coded(unauthorized, code, ""), Cause::CredentialsRefused);
    }
    let changed = "the device's keys or thumbprints have changed";
    let changed = coded(unauthorized, 401_003, changed);
    check_both(&changed, Cause::CredentialsRefused);
    let certificate = coded(unauthorized, 401_003, "the certificate has expired");
    check_both(&certificate, Cause::CredentialsRefused);
    check_both(&Failure::from_cbs(401, ""), Cause::CredentialsRefused);
    // DPS: no enrollment, a scope that it does not know.
    check_both(
        &Failure::from_http(401, None, "", None),
        Cause::CredentialsRefused,
    );
    check_both(
        &Failure::from_http(404, None, "", None),
        Cause::CredentialsRefused,
    );

    let clock = Failure::from_cbs(401, "").with_ending(Ending::ClocksDiffer);
    check_both(&clock, Cause::ClockSkew);
}

#[test]
fn the_hub_ends_it_for_a_reason_of_its_own() {
    for condition in [
        "amqp:connection:forced",
        "amqp:link:detach-forced",
        "amqp:internal-error",
        "amqp:connection:framing-error",
        "com.microsoft:server-busy",
        "com.microsoft:timeout",
        "com.microsoft:iot-hub-suspended",
        "com.microsoft:iot-hub-not-found-error",
        "amqp:decode-error",
        "vendor:unheard-of",
    ] {
        check_both(&amqp(condition, ""), Cause::HubClosed);
    }
    // Upgrades, restores, fail-over, faults.
    for code in [
        400_029, 400_030, 404_012, 500_001, 500_008, 503_001, 503_006,
    ] {
        check_both(&coded("amqp:connection:forced", code, ""), Cause::HubClosed);
    }
    let wordless = Failure::local(Kind::ConnectionLost, "").with_ending(Ending::Unexplained);
    check_both(&wordless, Cause::HubClosed);
    let refused = Failure::local(Kind::HubUnreachable, "").with_ending(Ending::Told);
    check_both(&refused, Cause::HubClosed);
    for condition in ["amqp:connection:redirect", "amqp:link:redirect"] {
        check_both(&amqp(condition, ""), Cause::HubMoved);
    }
}

#[test]
fn neither_hub_nor_bridge_wanted_it() {
    let broken = "the connection broke: connection reset by peer";
    check_both(
        &Failure::local(Kind::ConnectionLost, broken),
        Cause::Network,
    );
    check_both(
        &Failure::local(Kind::HubUnreachable, "no route"),
        Cause::Network,
    );
    check_both(&Failure::local(Kind::Timeout, "no answer"), Cause::Network);
}

#[test]
fn the_bridge_did_it() {
    let check_act = |act: Act, expected| {
        assert_eq!(Why::Act(act).cause(), Some(expected));
        assert!(act.text().contains(": "), "who did it");
    };
    check_act(Act::EndsUnused, Cause::IdleTimeout);
    check_act(Act::Removes, Cause::ClosedByBridge);
    check_act(Act::Replaces, Cause::ClosedByBridge);
    check_act(Act::AsksLater, Cause::ClosedByBridge);
    check_act(Act::MovesAsListed, Cause::HubMoved);
    check_act(Act::MovesAsAssigned, Cause::HubMoved);
    check_both(
        &Failure::own(Kind::ConnectionLost, ""),
        Cause::ClosedByBridge,
    );
    check_both(&Failure::own(Kind::Forbidden, ""), Cause::ClosedByBridge);
    check_both(
        &Failure::local(Kind::ConnectionsFull, ""),
        Cause::ClosedByBridge,
    );
    check_both(&Failure::local(Kind::Protocol, ""), Cause::ClosedByBridge);
}

#[test]
fn every_kind_has_a_cause_however_it_ended() {
    let endings = [
        Ending::Told,
        Ending::Unexplained,
        Ending::Found,
        Ending::Silence,
        Ending::TokenRanOut,
        Ending::ClocksDiffer,
        Ending::Own,
    ];
    let mut found = std::collections::HashSet::new();
    for kind in Kind::ALL {
        for ending in endings {
            let failure = Failure::local(kind, "").with_ending(ending);
            found.insert(cause_of(&failure, true));
        }
    }
    found.insert(Act::EndsUnused.cause());
    found.insert(Act::MovesAsListed.cause());
    assert_eq!(found.len(), Cause::ALL.len(), "{found:?}");
}
