//! Events that are redirected to another receiver.

use super::*;

#[test]
fn what_is_sent_elsewhere_counts_there() {
    let config = DeliveryConfig {
        bytes: 64_000,
        ..DeliveryConfig::new(5, 1)
    };
    let mut bench = Bench::new(config);
    let filled = fill(&mut bench, 0..100, "a");
    let b: Arc<str> = "b".into();
    for device in 0..filled {
        let lane = lane(u32::try_from(device).unwrap(), METHOD);
        bench.deliveries.redirect(&lane, &b, |_| {}, bench.now);
    }
    assert_eq!(
        bench.offer(100, METHOD, "b", 1),
        Offered::Full(NoRoom::Share)
    );
    assert_eq!(fill(&mut bench, 100..200, "a"), 16);
}

#[test]
fn an_event_can_be_sent_elsewhere_and_not_be_wanted_any_more() {
    let mut bench = Bench::usual();
    bench.offer(1, STATUS, "old", 1);
    bench.offer(1, STATUS, "old", 2);
    let attempt = bench.begin_one();
    let mut told = Vec::new();
    let update = |job: &mut Number| told.push(job.0);
    let new: Arc<str> = "new".into();
    bench
        .deliveries
        .redirect(&lane(1, STATUS), &new, update, bench.now);
    assert_eq!(told, [1, 2]);
    assert_eq!(bench.done(attempt, failed()), None);
    let begun = bench.begin();
    assert_eq!((begun[0].1, &*begun[0].2), (1, "new"), "at once");
    bench.deliveries.withdraw(&lane(1, STATUS));
    assert_eq!(bench.finished(), [(2, 0, Outcome::Untried)]);
    let end = Outcome::Failed(AttemptFailure::Status(503));
    assert_eq!(bench.done(begun[0].0, failed()), Some((1, 2, end)));
    assert!(bench.deliveries.is_at_rest());
}

#[test]
fn what_rests_rests_on_unless_it_is_sent_elsewhere() {
    let check = |to: &str, at_once: bool| {
        let mut bench = Bench::usual();
        bench.offer(1, STATUS, "old", 1);
        let attempt = bench.begin_one();
        assert_eq!(bench.done(attempt, failed()), None);
        let rests_until = bench.deliveries.due(bench.now).unwrap();
        let deliveries = &mut bench.deliveries;
        deliveries.redirect(&lane(1, STATUS), &to.into(), |_| {}, bench.now);
        assert_eq!(bench.begin().len(), usize::from(at_once), "{to}");
        if !at_once {
            assert_eq!(bench.sleep(), rests_until);
            bench.begin_one();
        }
    };
    check("new", true);
    // Another URL of the same receiver.
    check("old", false);
}
