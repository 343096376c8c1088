//! Subscriptions, links, methods, messages, desired properties and holds, under the controller.

use drawspan_sim::{Tally, run_downlinks};

#[test]
fn downlinks_hold() {
    let mut sum = Tally::default();
    let seeds = std::env::var("SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(150) {
        match run_downlinks(seed, false) {
            Ok(tally) => sum.add(&tally),
            Err(failed) => panic!("{failed}"),
        }
    }
    for (what, count) in sum.iter() {
        println!("{count:>12} {what}");
    }
    for what in [
        "opened",
        "methods",
        "messages delivered",
        "messages handed out",
        "settled",
        "twins read",
        "links refused",
        "busy",
        "dead letters",
    ] {
        assert!(sum.count(what) > 100, "{what}");
    }
}
