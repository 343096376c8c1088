//! Random steps.

use proptest::prelude::*;

use super::{Step, Who};
use crate::engine::Credit;

pub(super) fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![Just(Who::Client), Just(Who::Server)];
    let credit = prop_oneof![
        (1u32..8).prop_map(Credit::Auto),
        (0u32..8).prop_map(Credit::Manual)
    ];
    let bytes = prop_oneof![0usize..10, 400usize..520, 0usize..5_000];
    let attach = (who(), 0usize..4, any::<bool>(), any::<bool>(), credit).prop_map(
        |(who, session, sends, second, credit)| Step::Attach {
            who,
            session,
            sends,
            second,
            credit,
        },
    );
    let send = (
        any::<usize>(),
        bytes,
        proptest::bool::weighted(0.2),
        1usize..5,
    )
        .prop_map(|(link, bytes, settled, times)| Step::Send {
            link,
            bytes,
            settled,
            times,
        });
    let settle = (any::<usize>(), 0usize..4, any::<bool>()).prop_map(|(pick, outcome, propose)| {
        Step::Settle {
            pick,
            outcome,
            propose,
        }
    });
    let withdraw =
        (any::<usize>(), any::<usize>()).prop_map(|(link, pick)| Step::Withdraw { link, pick });
    let grant = (any::<usize>(), 0u32..8).prop_map(|(link, credit)| Step::Grant { link, credit });
    prop_oneof![
        2 => who().prop_map(Step::Begin),
        6 => attach,
        20 => send,
        12 => settle,
        3 => Just(Step::SettleAll),
        4 => withdraw,
        3 => grant,
        1 => any::<usize>().prop_map(Step::Drained),
        2 => (who(), any::<usize>()).prop_map(|(who, link)| Step::Detach(who, link)),
        1 => (who(), any::<usize>()).prop_map(|(who, session)| Step::End(who, session)),
        12 => Just(Step::Exchange),
        3 => Just(Step::Quiet),
    ]
}
