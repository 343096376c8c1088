use std::fs;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::test_hub::{HUB, key};

fn store(folder: &Path, kept: Kept) -> Arc<BlobStore> {
    BlobStore::new(Parts {
        host: HostName::parse(HUB).unwrap(),
        clock: Clock::manual(1_800_000_000_000).0,
        key: key(4),
        folder: folder.join("files"),
        blobs: Blobs::restore(1_000, kept),
        store: None,
    })
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("files")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn put(store: &Arc<BlobStore>, name: &str, contents: &[u8]) -> Result<(), BlobError> {
    let (name, none) = (Arc::from(name), Condition::None);
    let mut writing = store
        .write_blob(&name, contents.len() as u64, &none)
        .await?;
    for piece in contents.chunks(3) {
        writing.piece(piece).await?;
    }
    let written = writing.end(None).await?;
    store.put(written, &name, Vec::new(), &none).await?;
    Ok(())
}

async fn put_block(store: &Arc<BlobStore>, name: &str, id: &str, contents: &[u8]) {
    let bytes = contents.len() as u64;
    let mut writing = store.write_block(name, id, bytes).await.unwrap();
    writing.piece(contents).await.unwrap();
    let written = writing.end(None).await.unwrap();
    store.put_block(written, &name.into(), id).await.unwrap();
}

async fn contents(store: &BlobStore, name: &str) -> String {
    let (_, mut file) = store.open(name).await.unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_blob_is_one_readable_file_and_the_old_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Kept::default());
    put(&store, "device/ä/photo.jpg", b"first").await.unwrap();
    put(&store, "device/ä/photo.jpg", b"second").await.unwrap();
    assert_eq!(contents(&store, "device/ä/photo.jpg").await, "second");
    let name = "0000000000000002-device___photo.jpg";
    assert_eq!(files(folder.path()), [name]);
    store.delete("device/ä/photo.jpg").await.unwrap();
    assert_eq!(files(folder.path()), Vec::<String>::new());
    let missing = store.open("device/ä/photo.jpg").await.unwrap_err();
    assert!(matches!(missing, BlobError::Refused(Refused::NotFound)));
}

#[tokio::test]
async fn blocks_are_put_together_in_the_order_of_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Kept::default());
    for (id, text) in [("AAAA", "one "), ("AAAB", "two "), ("AAAC", "not used")] {
        put_block(&store, "d/b", id, text.as_bytes()).await;
    }
    assert_eq!(files(folder.path()).len(), 3);
    let ids = ["AAAB", "AAAA", "AAAB"].map(str::to_owned);
    let (name, none) = (Arc::from("d/b"), Condition::None);
    let blob = store.commit(&name, &ids, Vec::new(), &none).await.unwrap();
    assert_eq!(
        (blob.bytes, &*contents(&store, "d/b").await),
        (12, "two one two ")
    );
    assert_eq!(files(folder.path()), ["0000000000000004-d_b"]);
    let again = store
        .commit(&name, &ids, Vec::new(), &none)
        .await
        .unwrap_err();
    assert!(matches!(again, BlobError::Refused(Refused::BlockList)));
    let empty = store.commit(&name, &[], Vec::new(), &none).await.unwrap();
    assert_eq!(empty.bytes, 0);
}

#[tokio::test]
async fn what_is_not_whole_leaves_no_file_and_no_room_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Kept::default());
    let (name, none) = (Arc::from("d/b"), Condition::None);
    let begin = || store.write_blob(&name, 900, &none);
    let less = begin().await.unwrap().end(None).await.unwrap_err();
    assert!(matches!(less, BlobError::Length));
    let more = begin().await.unwrap().piece(&[0; 901]).await.unwrap_err();
    assert!(matches!(more, BlobError::Length));
    drop(begin().await.unwrap());
    let mut writing = begin().await.unwrap();
    writing.piece(&[0; 900]).await.unwrap();
    let other = writing.end(Some([0; 16])).await.unwrap_err();
    assert!(matches!(other, BlobError::Md5));
    assert_eq!(files(folder.path()), Vec::<String>::new());
    let held = begin().await.unwrap();
    let full = put(&store, "d/c", &[0; 101]).await.unwrap_err();
    assert!(matches!(full, BlobError::Refused(Refused::NoRoom { .. })));
    drop(held);
    put(&store, "d/c", &[0; 1_000]).await.unwrap();
}

#[tokio::test]
async fn files_that_the_index_does_not_know_are_removed_at_the_start_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path(), Kept::default());
    put(&first, "d/kept", b"kept").await.unwrap();
    put(&first, "d/lost", b"lost").await.unwrap();
    put_block(&first, "d/x", "AAAA", b"block").await;
    fs::write(folder.path().join("files/notes.txt"), "mine").unwrap();
    put(&first, "d/removed", b"removed").await.unwrap();
    let removed = first.get("d/removed").unwrap();
    fs::remove_file(first.folder.path(&removed.contents())).unwrap();
    let mut kept = Kept {
        blobs: vec![first.get("d/kept").unwrap(), removed],
        blocks: Vec::new(),
    };
    let missing = forget_missing(&folder.path().join("files"), &mut kept);
    assert_eq!(missing, [Arc::from("d/removed")]);
    let again = store(folder.path(), kept);
    assert_eq!(
        files(folder.path()),
        ["0000000000000001-d_kept", "notes.txt"]
    );
    assert_eq!(contents(&again, "d/kept").await, "kept");
    let path = folder.path().join("files/0000000000000001-d_kept");
    fs::write(path, "cut").unwrap();
    let cut = again.open("d/kept").await.unwrap_err().to_string();
    assert!(cut.contains("3 bytes instead of 4"), "{cut}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Kept::default());
    put(&store, "d/b", b"x").await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = folder.path().join("files");
    assert_eq!(mode(&files), 0o700);
    assert_eq!(mode(&files.join("0000000000000001-d_b")), 0o600);
}
