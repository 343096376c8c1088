//! Sessions of two protocols for the same device.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use drawspan_hub::DeviceId;
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

fn attach(sessions: &Sessions, device: &DeviceId, probe: &Arc<Probe>) -> Attached {
    let session: Arc<dyn DeviceSession> = Arc::<Probe>::clone(probe);
    let mut result = Attached::New;
    sessions.attach(device, &session, |attached| result = attached);
    result
}

fn detach(sessions: &Sessions, device: &DeviceId, probe: &Arc<Probe>, is_empty: bool) -> bool {
    let session: Arc<dyn DeviceSession> = Arc::<Probe>::clone(probe);
    let mut result = false;
    sessions.detach(device, &session, || is_empty, || result = true);
    result
}

#[test]
fn a_device_has_one_session() {
    let (sessions, device) = (Sessions::default(), DeviceId::parse("a").unwrap());
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
    sessions.message_waits(&device);
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
