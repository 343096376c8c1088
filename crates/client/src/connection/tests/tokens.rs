//! Opening devices by their own tokens and by a policy's, and keeping them open.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Config, Connection};
use drawspan_amqp::performative::{Error, condition};
use drawspan_hub::{ConnectionKey, Failure, FailureKind, WhichKey, sas};
use drawspan_net::Handler;

use super::hub::{Seen, Tokens};
use super::{Bench, LIFE_S, attempt, device, group, key, open, policy, telemetry_link, token};
use crate::connection::handler::DeviceHandler;
use crate::credentials::{KeyPair, Keys, ListedDevice};
use crate::limits;
use crate::status::Status;

const TOKEN_LIMIT: &str = "The maximum number of tokens per connection (1000) has been reached.";

fn failed(news: Status) -> Failure {
    match news {
        Status::OpenFailed(of, failure) | Status::Lost(of, failure) => {
            assert_eq!(of, attempt(1));
            failure
        }
        other => panic!("{other:?}"),
    }
}

fn token_refused(news: Status) -> Failure {
    match news {
        Status::TokenRefused(of, failure) => {
            assert_eq!(of, attempt(1));
            failure
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_devices_link_goes_out_with_its_token_and_both_must_be_taken() {
    let mut bench = Bench::new(group());
    bench.hub.with(|state| state.tokens = Tokens::Ignore);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let seen = bench.hub.seen(&telemetry_link(1), 1).await;
    assert_eq!(seen[2..], [token(1), telemetry_link(1)]);
    assert!(bench.connection.close(attempt(1), None));
    assert!(matches!(bench.news().await, Status::Closed(of) if of == attempt(1)));

    bench.hub.with(|state| state.tokens = Tokens::Take);
    assert!(bench.connection.open(open(2)));
    assert!(bench.connection.open(open(3)));
    bench.opened(2).await;
    bench.opened(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_ends_its_device_alone() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    assert!(bench.connection.open(open(0)));
    let first = bench.opened(0).await;
    let check = |status, text, kind| (status, text, kind);
    for (status, text, kind) in [
        check(401, "no such key", FailureKind::Unauthorized),
        check(404, "no such device", FailureKind::DeviceNotFound),
        check(500, TOKEN_LIMIT, FailureKind::TokenLimit),
        check(403, r#"{"errorCode":403005}"#, FailureKind::TokenLimit),
    ] {
        bench
            .hub
            .with(|state| state.tokens = Tokens::Refuse(status, text));
        assert!(bench.connection.open(open(1)));
        let news = bench.news().await;
        let failure = match status {
            // A hub that knows no such device may have taken its token all the same.
            404 => failed(news),
            _ => token_refused(news),
        };
        assert_eq!(failure, Failure::from_cbs(status, text));
        assert_eq!(failure.kind, kind, "{failure}");
    }
    bench.hub.seen(&Seen::End, 4).await;
    assert!(bench.connection.close(attempt(0), Some(first)));
    assert!(matches!(bench.news().await, Status::Closed(of) if of == attempt(0)));
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_key_is_refused_here() {
    let listed = ListedDevice {
        hub: drawspan_hub::HostName::parse(super::HOST).unwrap(),
        keys: KeyPair::single(key(1)),
    };
    let mut bench = Bench::new(Keys::Explicit([(device(2), listed)].into()));
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let failure = token_refused(bench.news().await);
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert!(failure.message.contains("no key"), "{failure}");
    assert!(bench.connection.open(open(2)));
    bench.opened(2).await;
    let seen = bench.hub.with(|state| state.seen.clone());
    assert!(!seen.contains(&token(1)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_looks_at_links_first_gets_the_token_first() {
    let mut bench = Bench::new(group());
    bench.hub.with(|state| {
        state.slow_tokens = true;
        state.tokens = Tokens::Ignore;
    });
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    bench.hub.seen(&telemetry_link(1), 1).await;
    // Answered behind the refusal.
    bench.hub.with(|state| state.tokens = Tokens::Take);
    bench
        .hub
        .act(|state, connection| state.answer_token(connection, "put-token-0"));
    bench.opened(1).await;
    // From then on a link waits for its token.
    bench.hub.with(|state| state.tokens = Tokens::Ignore);
    assert!(bench.connection.open(open(2)));
    bench.hub.seen(&token(2), 1).await;
    bench.pass(Duration::from_secs(1)).await;
    assert!(
        !bench
            .hub
            .with(|state| state.seen.contains(&telemetry_link(2)))
    );
    bench
        .hub
        .act(|state, connection| state.answer_token(connection, "put-token-1"));
    bench.opened(2).await;
    let seen = bench.hub.with(|state| state.seen.clone());
    let rest = [
        token(1),
        telemetry_link(1),
        telemetry_link(1),
        token(2),
        telemetry_link(2),
    ];
    assert_eq!(seen[2..], rest);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_refused_for_good_fails_its_device() {
    let mut bench = Bench::new(group());
    let refuse = |condition| vec![("events".to_owned(), Error::new(condition, "no"))];
    bench
        .hub
        .with(|state| state.refuse = refuse(condition::NOT_FOUND));
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    assert_eq!(failed(bench.news().await).kind, FailureKind::DeviceNotFound);
    // Refused before the token counted and after it, too.
    bench
        .hub
        .with(|state| state.refuse = refuse(condition::UNAUTHORIZED_ACCESS));
    assert!(bench.connection.open(open(1)));
    assert_eq!(failed(bench.news().await).kind, FailureKind::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_does_not_answer_fails_its_device_and_not_the_connection() {
    let mut bench = Bench::new(group());
    bench.hub.with(|state| state.tokens = Tokens::Ignore);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    assert_eq!(failed(bench.news().await).kind, FailureKind::Timeout);
    bench.hub.with(|state| {
        state.tokens = Tokens::Take;
        state.ignore.push("d1/messages/events".to_owned());
    });
    assert!(bench.connection.open(open(1)));
    assert_eq!(failed(bench.news().await).kind, FailureKind::Timeout);
    assert!(bench.connection.open(open(2)));
    bench.opened(2).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_wait_for_credit_and_links_with_them() {
    let mut bench = Bench::new(group());
    bench.hub.with(|state| state.cbs_credit = 2);
    bench.ready().await;
    // The hub tops its credit up as it settles, so that all get through; at the start there are two.
    for index in 0..50 {
        assert!(bench.connection.open(open(index)));
    }
    for index in 0..50 {
        bench.opened(index).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_in_place_before_they_expire() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let devices = 100;
    for index in 0..devices {
        assert!(bench.connection.open(open(index)));
    }
    for index in 0..devices {
        bench.opened(index).await;
    }
    let tokens = |seen: &[Seen]| {
        seen.iter()
            .filter(|seen| matches!(seen, Seen::Token(_)))
            .count()
    };
    let life = Duration::from_secs(LIFE_S.into());
    bench.pass(life * 59 / 100).await;
    assert_eq!(
        bench.hub.with(|state| tokens(&state.seen)),
        100,
        "too early"
    );
    let started = bench.clock.now();
    bench
        .hub
        .until(|state| (tokens(&state.seen) == 200).then_some(()))
        .await;
    let last = bench.clock.now() - started;
    assert!(last < life * 27 / 100, "{last:?}");
    let seen = bench.hub.with(|state| state.seen.clone());
    assert!(!seen.contains(&Seen::End), "nothing was dropped");
    for index in 0..devices {
        assert_eq!(seen.iter().filter(|seen| **seen == token(index)).count(), 2);
    }
    assert!(bench.news.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_that_are_due_at_once_are_renewed_in_turn() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let devices = 5 * limits::RENEWALS_PER_LOOK;
    for index in 0..devices {
        let mut open = open(u32::try_from(index).unwrap());
        // All at the same second, however they are jittered.
        open.token_life_s = limits::TOKEN_LIFE_MIN_S;
        assert!(bench.connection.open(open));
    }
    let tokens = |state: &super::hub::State| {
        state
            .seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Token(_)))
            .count()
    };
    bench
        .hub
        .until(|state| (tokens(state) == devices).then_some(()))
        .await;
    bench
        .hub
        .until(|state| (tokens(state) > devices).then_some(()))
        .await;
    bench
        .pass(Duration::from_millis(limits::LOOK_INTERVAL_MS / 2))
        .await;
    let at_once = bench.hub.with(|state| tokens(state)) - devices;
    assert!(at_once <= limits::RENEWALS_PER_LOOK, "{at_once}");
    bench
        .hub
        .until(|state| (tokens(state) == 2 * devices).then_some(()))
        .await;
}

/// How often the hub was sent a token.
fn tokens(bench: &Bench) -> usize {
    let token = |seen: &&Seen| matches!(seen, Seen::Token(_));
    bench
        .hub
        .with(|state| state.seen.iter().filter(token).count())
}

const LIFE: Duration = Duration::from_secs(LIFE_S as u64);

const FAULTS: [(Tokens, FailureKind); 4] = [
    (
        Tokens::Refuse(401, "no such key"),
        FailureKind::Unauthorized,
    ),
    (Tokens::Refuse(500, "a fault"), FailureKind::ServerError),
    (
        Tokens::Refuse(404, "not there"),
        FailureKind::DeviceNotFound,
    ),
    (Tokens::Ignore, FailureKind::Timeout),
];

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_tried_again_and_loses_nothing() {
    for keys in [group(), policy(None)] {
        for (fault, _) in FAULTS {
            let mut bench = Bench::new(keys.clone());
            bench.ready().await;
            assert!(bench.connection.open(open(1)));
            bench.opened(1).await;
            bench.hub.with(|state| state.tokens = fault);
            bench.pass(LIFE * 95 / 100).await;
            let tries = tokens(&bench);
            assert!((4..60).contains(&tries), "{fault:?}: {tries}");
            bench.hub.with(|state| state.tokens = Tokens::Take);
            // Far beyond the first token's life.
            bench.pass(LIFE / 2).await;
            let after = tokens(&bench);
            assert!((1..3).contains(&(after - tries)), "{fault:?}: {after}");
            assert!(!bench.hub.with(|state| state.seen.contains(&Seen::End)));
            bench.stays_open(2).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_gets_no_new_token_is_lost_shortly_before_its_old_one_expires() {
    for (fault, kind) in FAULTS {
        let mut bench = Bench::new(group());
        bench.ready().await;
        assert!(bench.connection.open(open(1)));
        bench.opened(1).await;
        let started = bench.clock.now();
        bench.hub.with(|state| state.tokens = fault);
        assert_eq!(bench.lost().await.kind, kind);
        let lived = bench.clock.now() - started;
        assert!(lived > LIFE * 98 / 100 && lived < LIFE, "{lived:?}");
        bench.hub.seen(&Seen::End, 1).await;
        bench.hub.with(|state| state.tokens = Tokens::Take);
        bench.stays_open(2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_gets_no_new_token_ends_shortly_before_its_old_one_expires() {
    for (fault, kind) in FAULTS {
        let mut bench = Bench::new(policy(None));
        bench.ready().await;
        let started = bench.clock.now();
        bench.hub.with(|state| state.tokens = fault);
        let Status::ConnectionEnded(_, _, failure) = bench.news().await else {
            panic!("it stands");
        };
        assert_eq!(failure.kind, kind);
        let lived = bench.clock.now() - started;
        assert!(lived > LIFE * 98 / 100 && lived < LIFE, "{lived:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn short_tokens_are_renewed_in_time_too() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let token_life_s = 60;
    assert!(bench.connection.open(super::Open {
        token_life_s,
        ..open(1)
    }));
    bench.opened(1).await;
    for round in 0..20 {
        // Every other renewal fails once.
        bench.hub.seen(&token(1), 1 + 3 * round).await;
        bench.pass(Duration::from_secs(1)).await;
        bench
            .hub
            .with(|state| state.tokens = Tokens::Refuse(500, "a fault"));
        bench.hub.seen(&token(1), 2 + 3 * round).await;
        bench.pass(Duration::from_millis(1)).await;
        bench.hub.with(|state| state.tokens = Tokens::Take);
        bench.hub.seen(&token(1), 3 + 3 * round).await;
    }
    // 20 rounds of two lives each, less what is renewed early.
    let lived = bench.clock.now();
    assert!(lived > Duration::from_secs(20 * 90), "{lived:?}");
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_is_tried_with_the_other_key() {
    let signed_by = |bench: &Bench, byte: u8| {
        let newest = bench.hub.with(|state| state.token.clone());
        let expiry = newest.split_once("se=").unwrap().1;
        let expiry = expiry.split('&').next().unwrap().parse().unwrap();
        newest == sas::sign(super::HOST, &key(byte), expiry, Some("device"))
    };
    let mut bench = Bench::new(policy(Some(2)));
    bench.ready().await;
    assert!(signed_by(&bench, 1));
    bench
        .hub
        .with(|state| state.tokens = Tokens::Refuse(401, "no such key"));
    bench
        .hub
        .until(|state| (state.seen.len() > 3).then_some(()))
        .await;
    assert!(signed_by(&bench, 1));
    bench
        .hub
        .until(|state| (state.seen.len() > 4).then_some(()))
        .await;
    assert!(signed_by(&bench, 2));
    bench.hub.with(|state| state.tokens = Tokens::Take);
    bench
        .hub
        .until(|state| (state.seen.len() > 5).then_some(()))
        .await;
    // And back, as long as it is refused: the next one is taken, and stays.
    assert!(signed_by(&bench, 1));
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_policys_token_serves_all_and_its_second_key_is_tried_once() {
    let mut bench = Bench::new(policy(Some(2)));
    bench
        .hub
        .with(|state| state.tokens = Tokens::Refuse(401, "wrong key"));
    let Status::ConnectionEnded(_, _, failure) = bench.news().await else {
        panic!("it stands");
    };
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    let tokens = vec![Seen::Token(super::HOST.to_owned()); 2];
    assert_eq!(bench.hub.with(|state| state.seen[2..].to_vec()), tokens);
    bench.hub.ended().await;

    let mut bench = Bench::new(policy(None));
    bench
        .hub
        .with(|state| state.tokens = Tokens::Refuse(401, "wrong key"));
    assert!(matches!(bench.news().await, Status::ConnectionEnded(..)));
    assert_eq!(
        bench.hub.with(|state| state.seen[2..].to_vec()),
        tokens[..1]
    );

    let mut bench = Bench::new(policy(None));
    bench.ready().await;
    for index in 0..3 {
        let key = WhichKey::Secondary;
        assert!(bench.connection.open(super::Open { key, ..open(index) }));
    }
    for index in 0..3 {
        bench.opened(index).await;
    }
    // The renewal: one token, and nothing else.
    bench.hub.seen(&tokens[0], 2).await;
    let seen = bench.hub.with(|state| state.seen.clone());
    assert_eq!(
        seen.iter()
            .filter(|seen| matches!(seen, Seen::Token(_)))
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_takes_no_tokens_at_all_is_given_up() {
    let mut bench = Bench::new(group());
    bench.hub.with(|state| state.ignore.push("$cbs".to_owned()));
    let Status::ConnectionEnded(_, _, failure) = bench.news().await else {
        panic!("it stands");
    };
    assert_eq!(failure.kind, FailureKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_due_on_a_connection_that_was_given_up() {
    let bench = Bench::new(policy(None));
    let mut handler = DeviceHandler::new(Arc::clone(&bench.config), ConnectionKey(4));
    let now = Duration::from_secs(9);
    let mut connection = Connection::client(Config::default(), None, now);
    handler.sweep_soon(Duration::ZERO);
    assert!(handler.deadline().is_some());
    let failure = Failure::local(FailureKind::Timeout, "no answer");
    handler.give_up(&mut connection, failure, now);
    // Something overdue would be looked at again and again, until the hub answers our close.
    assert_eq!(handler.deadline(), None);
}
