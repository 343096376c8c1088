//! Devices that are replaced before their replacement was noticed.

use drawspan_amqp::engine::{Event, LinkOptions};
use drawspan_hub::DeviceId;
use drawspan_hub_model::registry::{Change, IfMatch};

use super::{HUB, Pair, create, hub, owner, shared};

#[tokio::test]
async fn a_link_is_for_the_device_that_was_there_when_it_was_attached() {
    let hub = hub(&["a", "b"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &owner(HUB, 100));
    let session = pair.client.begin().unwrap();
    let [link_of_a, _] = ["a", "b"].map(|id| {
        let options = LinkOptions::sender(id, format!("/devices/{id}/messages/events"));
        pair.client.attach(session, options).unwrap()
    });
    pair.run();
    pair.events.clear();

    let a = DeviceId::parse("a").unwrap();
    let change = hub.change(|registry| {
        registry.delete(&a, &IfMatch::Any).unwrap();
        let created = create(registry, "a", "2");
        ((), vec![Change::Delete(a.clone()), created])
    });
    change.await.unwrap();
    pair.end.head.look(&mut pair.end.connection, pair.end.now);
    pair.run();
    let [Event::Detached { link, error, .. }] = &pair.events[..] else {
        panic!("{:?}", pair.events);
    };
    let error = error.as_ref().unwrap();
    assert_eq!(
        (*link, error.condition.as_str()),
        (link_of_a, "amqp:not-found")
    );

    pair.events.clear();
    let options = LinkOptions::sender("again", "/devices/a/messages/events");
    let again = pair.client.attach(session, options).unwrap();
    pair.run();
    let attached = |event: &Event| matches!(event, Event::Attached { link, .. } if *link == again);
    assert!(pair.events.iter().any(attached), "{:?}", pair.events);
}
