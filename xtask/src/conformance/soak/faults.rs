//! Proof that the faults happened. A soak without them would show nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::loads::HANGING;
use super::{STALLED, Soak};
use crate::conformance::outage::say;
use crate::error::{Error, Result};

/// What the logs and the ledger of bad devices say of faults.
#[derive(Debug, PartialEq)]
struct Faults {
    /// Renewals that the hub refused because it was asked to.
    renewals: u64,
    /// Tokens that the hub refused because of their key or device.
    tokens: u64,
    /// Bad devices that were asked for, and of which the bridge said that the hub refuses them.
    refused_devices: usize,
    /// Sessions of the stalled device that the hub stalled.
    stalled: u64,
    /// Events that the hanging receiver did not answer. The bridge does not log each.
    unanswered: u64,
}

/// An error unless each fault happened.
pub(super) fn check(soak: &Soak, folder: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(Error::io("reading", &path))
    };
    let faults = Faults::find(
        &read("emulator.log")?,
        &read("bridge.log")?,
        &read("bad.tsv")?,
    );
    faults.check(soak)?;
    say(&format!(
        "faults that happened: {} renewals refused, {} tokens of bad devices refused, {} bad devices asked for, {} sessions stalled, a receiver that did not answer",
        faults.renewals, faults.tokens, faults.refused_devices, faults.stalled
    ));
    Ok(())
}

impl Faults {
    fn find(hub: &str, bridge: &str, bad: &str) -> Self {
        let stalled = |line: &&str| line.contains("session stalled") && line.contains(STALLED);
        let unanswered =
            |line: &&str| line.contains("did not answer in time") && line.contains(HANGING);
        let refused = bad.lines().filter_map(|line| {
            let mut fields = line.split('\t').skip(1);
            let device = fields.next()?;
            (fields.next()? == "502").then_some(device)
        });
        Self {
            renewals: refused_tokens(hub, "500001"),
            // Of a wrong key, and of a device that is not registered.
            tokens: refused_tokens(hub, "401003") + refused_tokens(hub, "404"),
            refused_devices: refused.collect::<BTreeSet<_>>().len(),
            stalled: hub.lines().filter(stalled).count() as u64,
            unanswered: bridge.lines().filter(unanswered).count() as u64,
        }
    }

    fn check(&self, soak: &Soak) -> Result<()> {
        let bad = self.tokens > 0 && self.refused_devices == soak.bad as usize;
        let all = [
            (self.renewals > 0, "no renewal was refused"),
            (bad, "not every bad device was asked for and refused"),
            (self.stalled > 0, "no session was stalled"),
            (
                self.unanswered > 0,
                "the receiver that hangs was not called",
            ),
        ];
        let missing = all.iter().filter(|(happened, _)| !happened);
        let missing: Vec<_> = missing.map(|(_, what)| *what).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        Err(Error::Unexpected(format!(
            "{missing}, so this shows nothing: {self:?}"
        )))
    }
}

/// Tokens that the hub refused with this code. It logs some, and then how many more there were.
fn refused_tokens(log: &str, code: &str) -> u64 {
    let (quoted, plain) = (format!("code=\"{code}\""), format!("code={code} "));
    let of_code = |line: &&str| {
        line.contains("token refused") && (line.contains(&quoted) || line.contains(&plain))
    };
    let number = |line: &str| {
        let count = line.split(" count=").nth(1).unwrap_or("1");
        count.trim().parse().unwrap_or(1_u64)
    };
    log.lines().filter(of_code).map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = r#"WARN drawspan_emulator::emulator: this goes wrong, as asked for fault=renewals=10%
WARN drawspan_emulator::emulator: this goes wrong, as asked for fault=stall=stalled-1
INFO drawspan_emulator::refusals: token refused code="401003" reason="the token is signed with another key" what="bad-1"
INFO drawspan_emulator::refusals: token refused code="404" reason="Device bad-2 at IotHub hub not registered." what="bad-2"
"#;
    const RENEWAL: &str = r#"INFO drawspan_emulator::refusals: token refused code="500001" reason="the hub failed, as it was asked to by --fault" what="good-1"
INFO drawspan_emulator::refusals: token refused, more of the same that were not logged code=500001 count=12
"#;
    const STALL: &str = r#"INFO drawspan_emulator::refusals: session stalled code="stall" reason="as asked for by --fault" what="stalled-1 at hub""#;
    const HUNG: &str = "WARN an event was not taken origin=http://127.0.0.1:9001 reason=the receiver did not answer in time";

    fn soak() -> Soak {
        Soak {
            bad: 2,
            ..Soak::SHORT
        }
    }

    #[test]
    fn faults_are_found() {
        let hub = format!("{HUB}{RENEWAL}{STALL}");
        let bad = "1\tbad-1\t502\t5\t6\n2\tbad-2\t502\t5\t6\n3\tbad-1\t502\t5\t6\n";
        let found = Faults::find(&hub, HUNG, bad);
        let expected = Faults {
            renewals: 13,
            tokens: 2,
            refused_devices: 2,
            stalled: 1,
            unanswered: 1,
        };
        assert_eq!(found, expected);
        assert!(found.check(&soak()).is_ok());
    }

    #[test]
    fn each_fault_is_needed() {
        let bad = "1\tbad-1\t502\t5\t6\n2\tbad-2\t502\t5\t6\n";
        let all = format!("{HUB}{RENEWAL}{STALL}");
        let other_receiver = HUNG.replace("9001", "9000");
        for (hub, bridge, bad, missing) in [
            (format!("{HUB}{STALL}"), HUNG, bad, "no renewal"),
            (format!("{RENEWAL}{STALL}"), HUNG, bad, "bad device"),
            (all.clone(), HUNG, "1\tbad-1\t502\t5\t6\n", "bad device"),
            (
                all.clone(),
                HUNG,
                "1\tbad-1\t502\t5\t6\n2\tbad-2\t503\t5\t6\n",
                "bad device",
            ),
            (format!("{HUB}{RENEWAL}"), HUNG, bad, "no session"),
            (all, &other_receiver, bad, "the receiver"),
        ] {
            let error = Faults::find(&hub, bridge, bad).check(&soak()).unwrap_err();
            assert!(error.to_string().contains(missing), "{missing}: {error}");
        }
    }
}
