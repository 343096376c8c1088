//! Counts of events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use axum::extract::State;
use drawspan_emulator_hub::observe::Observer;
use drawspan_hub_model::event::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::https::Shared;

/// How often each event has happened. The names are those of a closed list.
#[derive(Debug, Default)]
pub(crate) struct Counters(RwLock<BTreeMap<&'static str, AtomicU64>>);

/// Events by name, at all hubs and at DPS.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct CounterList {
    counters: BTreeMap<String, u64>,
}

impl Observer for Counters {
    fn observe(&self, event: &Event) {
        let name = event.what.name();
        let counted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get(name) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(counted);
        let mut counted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(name).or_default();
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// `GET /emulator/counters`
pub(super) async fn list(State(shared): State<Shared>) -> Json<CounterList> {
    let counted = &shared.control.counters.0;
    let counted = counted.read().unwrap_or_else(PoisonError::into_inner);
    let counters = counted
        .iter()
        .map(|(name, count)| ((*name).to_owned(), count.load(Ordering::Relaxed)));
    Json(CounterList {
        counters: counters.collect(),
    })
}

pub(super) fn text(list: &CounterList) -> String {
    let line = |(name, count): (&String, &u64)| format!("{count:>10}  {name}");
    let lines: Vec<String> = list.counters.iter().map(line).collect();
    match lines.is_empty() {
        true => "nothing has happened".to_owned(),
        false => lines.join("\n"),
    }
}
