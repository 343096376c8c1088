//! Advice on what to check when the provisioning service refuses a device.

use drawspan_hub::failure::Ending;
use drawspan_hub::{Failure, FailureKind};

use crate::clock_skew::Skew;

/// Adds to a refusal what is most likely wrong. `skew` is how far this machine's clock is from the service's.
pub(super) fn advised(mut failure: Failure, skew: Option<Skew>, by_certificate: bool) -> Failure {
    let advice = match failure.kind {
        FailureKind::Unauthorized => match skew {
            Some(skew) if skew.matters() => {
                if skew.is_refused() {
                    failure.ending = Ending::ClocksDiffer;
                }
                format!("this machine's clock is {skew} that of the provisioning service: set it")
            }
            _ if by_certificate => {
                "check that an enrollment group of this id scope has the authority's certificate, and is enabled"
                    .into()
            }
            _ => {
                "check the enrollment group's key, which is not a device's, and the id scope".into()
            }
        },
        FailureKind::NotFound => {
            "check the id scope, and that an enrollment covers this device".to_owned()
        }
        _ => return failure,
    };
    failure.message.push_str("; ");
    failure.message.push_str(&advice);
    failure
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_clock_key_or_scope() {
        let check = |kind, skew, expected: &str| {
            let failure = advised(Failure::local(kind, "Unauthorized"), skew, false);
            assert_eq!(failure.message, expected);
        };
        let key = "Unauthorized; check the enrollment group's key, which is not a device's, and the id scope";
        let hours = Duration::from_secs(7_200);
        let moment = Duration::from_secs(3);
        check(FailureKind::Unauthorized, None, key);
        check(FailureKind::Unauthorized, Some(Skew::Ahead(moment)), key);
        check(
            FailureKind::Unauthorized,
            Some(Skew::Behind(hours)),
            "Unauthorized; this machine's clock is 7200 s behind that of the provisioning service: set it",
        );
        check(
            FailureKind::Unauthorized,
            Some(Skew::Ahead(hours)),
            "Unauthorized; this machine's clock is 7200 s ahead of that of the provisioning service: set it",
        );
        check(
            FailureKind::NotFound,
            None,
            "Unauthorized; check the id scope, and that an enrollment covers this device",
        );
        check(
            FailureKind::Throttled,
            Some(Skew::Ahead(hours)),
            "Unauthorized",
        );
        let refused = Failure::local(FailureKind::Unauthorized, "Unauthorized");
        let failure = advised(refused, None, true);
        assert!(failure.message.contains("the authority's certificate"));
    }
}
