use super::*;

const NOW: u64 = 1_800_000_000_000;

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn begin(all: &mut Uploads, of: &str, id: &str, now: u64) -> Result<Arc<Upload>, Refused> {
    begin_named(all, of, id, "a.txt", now)
}

fn begin_named(
    all: &mut Uploads,
    of: &str,
    id: &str,
    name: &str,
    now: u64,
) -> Result<Arc<Upload>, Refused> {
    let new = NewUpload {
        correlation_id: id.into(),
        device: device(of),
        name: name.into(),
        host: "hub.test".into(),
    };
    all.begin(new, now, &mut Effects::default())
}

fn end(all: &mut Uploads, of: &str, id: &str, end: End, now: u64) -> Result<Effects, Refused> {
    let mut effects = Effects::default();
    all.end(&device(of), id, end, now, &mut effects)?;
    Ok(effects)
}

const STORED: End = End::Stored {
    bytes: 7,
    modified_unix_ms: NOW - 1,
};

#[test]
fn a_device_has_ten_uploads_until_they_end_or_expire() {
    let mut all = Uploads::default();
    for number in 0..10 {
        begin(&mut all, "a", &format!("id-{number}"), NOW).unwrap();
    }
    let eleventh = begin(&mut all, "a", "id-10", NOW).unwrap_err();
    assert_eq!(eleventh, Refused::TooMany { max: 10 });
    assert_eq!(eleventh.code().number(), 403_006);
    begin(&mut all, "b", "of b", NOW).unwrap();
    let failed = End::Failed { status: 500 };
    let effects = end(&mut all, "a", "id-3", failed, NOW).unwrap();
    assert!(!effects.notifications, "failed uploads are not notified");
    assert!(matches!(effects.changes[..], [Change::Over(_)]));
    begin(&mut all, "a", "id-10", NOW).unwrap();
    assert!(begin(&mut all, "a", "id-11", NOW).is_err());
    let later = NOW + UPLOAD_TTL_MS;
    begin(&mut all, "a", "id-11", later).unwrap();
    assert_eq!(all.under_way(&device("a"), later), 1);
}

#[test]
fn only_the_device_ends_an_upload_and_only_once_and_in_time() {
    let mut all = Uploads::default();
    let upload = begin(&mut all, "a", "id", NOW).unwrap();
    assert_eq!(&*upload.blob, "a/a.txt");
    let unknown = |result: Result<Effects, Refused>| {
        assert_eq!(result.unwrap_err(), Refused::UnknownId);
    };
    unknown(end(&mut all, "b", "id", STORED, NOW));
    unknown(end(&mut all, "a", "other", STORED, NOW));
    unknown(end(&mut all, "a", &"x".repeat(1_000), STORED, NOW));
    let effects = end(&mut all, "a", "id", STORED, NOW + 1).unwrap();
    assert!(effects.notifications);
    unknown(end(&mut all, "a", "id", STORED, NOW));

    begin(&mut all, "a", "late", NOW).unwrap();
    let late = NOW + UPLOAD_TTL_MS;
    let refused = end(&mut all, "a", "late", STORED, late).unwrap_err();
    assert_eq!(
        (refused, refused.code().number()),
        (Refused::Expired, 400_016)
    );
    let mut effects = Effects::default();
    all.tick(late, &mut effects);
    assert!(
        effects.changes.is_empty(),
        "it is remembered for as long again"
    );
    all.tick(late + UPLOAD_TTL_MS, &mut effects);
    let expired = HubEvent::FileUploadExpired {
        device: device("a"),
        blob: "a/a.txt".into(),
    };
    // The notification expired long before.
    assert_eq!(effects.events[0], expired);
    unknown(end(&mut all, "a", "late", STORED, late));
    assert_eq!((all.deadline(), all.waiting()), (None, 0));
}

