//! A table of every kind of failure with its remedy, the public status of an affected device, the device's next step, and the HTTP
//! status of the request. (`drawspan-hub` tests which code or condition is of which kind.)

use std::time::Duration;

use drawspan_fleet::device::Assignment;
use drawspan_fleet::{Device, Input, Jitter, Now, State};
use drawspan_gateway::DeviceError;
use drawspan_hub::failure::Until;
use drawspan_hub::{
    ConnectionStatus as Status, ConnectionStatusReason as Reason, Failure, FailureKind as Kind,
    HostName, Remedy,
};

use super::problem::Problem;

/// The device's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another attempt after a short wait.
    Soon,
    /// Another attempt when its hub's governor lets it, nothing counted.
    Queued,
    /// No attempt before a time, regardless of requests.
    Firm,
    /// Away for a while: somebody else has the device.
    Yielded,
}

type Row = (Kind, Remedy, Status, Reason, Next, u16);

const RETRYING: Status = Status::DisconnectedRetrying;
const LOST: Reason = Reason::CommunicationError;

#[rustfmt::skip] // a table
const TABLE: &[Row] = &[
    (Kind::HubUnreachable,  Remedy::HubDown,         RETRYING,             LOST,                   Next::Queued,  503),
    (Kind::ConnectionLost,  Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    503),
    (Kind::HubMaintenance,  after(60),               RETRYING,             LOST,                   Next::Firm,    503),
    (Kind::HubSuspended,    Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::HubNotFound,     Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Unauthorized,    Remedy::Reauthenticate,  RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::DeviceNotFound,  Remedy::Reprovision,     Status::Disconnected, Reason::DeviceDisabled, Next::Soon,    502),
    (Kind::DeviceDisabled,  Remedy::Reprovision,     Status::Disconnected, Reason::DeviceDisabled, Next::Soon,    502),
    (Kind::LinkStolen,      Remedy::Yield,           RETRYING,             LOST,                   Next::Yielded, 502),
    (Kind::QuotaExceeded,   midnight(),              RETRYING,             LOST,                   Next::Firm,    502),
    (Kind::ResourceLimit,   Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Throttled,       after(10),               RETRYING,             LOST,                   Next::Firm,    429),
    (Kind::TokenLimit,      Remedy::OtherConnection, RETRYING,             LOST,                   Next::Soon,    503),
    (Kind::ConnectionsFull, Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    503),
    (Kind::QueueFull,       Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Forbidden,       Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::NotFound,        Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::DeviceNotOnline, Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::LockLost,        Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::MessageTooLarge, Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    413),
    (Kind::InvalidRequest,  Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Protocol,        Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Timeout,         Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    504),
    (Kind::ServerError,     Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
    (Kind::Unknown,         Remedy::SlowRetry,       RETRYING,             LOST,                   Next::Soon,    502),
];

const fn after(seconds: u32) -> Remedy {
    Remedy::WaitUntil(Until::After { seconds })
}

const fn midnight() -> Remedy {
    Remedy::WaitUntil(Until::MidnightUtc)
}

/// A device that finds its hub through DPS, and is being opened there.
fn connecting() -> Device {
    let hub = HostName::parse("hub.example").unwrap();
    let mut device = Device::new(Assignment::dps(Some(hub)));
    let _ = device.handle(Input::Permanent(true), now(), Jitter(0));
    let epoch = device.epoch();
    let _ = device.handle(Input::Permit { epoch }, now(), Jitter(0));
    assert_eq!(device.state(), State::Connecting);
    device
}

const fn now() -> Now {
    Now {
        monotonic: Duration::from_secs(1_000),
        unix_s: 1_800_000_000,
    }
}

fn next(device: &Device) -> Next {
    match device.state() {
        State::Queued => Next::Queued,
        State::Waiting { firm: true, .. } => Next::Firm,
        State::Waiting { until, .. } => {
            assert!(
                until - now().monotonic < Duration::from_secs(1),
                "{until:?}"
            );
            Next::Soon
        }
        State::Yielded { .. } => Next::Yielded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_has_its_remedy_its_words_and_its_status() {
    for (kind, remedy, status, reason, expected, http) in TABLE {
        let failure = Failure::local(*kind, "said");
        assert_eq!(failure.remedy(), *remedy, "{kind:?}");

        let mut device = connecting();
        let epoch = device.epoch();
        let failed = Input::OpenFailed {
            epoch,
            failure: &failure,
        };
        let _ = device.handle(failed, now(), Jitter(0));
        assert_eq!(device.status(), Some((*status, *reason)), "{kind:?}");
        assert_eq!(next(&device), *expected, "{kind:?}");

        let problem = Problem::from(DeviceError::Refused(failure));
        assert_eq!(problem.status().as_u16(), *http, "{kind:?}");
    }
}

/// The effect of the table's remedies when they do not help at once.
#[test]
fn a_refused_device_reauthenticates_once_and_then_asks_dps() {
    let refused = |kind, attempts: usize| {
        let failure = Failure::local(kind, "said");
        let mut device = connecting();
        let mut time = now();
        for _ in 0..attempts {
            let epoch = device.epoch();
            let failed = Input::OpenFailed {
                epoch,
                failure: &failure,
            };
            let _ = device.handle(failed, time, Jitter(0));
            time.monotonic = device.next_deadline().unwrap_or(time.monotonic);
            let _ = device.handle(Input::Deadline, time, Jitter(0));
            let epoch = device.epoch();
            let _ = device.handle(Input::Permit { epoch }, time, Jitter(0));
        }
        device.state()
    };
    assert_eq!(refused(Kind::Unauthorized, 1), State::Connecting);
    assert_eq!(refused(Kind::Unauthorized, 2), State::Provisioning);
    assert_eq!(refused(Kind::DeviceNotFound, 1), State::Provisioning);
    assert_eq!(refused(Kind::DeviceDisabled, 1), State::Provisioning);
    for (kind, ..) in TABLE {
        let never = [
            Kind::HubUnreachable,
            Kind::Throttled,
            Kind::QuotaExceeded,
            Kind::LinkStolen,
        ];
        if never.contains(kind) {
            assert_eq!(
                refused(*kind, 5),
                State::Connecting,
                "{kind:?} never asks DPS"
            );
        }
    }
}

/// A kind that is added must be added here: this does not compile otherwise.
#[test]
fn the_table_is_complete() {
    for (kind, ..) in TABLE {
        match kind {
            Kind::HubUnreachable | Kind::ConnectionLost | Kind::HubMaintenance => {}
            Kind::HubSuspended | Kind::HubNotFound | Kind::Unauthorized => {}
            Kind::DeviceNotFound | Kind::DeviceDisabled | Kind::LinkStolen => {}
            Kind::QuotaExceeded | Kind::Throttled | Kind::TokenLimit | Kind::QueueFull => {}
            Kind::ResourceLimit | Kind::ConnectionsFull => {}
            Kind::Forbidden | Kind::NotFound | Kind::DeviceNotOnline | Kind::LockLost => {}
            Kind::MessageTooLarge | Kind::InvalidRequest | Kind::Protocol | Kind::Timeout => {}
            Kind::ServerError | Kind::Unknown => {}
        }
    }
    let kinds: std::collections::HashSet<_> = TABLE.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!((kinds.len(), TABLE.len()), (25, 25));
}
