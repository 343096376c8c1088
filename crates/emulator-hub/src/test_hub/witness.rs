//! An observer that keeps what happened.

use std::sync::{Arc, Mutex};

use drawspan_hub_model::event::Event;

use crate::observe::Observer;

/// What happened at the hubs, in its order.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Vec<Event>>);

impl Witness {
    /// One, and the observers of a hub that it watches.
    pub fn new() -> (Arc<Self>, Vec<Arc<dyn Observer>>) {
        let witness = Arc::<Self>::default();
        let observer: Arc<dyn Observer> = Arc::<Self>::clone(&witness);
        (witness, vec![observer])
    }

    /// What happened since the last time: the event's name, its client and what else it says.
    pub fn take(&self) -> Vec<String> {
        let line = |event: Event| {
            let what = event.what;
            let client = what.device().map_or("-", |device| device.as_str());
            format!("{} {client} {what}", what.name())
                .trim_end()
                .to_owned()
        };
        let mut events = self.0.lock().unwrap();
        events.drain(..).map(line).collect()
    }
}

impl Observer for Witness {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
