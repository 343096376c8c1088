//! Tokens that are spent in the emulator's time, and what the hub's log says when one runs out.

use drawspan_emulator_hub::test_hub::hub_watched;
use drawspan_emulator_hub::test_hub::witness::Witness;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::token_life::SasGrace;

use super::*;

/// A hub with device `d` whose clock goes on with tokio's.
fn watched(grace: SasGrace) -> (Clock, Arc<Hub>, Arc<Witness>) {
    let clock = Clock::since(unix_s() * 1_000);
    let (witness, observers) = Witness::new();
    let limits = Limits {
        sas_grace: grace,
        ..Limits::default()
    };
    let hub = hub_watched(clock.clone(), &["d"], observers, limits);
    (clock, hub, witness)
}

/// The connection's task notices a change of the clock, and does what is due.
fn notice(link: &mut Link) -> Option<DisconnectReason> {
    link.head.clock_changed(link.now);
    if link.head.due().is_some_and(|at| at <= link.now) {
        link.head.on_time(&mut link.server, link.now);
    }
    link.head.ended()
}

#[tokio::test(start_paused = true)]
async fn a_token_runs_out_by_an_advance_and_the_client_may_come_back() {
    let (clock, hub, witness) = watched(SasGrace::default());
    let shared = shared(&hub);
    let mut link = Link::connected(&shared, "d");
    let silent_at = link.server.deadline();
    let step = |seconds| clock.advance(Duration::from_secs(seconds)).unwrap();
    step(600 + SAS_CONNECTED_GRACE_S - 1);
    assert_eq!(notice(&mut link), None);
    assert_eq!(link.server.deadline(), silent_at, "its keep-alive stays");
    step(1);
    assert_eq!(notice(&mut link), Some(DisconnectReason::TokenExpired));
    // By the machine's time its token is good as before.
    let mut again = Link::connected(&shared, "d");
    link.head.leave(DisconnectReason::TokenExpired);
    assert_eq!(
        witness.take(),
        [
            "deviceConnected d protocol=Mqtts",
            "tokenExpired d protocol=Mqtts code=401003",
            "deviceDisconnected d protocol=Mqtts reason=TokenExpired code=404104",
            "deviceConnected d protocol=Mqtts",
        ]
    );
    assert_eq!(notice(&mut again), None);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_token_is_known_exactly_at_any_scale() {
    let grace = SasGrace {
        connect_s: 0,
        live_s: 0,
    };
    let (clock, hub, _) = watched(grace);
    let mut link = Link::connected(&shared(&hub), "d");
    clock.set_scale(60.0).unwrap();
    notice(&mut link);
    tokio::time::advance(Duration::from_millis(9_990)).await;
    link.now += Duration::from_millis(9_990);
    assert_eq!(notice(&mut link), None);
    let left = link.head.due().unwrap() - link.now;
    assert!(left <= Duration::from_millis(1_001), "{left:?}");
    tokio::time::advance(Duration::from_millis(1_001)).await;
    link.now += Duration::from_millis(1_001);
    assert_eq!(notice(&mut link), Some(DisconnectReason::TokenExpired));
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_taken_for_as_long_as_is_set() {
    for (connect_s, taken) in [(300, true), (0, false)] {
        let (_, hub, _) = watched(SasGrace {
            connect_s,
            live_s: 600,
        });
        let mut link = Link::new(&shared(&hub));
        let expired = drawspan_hub::sas::sign(
            &format!("{HUB}%2Fdevices%2Fd"),
            &key(2),
            unix_s() - 10,
            None,
        );
        let answer = link.take(&connect("d", &expired));
        assert_eq!(answer[3], if taken { 0 } else { 5 }, "{connect_s}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_and_a_newer_connection_have_codes_of_their_own() {
    let (_, hub, witness) = watched(SasGrace::default());
    let shared = shared(&hub);
    let mut first = Link::connected(&shared, "d");
    let mut second = Link::connected(&shared, "d");
    first.look();
    assert_eq!(first.head.ended(), Some(DisconnectReason::Replaced));
    first.head.leave(DisconnectReason::Replaced);
    second.head.silent(true);
    let reason = second.head.ended().unwrap();
    second.head.leave(reason);
    assert_eq!(
        witness.take()[1..],
        [
            "deviceDisconnected d protocol=Mqtts reason=Replaced code=400027",
            "deviceConnected d protocol=Mqtts",
            "deviceDisconnected d protocol=Mqtts reason=Silent code=404104",
        ]
    );
}
