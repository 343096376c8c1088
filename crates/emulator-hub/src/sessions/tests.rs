//! Sessions of two protocols for the same device, and of its modules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use drawspan_hub::{DeviceId, ModuleId};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::Protocol;
use tokio::sync::oneshot;

use super::{Attached, DeviceSession, MethodCall, Sessions};

/// Counts its notifications.
#[derive(Debug, Default)]
struct Probe {
    replaced: AtomicUsize,
    told: AtomicUsize,
}

impl DeviceSession for Probe {
    fn protocol(&self) -> Protocol {
        Protocol::Amqps
    }

    fn connection(&self) -> u64 {
        7
    }

    fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    fn identity_changed(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn message_waits(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn desired(&self, _: &Bytes) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    fn takes_calls(&self) -> bool {
        false
    }

    fn call(&self, call: MethodCall) -> Result<(), MethodCall> {
        Err(call)
    }
}

fn attach(sessions: &Sessions, client: &ClientId, probe: &Arc<Probe>) -> Attached {
    let session: Arc<dyn DeviceSession> = Arc::<Probe>::clone(probe);
    let mut result = Attached::New;
    sessions.attach(client, &session, |attached| result = attached);
    result
}

fn detach(sessions: &Sessions, client: &ClientId, probe: &Arc<Probe>, is_empty: bool) -> bool {
    let session: Arc<dyn DeviceSession> = Arc::<Probe>::clone(probe);
    let mut result = false;
    sessions.detach(client, &session, || is_empty, || result = true);
    result
}

#[test]
fn a_device_has_one_session() {
    let sessions = Sessions::default();
    let device = ClientId::from(DeviceId::parse("a").unwrap());
    let [first, second] = [(); 2].map(|()| Arc::<Probe>::default());
    assert_eq!(attach(&sessions, &device, &first), Attached::New);
    assert_eq!(attach(&sessions, &device, &first), Attached::Known);
    assert!(!detach(&sessions, &device, &first, false));
    assert_eq!(
        attach(&sessions, &device, &second),
        Attached::Replaced(Protocol::Amqps)
    );
    assert_eq!(first.replaced.load(Ordering::Relaxed), 1);

    assert!(
        !detach(&sessions, &device, &first, true),
        "it is not its own"
    );
    sessions.shut_out(&device);
    sessions.message_waits(&device.device);
    sessions.desired(&device, &Bytes::new());
    let told = [&first, &second].map(|probe| probe.told.load(Ordering::Relaxed));
    assert_eq!(told, [0, 3]);

    assert!(detach(&sessions, &device, &second, true));
    assert!(sessions.is_empty());
    let call = MethodCall {
        name: "reboot".into(),
        payload: Bytes::new(),
        answer: oneshot::channel().0,
    };
    assert!(sessions.call(&device, call).is_err());
}

#[test]
fn a_module_has_a_session_of_its_own_and_leaves_with_its_device() {
    let sessions = Sessions::default();
    let id = |text| DeviceId::parse(text).unwrap();
    let of = |device, module| ClientId::of_module(&id(device), &ModuleId::parse(module).unwrap());
    let clients = [
        of("a", "m"),
        ClientId::from(id("a")),
        of("a", "n"),
        ClientId::from(id("a-")),
        of("b", "m"),
    ];
    let probes = clients.each_ref().map(|client| {
        let probe = Arc::<Probe>::default();
        assert_eq!(attach(&sessions, client, &probe), Attached::New);
        probe
    });
    let told = || {
        probes
            .each_ref()
            .map(|probe| probe.told.load(Ordering::Relaxed))
    };
    sessions.message_waits(&id("a"));
    assert_eq!(told(), [0, 1, 0, 0, 0], "modules get no messages");
    sessions.desired(&of("a", "m"), &Bytes::new());
    assert_eq!(told(), [1, 1, 0, 0, 0]);
    sessions.shut_out(&of("a", "m"));
    assert_eq!(told(), [2, 1, 0, 0, 0]);
    sessions.shut_out(&id("a").into());
    assert_eq!(told(), [3, 2, 1, 0, 0]);
}
