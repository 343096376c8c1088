//! Answers to callers, and when they wait.

use super::*;

/// What a caller is answered whose device queues.
fn refusal(process: &Process, index: u32) -> Option<FailureKind> {
    let refusal = process.fleet.refusal(index, process.now());
    refusal.map(|failure| failure.kind)
}

#[test]
fn callers_wait_for_a_hub_that_refuses_everyone_if_it_did_not_refuse_their_device() {
    let mut process = Process::new();
    for number in 0..30 {
        process.at(number, "a.net");
    }
    let waiting = process.at(99, "a.net");
    assert_eq!(refusal(&process, waiting), None);
    let hub = ServiceId::of(1);
    let unauthorized = failure(FailureKind::Unauthorized);
    let opens = process.opens();
    let (others, last) = opens.split_at(30);
    for (attempt, _) in others {
        process.fleet.ended(*attempt, &unauthorized, process.now());
    }
    assert_eq!(process.actions(), [], "another key may do");
    process.now += Duration::from_millis(200);
    let with_other_key = process.opens();
    assert_eq!(with_other_key.len(), 30);
    for (attempt, _) in with_other_key {
        process.fleet.ended(attempt, &unauthorized, process.now());
    }
    let [doubt, everyone] = [News::RefusesCredentials, News::RefusesEveryone];
    let [doubt, everyone] = [doubt, everyone].map(|news| Action::News(hub, news));
    assert_eq!(process.actions(), [doubt, everyone, Action::TurnAway(hub)]);
    process.fleet.resync(0, process.now());
    let stands_back = |process: &Process, index| {
        let wait = process.fleet.stands_back(index, process.now());
        wait.is_some()
    };
    assert_eq!(refusal(&process, waiting), None, "it does not queue");
    process.now += Duration::from_millis(500);
    process.actions();
    let queued = process.at(100, "a.net");
    assert_eq!(refusal(&process, queued), None);
    assert!(!stands_back(&process, queued));
    assert!(stands_back(&process, 0));
    // A caller whose device may be the next probe waits for its result.
    process.now += crate::limits::BREAKER_UNTRIED_PROBE_INTERVAL;
    assert!(stands_back(&process, 0));
    process.now += crate::limits::BREAKER_REFUSED_PROBE_INTERVAL;
    assert!(!stands_back(&process, 0));

    process.fleet.opened(last[0].0, process.now());
    let news = Action::News(hub, News::TakesCredentials);
    assert_eq!(
        process.actions().iter().filter(|it| **it == news).count(),
        1
    );
    assert_eq!(refusal(&process, queued), None);
}

#[test]
fn callers_wait_for_a_hub_that_is_away_but_not_for_one_that_was_never_there() {
    let check = |reached: bool, expected| {
        let mut process = Process::new();
        let hub = ServiceId::of(1);
        let first = process.at(1, "a.net");
        if reached {
            process.connect(first);
        }
        process.at(2, "a.net");
        let attempts: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
        let away = failure(FailureKind::HubUnreachable);
        process
            .fleet
            .connection_ended(hub, &attempts, &away, process.now());
        assert!(!process.actions().contains(&Action::TurnAway(hub)));
        let waiting = process.at(3, "a.net");
        assert_eq!(refusal(&process, waiting), None, "it may come back");
        process.now += crate::limits::FIRST_CONTACT_PATIENCE;
        let probe: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
        assert_eq!(probe.len(), 1);
        process
            .fleet
            .connection_ended(hub, &probe, &away, process.now());
        let turned_away = process.actions().contains(&Action::TurnAway(hub));
        assert_eq!((turned_away, refusal(&process, waiting)), expected);
    };
    check(true, (false, None));
    check(false, (true, Some(FailureKind::HubUnreachable)));
}

#[test]
fn other_keys_are_tried_at_once() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    for _ in 0..2 {
        let attempt = process.opens()[0].0;
        let failure = failure(FailureKind::Unauthorized);
        process.fleet.ended(attempt, &failure, process.now());
        process.now += Duration::from_millis(200);
    }
    assert!(process.opens().is_empty(), "it waits for minutes");
    process.fleet.credentials_changed(process.now());
    process.connect(index);
}

