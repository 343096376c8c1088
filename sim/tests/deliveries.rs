//! Sixty seeds hold, and see everything that there is to see.

use drawspan_sim::{DeliveryReport, run_deliveries};

#[test]
fn deliveries_hold() {
    let mut sum = DeliveryReport::default();
    for seed in 0..60 {
        let report = run_deliveries(seed);
        assert!(report.is_ok(), "{report:?}");
        let report = report.unwrap_or_default();
        sum.offered += report.offered;
        sum.merged += report.merged;
        sum.full += report.full;
        sum.no_share += report.no_share;
        sum.again += report.again;
        sum.attempts += report.attempts;
        sum.taken += report.taken;
        sum.failed += report.failed;
        sum.untried += report.untried;
        sum.left_alone += report.left_alone;
    }
    println!("{sum:?}");
    for count in [
        sum.merged,
        sum.full,
        sum.no_share,
        sum.again,
        sum.taken,
        sum.failed,
        sum.untried,
        sum.left_alone,
    ] {
        assert!(count > 100, "{sum:?}");
    }
}
