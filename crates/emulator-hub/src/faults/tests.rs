use drawspan_hub::DeviceId;
use drawspan_hub_model::event::Protocol;

use super::*;

fn host() -> HostName {
    HostName::parse("hub.test").unwrap()
}

fn client(id: &str) -> ClientId {
    DeviceId::parse(id).unwrap().into()
}

fn refuse(operation: Operation, scope: Scope, share: u8) -> Fault {
    Fault::Refuse {
        operation,
        scope,
        code: operation.default_code(),
        share,
    }
}

#[test]
fn faults_of_the_command_line_are_read_strictly() {
    for (text, shown) in [
        (
            "renewals=1%",
            "refuse renewals of all with 500001, 1% of them",
        ),
        ("renewals=100%", "refuse renewals of all with 500001"),
        ("stall=sensor-1", "stall device sensor-1"),
        ("stall=a=b", "stall device a=b"),
    ] {
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), shown);
    }
    for text in [
        "",
        "renewals",
        "renewals=10",
        "renewals=0%",
        "renewals=101%",
        "renewals=-1%",
        "renewals=1.5%",
        "Renewals=10%",
        "stall",
        "stall=",
        "stall=a/b",
        "drop=10%",
    ] {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
}

#[test]
fn a_share_is_exact_and_spread() {
    for percent in [1_u8, 10, 33, 50, 99, 100] {
        let faults = Faults::none();
        let fault = refuse(Operation::Renewals, Scope::All, percent);
        faults.set(fault, None).unwrap();
        let fails = || faults.refusal(Operation::Renewals, &host(), None).is_some();
        let failing = |number: usize| (0..number).filter(|_| fails()).count();
        let (first, second) = (failing(50), failing(50));
        assert_eq!(first + second, usize::from(percent), "{percent}");
        assert!(
            first.abs_diff(second) <= 1,
            "{percent}: {first} and {second}"
        );
        assert_eq!(faults.list()[0].hits, u64::from(percent));
    }
}

#[test]
fn a_fault_has_a_scope_and_a_life_in_the_emulators_time() {
    let (clock, hand) = Clock::manual(1_000);
    let faults = Faults::new(clock.clone(), Connections::new(clock), &[]);
    let life = Some(Duration::from_secs(10));
    let scope = Scope::Device(DeviceId::parse("a").unwrap());
    let fault = refuse(Operation::D2c, scope, 100);
    assert_eq!(faults.set(fault, life), Ok(1));
    let asked = |operation, id| faults.refusal(operation, &host(), Some(&client(id)));
    assert_eq!(
        asked(Operation::D2c, "a"),
        Some(ErrorCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(asked(Operation::D2c, "b"), None);
    assert_eq!(asked(Operation::Connects, "a"), None);
    assert_eq!(faults.refusal(Operation::D2c, &host(), None), None);
    hand.advance(Duration::from_secs(10));
    assert_eq!(asked(Operation::D2c, "a"), None);
    assert!(faults.list().is_empty());
    assert_eq!(faults.set(Fault::Stall(Scope::All), None), Ok(2));
    assert!(faults.stalls(&host(), &client("z")));
    assert_eq!(faults.lift(Some(1)).len() + faults.lift(None).len(), 1);
    assert!(!faults.stalls(&host(), &client("z")));
}

#[test]
fn active_faults_are_bounded() {
    let faults = Faults::none();
    let set = || faults.set(Fault::Stall(Scope::All), None);
    assert!((0..FAULTS_MAX).all(|_| set().is_ok()));
    assert_eq!(set(), Err(TooManyFaults(FAULTS_MAX)));
}

fn injection(properties: &[(&str, &str)]) -> Option<Injection> {
    let get = |name: &str| {
        let mut all = properties.iter();
        let found = all.find(|(of, _)| format!("AzIoTHub_FaultOperation{of}") == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Injection::of(get)
}

#[test]
fn properties_of_the_suites_are_understood() {
    let of = |properties: &[(&str, &str)]| {
        let found = injection(properties)?;
        Some((
            found.name,
            found.delay.as_millis(),
            found.duration.as_secs(),
        ))
    };
    let node = [
        ("Type", "KillTcp"),
        ("CloseReason", " severs the TCP connection "),
        ("DelayInSecs", "2"),
        ("DurationInSecs", "20"),
    ];
    assert_eq!(of(&node), Some(("KillTcp", 2_000, 20)));
    assert_eq!(
        of(&[("Type", "InvokeThrottling"), ("DelayInSecs", "0.5")]),
        Some(("InvokeThrottling", 500, 10))
    );
    assert_eq!(of(&[("Type", "BlowUp")]), None);
    assert_eq!(of(&[("CloseReason", "boom")]), None);
    let odd = [("Type", "ShutDownMqtt"), ("DelayInSecs", "-1e400")];
    assert_eq!(of(&odd), Some(("ShutDownMqtt", 0, 10)));
    let long = [("Type", "ShutDownMqtt"), ("DelayInSecs", "1e300")];
    assert_eq!(of(&long), Some(("ShutDownMqtt", 86_400_000, 10)));
}

#[tokio::test]
async fn what_a_message_asks_for_begins_after_its_delay() {
    let (clock, hand) = Clock::manual(1_000);
    let connections = Connections::new(clock.clone());
    let faults = Faults::new(clock, Arc::clone(&connections), &[]);
    let peer = ([127, 0, 0, 1], 1).into();
    let entered = connections.enter(peer, Protocol::Amqps, || {});
    let connection = entered.connection();
    let ask = |kind: &str, delay: &str| {
        let asked = injection(&[("Type", kind), ("DelayInSecs", delay)]).unwrap();
        faults.inject(&host(), &client("a"), connection, asked);
    };
    let settle = || async {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    };
    ask("KillAmqpSession", "1");
    settle().await;
    assert!(connection.take_orders().is_empty());
    hand.advance(Duration::from_secs(1));
    settle().await;
    assert!(matches!(
        connection.take_orders()[..],
        [Order::Cut(Cut {
            how: CutHow::Session,
            ..
        })]
    ));
    ask("InvokeMaxMessageQuota", "0");
    ask("ShutDownMqtt", "0");
    settle().await;
    let refusal = || faults.refusal(Operation::D2c, &host(), Some(&client("a")));
    assert_eq!(refusal(), Some(ErrorCode::QUOTA_EXCEEDED));
    assert!(connection.take_orders().is_empty());
    hand.advance(Duration::from_secs(10));
    assert_eq!(refusal(), None);
    ask("KillTcp", "0");
    connection.severed().await;
}