#[test]
fn names_that_no_blob_has_are_refused() {
    let mut all = Uploads::default();
    for name in ["", "a\n", "a/", "a.", "a\\", &"x".repeat(1_023)] {
        let refused = begin_named(&mut all, "a", "id", name, NOW).unwrap_err();
        assert!(matches!(refused, Refused::Name(_)), "{name:?}");
    }
    let longest = "x".repeat(1_022);
    begin_named(&mut all, "a", "long", &longest, NOW).unwrap();
    begin_named(&mut all, "a", "odd", "../ü %41?#&.txt", NOW).unwrap();
}

#[test]
fn a_notification_is_handed_out_until_a_service_ends_it() {
    let mut all = Uploads::default();
    for id in ["1", "2", "3"] {
        begin(&mut all, "a", id, NOW).unwrap();
        end(&mut all, "a", id, STORED, NOW).unwrap();
    }
    let token = |byte| LockToken([byte; 16]);
    let mut effects = Effects::default();
    let first = all.lock(token(1), NOW).unwrap();
    assert_eq!((first.sequence, first.item.bytes), (1, 7));
    assert_eq!(all.lock(token(2), NOW).unwrap().sequence, 2);
    all.settle(token(1), Outcome::Complete, NOW, &mut effects)
        .unwrap();
    let twice = all.settle(token(1), Outcome::Complete, NOW, &mut effects);
    assert_eq!(twice, Err(LockLost));
    all.settle(token(2), Outcome::Abandon, NOW, &mut effects)
        .unwrap();
    let again = all.lock(token(3), NOW).unwrap();
    assert_eq!((again.sequence, again.delivery_count), (2, 1));
    all.settle(token(3), Outcome::Reject, NOW, &mut effects)
        .unwrap();
    let ends: Vec<_> = effects
        .events
        .iter()
        .filter_map(|event| match event {
            HubEvent::FileNotificationEnded { number, end, .. } => Some((*number, *end)),
            _ => None,
        })
        .collect();
    let expected = [
        (1, NotificationEnd::Completed),
        (2, NotificationEnd::Rejected),
    ];
    assert_eq!(ends, expected);

    // A lock that runs out does not count; giving back does.
    assert_eq!(all.lock(token(4), NOW).unwrap().sequence, 3);
    assert!(all.lock(token(5), NOW).is_none());
    let mut effects = Effects::default();
    all.tick(NOW + UPLOAD_LOCK_MS, &mut effects);
    assert!(effects.notifications && effects.changes.is_empty());
    for given_back in 1..=UPLOAD_NOTICE_DELIVERY_COUNT {
        let locked = all.lock(token(6), NOW).unwrap();
        assert_eq!(locked.delivery_count, given_back - 1);
        all.settle(token(6), Outcome::Abandon, NOW, &mut effects)
            .unwrap();
    }
    assert_eq!(all.waiting(), 0);
    let last = effects.events.last().unwrap();
    assert!(last.to_string().contains("DeliveryCountExceeded"), "{last}");
}

#[test]
fn what_was_stored_goes_on_and_goes_with_its_device() {
    let mut all = Uploads::default();
    let kept = Kept {
        uploads: vec![
            begin(&mut all, "a", "1", NOW).unwrap(),
            begin(&mut all, "b", "2", NOW).unwrap(),
        ],
        notifications: Vec::new(),
        last_number: 41,
    };
    let mut again = Uploads::restore(Settings::default(), &Limits::default(), kept);
    again.forget(&device("b"));
    assert!(again.find(&device("b"), "2", NOW).is_err());
    let effects = end(&mut again, "a", "1", STORED, NOW).unwrap();
    let number = |change: &Change| match change {
        Change::Notification(queued) => Some(queued.sequence),
        _ => None,
    };
    assert_eq!(effects.changes.iter().find_map(number), Some(42));
    assert_eq!(
        (
            again.by_id.len(),
            again.of_device.len(),
            again.forgotten.len()
        ),
        (0, 0, 0)
    );
}
