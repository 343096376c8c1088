//! The clock, by tokio's paused time.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::{Clock, ClockError};

const START_MS: u64 = 1_800_000_000_000;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Lets every task do what it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn spawned(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let task = tokio::spawn(work);
    settle().await;
    task
}

#[tokio::test]
async fn a_manual_clock_moves_only_when_it_is_set() {
    let (clock, hand) = Clock::manual(1_000);
    let waiter = clock.clone();
    let waits = spawned(async move { waiter.sleep(seconds(60)).await }).await;
    hand.advance(seconds(59));
    settle().await;
    assert_eq!((clock.unix_ms(), waits.is_finished()), (60_000, false));
    assert_eq!(clock.elapsed(), seconds(59));
    hand.set(61_000);
    waits.await.unwrap();
    let limit = seconds(1);
    assert_eq!(clock.timeout(limit, std::future::ready(())).await, Some(()));
    assert_eq!(clock.machine_unix_ms(), 61_000);
    assert_eq!(clock.advance(limit), Err(ClockError::Manual));
    hand.set(5_000);
    assert_eq!((clock.unix_ms(), clock.elapsed()), (5_000, seconds(60)));
}

#[tokio::test(start_paused = true)]
async fn time_runs_at_a_scale_skips_and_returns() {
    let clock = Clock::since(START_MS);
    let check = |ahead_s: u64, elapsed_s: u64| {
        let ahead = clock.unix_ms() - clock.machine_unix_ms();
        assert_eq!(ahead, ahead_s * 1_000);
        assert_eq!(clock.elapsed().as_secs_f64().round() as u64, elapsed_s);
    };
    advance(seconds(10)).await;
    check(0, 10);
    clock.set_scale(60.0).unwrap();
    advance(seconds(10)).await;
    check(590, 610);
    clock.advance(seconds(3_660)).unwrap();
    check(4_250, 4_270);
    clock.set_scale(0.5).unwrap();
    advance(seconds(100)).await;
    check(4_200, 4_320);
    clock.reset().unwrap();
    check(0, 4_320);
    advance(seconds(1)).await;
    check(0, 4_321);
    assert_eq!(clock.machine_unix_ms(), START_MS + 121_000);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_names_is_as_far_ahead() {
    let clock = Clock::since(START_MS);
    clock.advance(seconds(3_660)).unwrap();
    assert_eq!(clock.of_machine(START_MS + 60_000), START_MS + 3_720_000);
    assert_eq!(clock.to_machine(START_MS + 3_720_000), START_MS + 60_000);
    assert_eq!(clock.to_machine(1), 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let clock = Clock::system();
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.001, 1e6] {
        assert!(matches!(
            clock.set_scale(scale),
            Err(ClockError::Scale { .. })
        ));
    }
    let year = seconds(366 * 86_400);
    assert_eq!(clock.advance(year * 20), Err(ClockError::TooFar));
    let steps = (0..100).filter(|_| clock.advance(year).is_ok()).count();
    assert!((9..=100).contains(&steps), "{steps}");
    assert_eq!(clock.scale(), 1.0);
}

/// A wait of 600 s ends this long after a change that comes after 10 s.
async fn ends_after(change: impl FnOnce(&Clock), expected: Duration) {
    let clock = Clock::since(START_MS);
    let ends_at = |clock: Clock, is_by_day| async move {
        match is_by_day {
            true => clock.sleep_until(START_MS + 600_000).await,
            false => clock.sleep(seconds(600)).await,
        }
    };
    let waits = [false, true].map(|by_day| tokio::spawn(ends_at(clock.clone(), by_day)));
    settle().await;
    advance(seconds(10)).await;
    change(&clock);
    let began = Instant::now();
    for wait in waits {
        wait.await.unwrap();
    }
    let took = began.elapsed();
    let late = took.saturating_sub(expected);
    assert!(
        took >= expected && late < Duration::from_millis(20),
        "{took:?} {expected:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn waits_notice_a_change_at_once() {
    ends_after(|_| {}, seconds(590)).await;
    ends_after(|clock| clock.set_scale(59.0).unwrap(), seconds(10)).await;
    ends_after(|clock| clock.set_scale(0.5).unwrap(), seconds(1_180)).await;
    ends_after(|clock| clock.advance(seconds(500)).unwrap(), seconds(90)).await;
    ends_after(|clock| clock.advance(seconds(590)).unwrap(), seconds(0)).await;
    let back = |clock: &Clock| {
        clock.set_scale(10.0).unwrap();
        clock.reset().unwrap();
    };
    ends_after(back, seconds(590)).await;
}

#[tokio::test(start_paused = true)]
async fn no_change_shortens_a_clients_own_limit() {
    let clock = Clock::since(START_MS);
    let waiter = clock.clone();
    let began = Instant::now();
    let limit = seconds(30);
    let call = tokio::spawn(async move {
        let never = std::future::pending::<()>();
        waiter.machine_timeout(limit, never).await
    });
    settle().await;
    clock.advance(seconds(3_660)).unwrap();
    clock.set_scale(60.0).unwrap();
    assert_eq!(call.await.unwrap(), None);
    assert!(began.elapsed() >= limit);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_known_in_the_machines_time() {
    let clock = Clock::since(START_MS);
    assert_eq!(clock.machine_time_until(seconds(60)), Some(seconds(60)));
    clock.set_scale(60.0).unwrap();
    let left = clock.machine_time_until(seconds(60)).unwrap();
    assert_eq!(left.as_millis(), 1_000);
    clock.advance(seconds(60)).unwrap();
    assert_eq!(clock.machine_time_until(seconds(60)), Some(Duration::ZERO));
    let (stands, hand) = Clock::manual(START_MS);
    assert_eq!(stands.machine_time_until(seconds(60)), None);
    hand.advance(seconds(60));
    assert_eq!(stands.machine_time_until(seconds(60)), Some(Duration::ZERO));
}
