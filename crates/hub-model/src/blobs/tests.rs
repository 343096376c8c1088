use super::*;

const NOW: u64 = 1_800_000_000_000;

fn blobs(quota: u64) -> Blobs {
    Blobs::restore(quota, Kept::default())
}

fn name(text: &str) -> Arc<str> {
    text.into()
}

fn put(all: &mut Blobs, of: &str, bytes: u64) -> Result<Effects, Refused> {
    let (room, mut effects) = (all.reserve(bytes)?, Effects::default());
    all.put(
        &room,
        &name(of),
        Vec::new(),
        &Condition::None,
        NOW,
        &mut effects,
    )?;
    Ok(effects)
}

fn put_block(all: &mut Blobs, of: &str, id: &str, bytes: u64) -> Result<Effects, Refused> {
    let (room, mut effects) = (all.reserve(bytes)?, Effects::default());
    let result = all.put_block(&room, &name(of), id, NOW, &mut effects);
    if result.is_err() {
        all.give_back(&room);
    }
    result.map(|()| effects)
}

#[test]
fn room_is_bounded_and_comes_back() {
    let mut all = blobs(100);
    put(&mut all, "a/1", 60).unwrap();
    let refused = put(&mut all, "a/2", 41).unwrap_err();
    let expected = Refused::NoRoom {
        kept: 60,
        wanted: 41,
        quota: 100,
    };
    assert_eq!(refused, expected);
    assert!(refused.to_string().contains("--upload-size"));
    // What is under way counts.
    let room = all.reserve(40).unwrap();
    assert!(all.reserve(1).is_err());
    all.give_back(&room);
    put_block(&mut all, "a/2", "AAAA", 40).unwrap();
    assert!(all.reserve(1).is_err());
    // The new contents are written before the old ones go.
    assert!(put(&mut all, "a/1", 1).is_err());
    let mut effects = Effects::default();
    all.delete("a/1", &mut effects).unwrap();
    let old = Contents {
        file: 1,
        blob: Some(name("a/1")),
    };
    assert_eq!(effects.unused, [old]);
    put(&mut all, "a/2", 60).unwrap();
    assert_eq!((all.bytes, all.block_count, all.writing), (60, 0, 0));
    assert!(all.reserve(u64::MAX).is_err());
}

#[test]
fn blocks_become_a_blob_and_are_dropped_when_nobody_commits_them() {
    let mut all = blobs(1_000);
    for (id, bytes) in [("AAAA", 10), ("AAAB", 20), ("AAAA", 30)] {
        put_block(&mut all, "a/1", id, bytes).unwrap();
    }
    assert_eq!((all.bytes, all.block_count), (50, 2));
    let ids = ["AAAB", "AAAA", "AAAB"].map(str::to_owned);
    let found = all.blocks("a/1", &ids).unwrap();
    let sizes: Vec<_> = found.iter().map(|block| block.bytes).collect();
    assert_eq!(sizes, [20, 30, 20]);
    let refused = all.blocks("a/1", &["AAAC".to_owned()]).unwrap_err();
    assert_eq!(refused, Refused::BlockList);
    let refusals = [
        ("no base64", Refused::BlockId),
        ("", Refused::BlockId),
        (&"AAAA".repeat(22), Refused::BlockId),
        ("AAAAAAAA", Refused::BlockIdLength),
    ];
    for (id, expected) in refusals {
        assert_eq!(put_block(&mut all, "a/1", id, 1).unwrap_err(), expected);
    }
    let (room, mut effects) = (
        all.reserve_for_blocks("a/1", 980).unwrap(),
        Effects::default(),
    );
    all.give_back(&room);
    assert!(all.reserve_for_blocks("a/1", 1_001).is_err());
    let room = all.reserve_for_blocks("a/1", 70).unwrap();
    let (of, none) = (name("a/1"), Condition::None);
    all.put(&room, &of, Vec::new(), &none, NOW, &mut effects)
        .unwrap();
    assert_eq!(effects.unused.len(), 2, "the blocks");
    assert_eq!((all.bytes, all.block_count, all.deadline()), (70, 0, None));

    put_block(&mut all, "a/2", "AAAA", 5).unwrap();
    let mut effects = Effects::default();
    let due = all.deadline().unwrap();
    assert_eq!(due, NOW + BLOCKS_TTL_MS);
    all.tick(due - 1, &mut effects);
    assert!(effects.changes.is_empty());
    all.tick(due, &mut effects);
    assert!(matches!(&effects.changes[..], [Change::BlocksGone(of)] if **of == *"a/2"));
    assert_eq!((all.bytes, all.block_count), (70, 0));
}

#[test]
fn conditions_hold_or_refuse() {
    let mut all = blobs(1_000);
    let absent = Condition::Absent;
    assert_eq!(all.check("a/1", &absent), Ok(()));
    let any = Condition::Etag("*".into());
    assert_eq!(all.check("a/1", &any), Err(Refused::ConditionNotMet));
    put(&mut all, "a/1", 1).unwrap();
    assert_eq!(all.check("a/1", &absent), Err(Refused::AlreadyExists));
    assert_eq!(all.check("a/1", &any), Ok(()));
    let etag = all.get("a/1").unwrap().etag();
    let exact = Condition::Etag(etag.clone());
    assert_eq!(all.check("a/1", &exact), Ok(()));
    put(&mut all, "a/1", 1).unwrap();
    assert_ne!(all.get("a/1").unwrap().etag(), etag);
    assert_eq!(all.check("a/1", &exact), Err(Refused::ConditionNotMet));
}

#[test]
fn what_was_stored_comes_back_with_its_room() {
    let mut all = blobs(100);
    put(&mut all, "b/1", 60).unwrap();
    put(&mut all, "a/2", 1).unwrap();
    put(&mut all, "b", 1).unwrap();
    put_block(&mut all, "b/1", "AAAA", 30).unwrap();
    let kept = Kept {
        blobs: all.blobs.values().cloned().collect(),
        blocks: all.blocks("b/1", &["AAAA".to_owned()]).unwrap(),
    };
    let mut again = Blobs::restore(100, kept);
    let files: Vec<_> = again.files().collect();
    assert_eq!(files, [2, 3, 1, 4]);
    assert!(again.reserve(9).is_err());
    assert_eq!(again.reserve(8).unwrap().file, 5);
    let names = |prefix, after| -> Vec<_> {
        let found = again.list(prefix, after);
        found.map(|blob| blob.name.to_string()).collect()
    };
    assert_eq!(names("", None), ["a/2", "b", "b/1"]);
    assert_eq!(names("b", None), ["b", "b/1"]);
    assert_eq!(names("b/", None), ["b/1"]);
    assert_eq!(names("", Some("a/2")), ["b", "b/1"]);
    assert_eq!(names("b", Some("b/1")), Vec::<String>::new());
}
