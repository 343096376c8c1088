//! Tokens that are spent in the emulator's time, and what the hub's log says when one runs out.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Closed, Event, LinkId, LinkOptions, SessionId};
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::test_hub::hub_watched;
use drawspan_emulator_hub::test_hub::witness::Witness;
use drawspan_hub_model::limits::Limits;
use drawspan_hub_model::token_life::SasGrace;
use drawspan_net::Handler as _;

use super::{Pair, device_token, shared, unix_s};
use crate::limits;

const NO_GRACE: SasGrace = SasGrace {
    connect_s: 0,
    live_s: 0,
};

struct Stage {
    clock: Clock,
    hub: Arc<Hub>,
    witness: Arc<Witness>,
    pair: Pair,
    session: SessionId,
}

impl Stage {
    /// Devices on one connection, each with a token of so many seconds and a link.
    fn new(grace: SasGrace, devices: &[(&str, u64)]) -> Self {
        let clock = Clock::since(unix_s() * 1_000);
        let (witness, observers) = Witness::new();
        let ids: Vec<_> = devices.iter().map(|(id, _)| *id).collect();
        let limits = Limits {
            sas_grace: grace,
            ..Limits::default()
        };
        let hub = hub_watched(clock.clone(), &ids, observers, limits);
        let mut pair = Pair::new(&shared(&hub));
        let session = pair.client.begin().unwrap();
        let mut stage = Self {
            clock,
            hub,
            witness,
            pair,
            session,
        };
        for (id, life_s) in devices {
            stage.renew(id, *life_s);
            stage.attach(id);
        }
        stage.witness.take();
        stage
    }

    fn renew(&mut self, id: &str, life_s: u64) {
        self.pair.end.put(&self.hub, &device_token(id, life_s));
        // As the request for it would.
        let end = &mut self.pair.end;
        end.head.on_batch_end(&mut end.connection, end.now);
    }

    fn attach(&mut self, id: &str) -> LinkId {
        let options = LinkOptions::sender(id, format!("/devices/{id}/messages/events"));
        let link = self.pair.client.attach(self.session, options).unwrap();
        self.pair.run();
        link
    }

    /// The connection's task is woken, as it is by a change of the clock, and does what is due.
    fn wake(&mut self) {
        let end = &mut self.pair.end;
        end.head.look(&mut end.connection, end.now);
        if end.head.deadline().is_some_and(|at| at <= end.now) {
            end.head.on_deadline(&mut end.connection, end.now);
        }
        self.pair.events.clear();
        self.pair.run();
    }

    fn detached(&self) -> usize {
        let is_detached = |event: &&Event| matches!(event, Event::Detached { .. });
        self.pair.events.iter().filter(is_detached).count()
    }

    fn is_closed(&self) -> bool {
        matches!(
            &self.pair.events[..],
            [Event::Closed(Closed::ByPeer(Some(_)))]
        )
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_loses_its_links_and_the_last_one_the_connection() {
    let mut stage = Stage::new(SasGrace::default(), &[("a", 600), ("b", 3_600)]);
    stage.clock.advance(Duration::from_secs(1_199)).unwrap();
    stage.wake();
    assert_eq!((stage.detached(), stage.witness.take().len()), (0, 0));
    stage.clock.advance(Duration::from_secs(1)).unwrap();
    stage.wake();
    assert_eq!(stage.detached(), 1);
    let ended = |id: &str| {
        [
            format!("tokenExpired {id} protocol=Amqps code=401003"),
            format!("deviceDisconnected {id} protocol=Amqps reason=TokenExpired code=404104"),
        ]
    };
    assert_eq!(stage.witness.take(), ended("a"));

    // It comes back on the same connection, with a token that is signed by the machine's time.
    stage.renew("a", 600);
    stage.attach("a");
    assert_eq!(stage.witness.take(), ["deviceConnected a protocol=Amqps"]);

    stage.clock.advance(Duration::from_secs(1_200)).unwrap();
    stage.wake();
    assert_eq!(stage.witness.take(), ended("a"));
    stage.clock.advance(Duration::from_secs(1_800)).unwrap();
    stage.wake();
    assert_eq!(stage.detached(), 1);
    assert_eq!(stage.witness.take(), ended("b"));
    stage.pair.end.now += Duration::from_millis(limits::TOKENLESS_MS);
    stage.wake();
    assert!(stage.is_closed(), "{:?}", stage.pair.events);
    stage
        .pair
        .end
        .head
        .leave(drawspan_hub_model::event::DisconnectReason::ClientClosed);
    assert_eq!(stage.witness.take(), [""; 0], "said once");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_renews_keeps_everything() {
    let mut stage = Stage::new(NO_GRACE, &[("a", 60)]);
    for _ in 0..100 {
        stage.clock.advance(Duration::from_secs(50)).unwrap();
        stage.wake();
        stage.renew("a", 60);
        stage.wake();
    }
    assert_eq!(stage.witness.take(), [""; 0]);
    let end = &stage.pair.end;
    let left = end.head.deadline().unwrap() - end.now;
    assert!(left.as_secs() <= 60 && !left.is_zero(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_attaches_before_it_answers_the_detach_has_a_new_session() {
    let mut stage = Stage::new(NO_GRACE, &[("a", 60), ("b", 3_600)]);
    stage.clock.advance(Duration::from_secs(60)).unwrap();
    let end = &mut stage.pair.end;
    end.head.look(&mut end.connection, end.now);
    end.head.on_deadline(&mut end.connection, end.now);
    // The client has not read that yet, and renews.
    stage.renew("a", 60);
    let options = LinkOptions::sender("a2", "/devices/a/messages/events".to_owned());
    stage.pair.client.attach(stage.session, options).unwrap();
    stage.pair.run();
    let events = stage.witness.take();
    let names = events.iter().map(|line| line.split(' ').next().unwrap());
    let expected = ["tokenExpired", "deviceDisconnected", "deviceConnected"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    assert!(!stage.hub.sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_scale_shortens_a_token_and_silence_and_an_advance_only_the_token() {
    let mut stage = Stage::new(NO_GRACE, &[("a", 600)]);
    // The emulator's own heartbeat, which is for the client's clock.
    let heartbeat = Duration::from_secs(120);
    let due = |stage: &Stage| stage.pair.end.connection.deadline().unwrap();
    assert_eq!(due(&stage), heartbeat);
    stage.clock.advance(Duration::from_secs(300)).unwrap();
    stage.wake();
    assert_eq!(due(&stage), heartbeat);
    let expires = |stage: &Stage| {
        stage
            .pair
            .end
            .head
            .deadline()
            .unwrap()
            .as_secs_f64()
            .round()
    };
    assert_eq!(expires(&stage), 300.0);
    stage.clock.set_scale(60.0).unwrap();
    stage.wake();
    assert_eq!(due(&stage), Duration::from_millis(255_000 / 60));
    assert_eq!(expires(&stage), 5.0);
    stage.clock.set_scale(1.2).unwrap();
    stage.wake();
    assert_eq!(due(&stage), heartbeat);
}

#[test]
fn no_official_client_is_cut_at_a_scale_of_1_2() {
    use crate::limits::AMQP_SILENCE_MS;
    // Of what is announced: rhea (Node) and uAMQP (C) after a half, Microsoft's library for .NET after seven eighths.
    for share in [0.5, 7.0 / 8.0] {
        let pings_after_ms = 240_000.0 * share;
        assert!(f64::from(AMQP_SILENCE_MS) / 1.2 > pings_after_ms);
    }
}
