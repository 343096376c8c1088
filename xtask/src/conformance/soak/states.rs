//! Whether every device is where it should be at the end.

use std::collections::{BTreeMap, HashMap};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Soak, api};
use crate::conformance::outage::say;
use crate::error::{Error, Result};

/// By then, counted from the end of the load, good devices are connected, and what was on its way has arrived somewhere.
const WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Page {
    devices: Vec<Listed>,
    continuation: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    device_id: String,
}

/// What `GET /devices/{id}/diagnostics` says.
#[derive(Debug, Deserialize)]
struct Diagnostics {
    state: String,
}

/// State by device.
type States = HashMap<String, String>;

/// What a state means for a device.
#[derive(Debug, PartialEq)]
enum Judgement {
    Arrived,
    /// Must not stay so.
    OnItsWay,
    Wrong,
}

/// Waits until all devices have arrived.
pub(super) fn check(soak: &Soak) -> Result<()> {
    let started = Instant::now();
    let mut states = look()?;
    for (of_kind, wanted) in [("good", soak.good), ("bad", soak.bad), ("stalled", 1)] {
        let found = states.keys().filter(|id| kind(id) == of_kind).count();
        if found != wanted as usize {
            let text = format!("the bridge lists {found} {of_kind} devices, there are {wanted}");
            return Err(Error::Unexpected(text));
        }
    }
    let mut waited_for = staying(None, &states)?;
    while let Some(one) = waited_for.iter().next() {
        if started.elapsed() > WITHIN {
            let text = format!("{} devices are stuck, as {one:?}", waited_for.len());
            return Err(Error::Unexpected(text));
        }
        sleep(PAUSE);
        let now = states_of(waited_for.keys().cloned())?;
        waited_for = staying(Some(&waited_for), &now)?;
        states.extend(now);
    }
    let seconds = started.elapsed().as_secs();
    say(&format!("{seconds} s after the end: {}", counts(&states)));
    Ok(())
}

/// Devices that are on their way: good ones, and those that were in the same state at every look before. An error when one is
/// where it cannot be.
fn staying(before: Option<&States>, now: &States) -> Result<States> {
    let mut staying = States::new();
    for (id, state) in now {
        let stayed = || before.is_none_or(|before| before.get(id) == Some(state));
        match judge(id, state) {
            Judgement::Wrong => {
                let text = format!("{id} is {state}, which it cannot be");
                return Err(Error::Unexpected(text));
            }
            Judgement::OnItsWay if id.starts_with("good-") || stayed() => {
                staying.insert(id.clone(), state.clone());
            }
            Judgement::OnItsWay | Judgement::Arrived => {}
        }
    }
    Ok(staying)
}

/// Good devices and the one that is stalled are subscribed to or in use; bad ones were asked for; others may have become idle.
fn judge(id: &str, state: &str) -> Judgement {
    match (kind(id), state) {
        ("good" | "stalled" | "churn", "connected") => Judgement::Arrived,
        ("churn" | "stalled" | "bad", "idle" | "remembered") => Judgement::Arrived,
        // Its next attempt has a time.
        ("bad", "waiting") => Judgement::Arrived,
        // In turn with other bad ones.
        ("bad", "queued") => Judgement::Arrived,
        ("good" | "churn" | "stalled", "queued" | "waiting") => Judgement::OnItsWay,
        ("good" | "churn" | "stalled" | "bad", "connecting" | "closing") => Judgement::OnItsWay,
        _ => Judgement::Wrong,
    }
}

/// All devices that the bridge knows.
fn look() -> Result<States> {
    let (mut all, mut after) = (States::new(), String::new());
    loop {
        let page: Page = api::ask(&format!("/devices?limit=1000{after}"))?;
        all.extend(states_of(page.devices.into_iter().map(|it| it.device_id))?);
        match page.continuation {
            Some(last) => after = format!("&after={last}"),
            None => return Ok(all),
        }
    }
}

fn states_of(ids: impl Iterator<Item = String>) -> Result<States> {
    let state = |id: String| {
        let found: Diagnostics = api::ask(&format!("/devices/{id}/diagnostics"))?;
        Ok((id, found.state))
    };
    ids.map(state).collect()
}

/// `bad waiting 25, good connected 500`.
fn counts(states: &States) -> String {
    let mut counts = BTreeMap::<_, u32>::new();
    for (id, state) in states {
        *counts.entry((kind(id), state)).or_default() += 1;
    }
    let counts = counts.iter();
    let counts = counts.map(|((kind, state), count)| format!("{kind} {state} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// What stands before the number of a device.
fn kind(id: &str) -> &str {
    id.split_once('-').map_or(id, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_stays_on_its_way_is_stuck() {
        let check = |id: &str, states: &[&str], stuck: Option<bool>| {
            let mut before = None;
            for state in states {
                let now = States::from([(id.to_owned(), (*state).to_owned())]);
                before = match staying(before.as_ref(), &now) {
                    Ok(staying) => Some(staying),
                    Err(_) => return assert_eq!(stuck, None, "{id} {states:?}"),
                };
            }
            let is_stuck = before.is_some_and(|staying| !staying.is_empty());
            assert_eq!(Some(is_stuck), stuck, "{id} {states:?}");
        };
        check("good-1", &["queued", "connected"], Some(false));
        // A good device must arrive, however often it begins again.
        check(
            "good-1",
            &["connecting", "waiting", "connecting"],
            Some(true),
        );
        check("good-1", &["connected", "idle"], None);
        check("bad-1", &["connecting", "connecting"], Some(true));
        check(
            "bad-1",
            &["connecting", "waiting", "connecting"],
            Some(false),
        );
        check("bad-1", &["waiting", "waiting"], Some(false));
        check("bad-1", &["connecting", "connected"], None);
        check("churn-1", &["closing", "closing"], Some(true));
        check("churn-1", &["closing", "idle"], Some(false));
        check("churn-1", &["yielded"], None);
    }
}
