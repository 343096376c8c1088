//! The registry and bulk operations against a reference that keeps only what a test needs to know.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{fresh, id, spec};
use crate::bulk::{BulkOperation, IdentityOperation};
use crate::device::DeviceStatus;
use crate::limits::Limits;
use crate::registry::{Change, Counts, IfMatch, Registry};
use crate::twin::TwinUpdate;

const NAMES: [&str; 4] = ["a", "A", "b", "c-d"];
const MOST: usize = 3;

/// A condition, relative to what there is.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Same,
    Other,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Create,
    Update(When),
    CreateOrUpdate(When),
    Delete(When),
    Keep,
}

#[derive(Clone, Debug)]
struct Step {
    device: usize,
    disabled: bool,
    kind: Kind,
    /// The value of a tag to set, and whether the rules allow it.
    twin: Option<(When, u8, bool)>,
}

/// A device as the reference knows it.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    etag: String,
    twin_etag: String,
    disabled: bool,
    tag: Option<u8>,
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![3 => Just(When::Always), 2 => Just(When::Same), 1 => Just(When::Other)]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        3 => Just(Kind::Create),
        3 => when().prop_map(Kind::Update),
        2 => when().prop_map(Kind::CreateOrUpdate),
        2 => when().prop_map(Kind::Delete),
        3 => Just(Kind::Keep),
    ];
    let twin = prop::option::of((when(), any::<u8>(), prop::bool::weighted(0.8)));
    (0..NAMES.len(), any::<bool>(), kind, twin).prop_map(|(device, disabled, kind, twin)| Step {
        device,
        disabled,
        kind,
        twin,
    })
}

fn condition(when: When, existing: Option<&str>) -> IfMatch {
    match when {
        When::Always => IfMatch::Any,
        When::Same => IfMatch::Etag(existing.unwrap_or("nothing").to_owned()),
        When::Other => IfMatch::Etag("other".to_owned()),
    }
}

fn holds(when: When) -> bool {
    !matches!(when, When::Other)
}

/// Whether the reference would carry the step out.
fn is_allowed(step: &Step, known: &BTreeMap<&str, Known>) -> bool {
    let before = known.get(NAMES[step.device]);
    let identity = match step.kind {
        Kind::Create => before.is_none() && known.len() < MOST,
        Kind::Update(when) | Kind::Delete(when) => before.is_some() && holds(when),
        Kind::CreateOrUpdate(when) => match before {
            Some(_) => holds(when),
            None => known.len() < MOST,
        },
        Kind::Keep => step.twin.is_none() || before.is_some(),
    };
    let twin = step
        .twin
        .is_none_or(|(when, _, allowed)| allowed && (before.is_none() || holds(when)));
    identity && twin
}

fn operation(step: &Step, before: Option<&Known>, number: u8) -> BulkOperation {
    let name = NAMES[step.device];
    let mut spec = spec(name);
    if step.disabled {
        spec.status = DeviceStatus::Disabled;
    }
    let etag = before.map(|known| known.etag.as_str());
    let identity = match step.kind {
        Kind::Create => IdentityOperation::Create(spec.into(), fresh(number)),
        Kind::Update(when) => {
            IdentityOperation::Update(spec.into(), condition(when, etag), fresh(number))
        }
        Kind::CreateOrUpdate(when) => {
            IdentityOperation::CreateOrUpdate(spec.into(), condition(when, etag), fresh(number))
        }
        Kind::Delete(when) => IdentityOperation::Delete(id(name).into(), condition(when, etag)),
        Kind::Keep => IdentityOperation::Keep(id(name).into()),
    };
    let twin = step.twin.map(|(when, value, allowed)| {
        let tags = if allowed {
            json!({ "tag": value })
        } else {
            json!({ "#": value })
        };
        let update = TwinUpdate {
            tags: tags.as_object().cloned(),
            ..TwinUpdate::default()
        };
        let etag = before.map(|known| known.twin_etag.as_str());
        (update, condition(when, etag))
    });
    BulkOperation { identity, twin }
}

/// What a registry is after a step that was carried out.
fn apply(step: &Step, known: &mut BTreeMap<&str, Known>, registry: &Registry) {
    let name = NAMES[step.device];
    if matches!(step.kind, Kind::Delete(_)) {
        known.remove(name);
        return;
    }
    let Some(entry) = registry.get(&id(name)) else {
        return;
    };
    let before = known.get(name).cloned();
    let replaced = !matches!(step.kind, Kind::Keep);
    let after = Known {
        etag: entry.device.etag.clone(),
        twin_etag: entry.twin().etag(),
        disabled: match &before {
            Some(before) if !replaced => before.disabled,
            _ => step.disabled,
        },
        tag: match step.twin {
            Some((_, value, _)) => Some(value),
            None => before.as_ref().and_then(|before| before.tag),
        },
    };
    if let Some(before) = before {
        assert_eq!(
            before.etag == after.etag,
            !replaced,
            "a new ETag for each change"
        );
        assert_eq!(before.twin_etag == after.twin_etag, step.twin.is_none());
    }
    known.insert(name, after);
}

/// The registry as the reference would have it.
fn seen(registry: &Registry) -> BTreeMap<String, Known> {
    let known = |entry: &crate::registry::Entry| Known {
        etag: entry.device.etag.clone(),
        twin_etag: entry.twin().etag(),
        disabled: entry.device.status == DeviceStatus::Disabled,
        tag: entry
            .twin()
            .tags
            .get("tag")
            .and_then(|tag| u8::try_from(tag.as_u64()?).ok()),
    };
    registry
        .list(100)
        .map(|entry| (entry.device.id.to_string(), known(entry)))
        .collect()
}

proptest! {
    #[test]
    fn bulk_operations_are_carried_out_whole_or_not_at_all(steps in prop::collection::vec(step(), 0..60)) {
        let limits = Limits { devices: MOST, ..Limits::default() };
        let mut registry = Registry::from_stored(&limits, Vec::new(), Vec::new());
        let mut known = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            let allowed = is_allowed(step, &known);
            let name = NAMES[step.device];
            let operation = operation(step, known.get(name), number as u8);
            let result = operation.run(&mut registry, number as u64);
            prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", step, result.err());
            if let Ok(changes) = result {
                let identity = changes.iter().any(|change| !matches!(change, Change::Twin { .. }));
                prop_assert_eq!(identity, !matches!(step.kind, Kind::Keep), "stored: {:?}", changes);
                apply(step, &mut known, &registry);
            }
            let expected: BTreeMap<_, _> = known.iter().map(|(name, known)| ((*name).to_owned(), known.clone())).collect();
            prop_assert_eq!(seen(&registry), expected);
            let disabled = known.values().filter(|known| known.disabled).count();
            let counts = Counts { enabled: known.len() - disabled, disabled, connected: 0 };
            prop_assert_eq!(registry.counts(), counts);
        }
    }
}
