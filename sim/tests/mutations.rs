//! Small faults, planted in the cores one at a time, are each found; the cores as they are hold on the same seeds.

use drawspan_fleet::mutation as bridge;
use drawspan_sim::{Failed, Scenario, run, run_deliveries, run_downlinks};

/// Each is found within so many seeds.
const SEEDS: u64 = 60;

fn first_failure() -> Option<Failed> {
    (0..SEEDS).find_map(|seed| run(Scenario::new(seed), false).err())
}

#[test]
fn the_cores_hold() {
    assert_eq!(first_failure(), None);
}

#[test]
fn faults_of_the_bridge_are_found() {
    for mutation in bridge::Mutation::ALL {
        bridge::plant(Some(mutation));
        let found = first_failure();
        bridge::plant(None);
        println!("{mutation:?}: {found:?}");
        assert!(found.is_some(), "{mutation:?} was not found");
    }
}

#[test]
fn faults_of_the_controller_are_found() {
    let first_failure = || (0..100).find_map(|seed| run_downlinks(seed, false).err());
    assert_eq!(first_failure(), None);
    let mut missed = Vec::new();
    for mutation in bridge::Mutation::CONTROLLER {
        bridge::plant(Some(mutation));
        let found = first_failure();
        bridge::plant(None);
        println!("{mutation:?}: {found:?}");
        missed.extend(found.is_none().then_some(mutation));
    }
    assert_eq!(missed, [], "not found");
}

#[test]
fn faults_of_the_deliveries_are_found() {
    let first_failure = || (0..SEEDS).find_map(|seed| run_deliveries(seed).err());
    assert_eq!(first_failure(), None);
    for mutation in bridge::Mutation::DELIVERY {
        bridge::plant(Some(mutation));
        let found = first_failure();
        bridge::plant(None);
        println!("{mutation:?}: {found:?}");
        assert!(found.is_some(), "{mutation:?} was not found");
    }
}