#[test]
fn what_all_devices_share_is_refused_once_for_all_of_them() {
    use CredentialScope as Scope;
    let check = |credentials, accepted_one: bool, told: bool| {
        let mut process = Process::new();
        process.fleet.config.credentials = credentials;
        if accepted_one {
            let index = process.at(0, "a.net");
            let attempt = process.connect(index);
            process.now += crate::limits::BREAKER_WINDOW * 2;
            let lost = failure(FailureKind::ConnectionLost);
            process.fleet.ended(attempt, &lost, process.now());
            process.fleet.release(index, process.now());
        }
        for number in 1..=crate::limits::BREAKER_DEVICES as u32 {
            process.at(number, "a.net");
        }
        for _ in 0..2 {
            for (attempt, _) in process.opens() {
                let unauthorized = failure(FailureKind::Unauthorized);
                process.fleet.ended(attempt, &unauthorized, process.now());
            }
            process.now += Duration::from_millis(200);
        }
        assert!(process.fleet.refuses_everyone(ServiceId::of(1)));
        let untried = process.at(99, "a.net");
        let expected = told.then_some(FailureKind::Unauthorized);
        let case = format!("{credentials:?} {accepted_one}");
        assert_eq!(refusal(&process, untried), expected, "{case}");
        // It is a probe all the same, also when its caller has been answered.
        process.asks(CALLER, untried);
        process.fleet.context_mut(untried).unwrap().callers.clear();
        assert!(process.opens_in(2).contains(&untried), "{case}");
    };
    check(Scope::Device, false, false);
    check(Scope::Device, true, false);
    check(Scope::Policy, false, true);
    check(Scope::Policy, true, true);
}

#[test]
fn a_hub_that_takes_the_other_key_does_not_refuse_everyone() {
    let mut process = Process::paced(10);
    for number in 0..500 {
        process.at(number, "a.net");
    }
    let mut refused = Vec::new();
    for _ in 0..30 {
        for (attempt, _) in process.opens() {
            if refused.contains(&attempt.device) {
                process.fleet.opened(attempt, process.now());
            } else {
                let unauthorized = failure(FailureKind::Unauthorized);
                process.fleet.ended(attempt, &unauthorized, process.now());
                refused.push(attempt.device);
            }
        }
        process.now += Duration::from_millis(100);
    }
    // It is known before all have tried the wrong one.
    assert!(process.fleet.state_counts().connected > 5);
    let news = Action::News(ServiceId::of(1), News::RefusesEveryone);
    assert!(!process.actions().contains(&news));
}

/// A device that was connected until now, and so many others that its hub refuses from now on.
fn refused_after_one_was_accepted(credentials: CredentialScope, others: u32) -> Process {
    let mut process = Process::new();
    process.fleet.config.credentials = credentials;
    let index = process.at(0, "a.net");
    let attempt = process.connect(index);
    process.now += Duration::from_secs(10);
    let lost = failure(FailureKind::ConnectionLost);
    process.fleet.ended(attempt, &lost, process.now());
    process.fleet.release(index, process.now());
    for number in 1..=others {
        let index = process.at(number, "a.net");
        process.fleet.permanent(index, true, process.now());
    }
    for _ in 0..2 {
        for (attempt, _) in process.opens() {
            let unauthorized = failure(FailureKind::Unauthorized);
            process.fleet.ended(attempt, &unauthorized, process.now());
        }
        process.now += Duration::from_millis(200);
    }
    process
}

#[test]
fn a_hub_that_refuses_everyone_soon_after_it_accepted_one_is_said_to_once_time_tells() {
    for (credentials, others) in [
        (
            CredentialScope::Device,
            crate::limits::BREAKER_DEVICES as u32,
        ),
        (CredentialScope::Policy, 2),
    ] {
        let mut process = refused_after_one_was_accepted(credentials, others);
        let hub = ServiceId::of(1);
        assert!(!process.fleet.refuses_everyone(hub), "{credentials:?}");
        process.actions();
        process.now += crate::limits::BREAKER_WINDOW;
        let news = Action::News(hub, News::RefusesEveryone);
        assert!(process.actions().contains(&news), "{credentials:?}");
    }
    // Fewer devices with keys of their own are at fault themselves.
    let mut process = refused_after_one_was_accepted(CredentialScope::Device, 2);
    process.now += crate::limits::BREAKER_WINDOW;
    process.actions();
    assert!(!process.fleet.refuses_everyone(ServiceId::of(1)));
}

#[test]
fn that_a_device_was_refused_is_public_though_its_other_key_will_not_be_tried_soon() {
    let mut process = Process::new();
    let unauthorized = failure(FailureKind::Unauthorized);
    let refuse = |process: &mut Process, attempts: &[(AttemptId, ServiceId)]| {
        for (attempt, _) in attempts {
            process.fleet.ended(*attempt, &unauthorized, process.now());
        }
    };
    let tried = crate::limits::BREAKER_DEVICES as u32;
    (0..tried).for_each(|number| _ = process.at(number, "a.net"));
    let first = process.opens();
    refuse(&mut process, &first);
    process.now += Duration::from_millis(200);
    let with_other_key = process.opens();
    assert_eq!(with_other_key.len(), tried as usize);
    // These are refused once, before all are found to be refused.
    (tried..100).for_each(|number| _ = process.at(number, "a.net"));
    let others = process.opens();
    refuse(&mut process, &others);
    refuse(&mut process, &with_other_key);
    let mut told = std::collections::BTreeSet::new();
    while let Some(action) = process.fleet.action() {
        if let Action::StatusChanged {
            device,
            reason,
            is_new: true,
            ..
        } = action
            && reason == drawspan_hub::ConnectionStatusReason::BadCredential
        {
            told.insert(device);
        }
    }
    assert_eq!(told.len(), 100);
}
