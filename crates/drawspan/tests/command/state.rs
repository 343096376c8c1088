//! Commands on a state directory: `keys`, `backup`, `restore`.

use std::path::Path;
use std::process::Output;

use crate::serve::start;
use crate::support::command;

fn on(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(arguments);
    command.env("DRAWSPAN_STATE", folder.join("state"));
    command.output().expect("the command runs")
}

fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(error)
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = on(folder, arguments);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(folder: &Path, arguments: &[&str], code: i32, expected: &str) {
    let output = on(folder, arguments);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn keys_are_exchanged_and_backups_made_beside_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    refused(folder, &["keys", "list"], 1, "is that the state directory?");
    let serve = start(folder);
    let listed = done(folder, &["keys", "list"]);
    let row = listed.lines().nth(1).expect("a key");
    assert!(
        row.starts_with("   1  20") && row.ends_with("0  current"),
        "{listed}"
    );
    let rotated = done(folder, &["keys", "rotate", "--prune"]);
    assert!(rotated.starts_with("key 2 is current"), "{rotated}");
    assert!(rotated.ends_with("left: 2\n"), "{rotated}");

    let to = folder.join("backups");
    std::fs::create_dir(&to).expect("it is made");
    let told = done(
        folder,
        &[
            "backup",
            "--with-keyring",
            "--to",
            to.to_str().expect("text"),
        ],
    );
    // The last line can be pasted.
    let pasted = told.lines().last().expect("a line");
    let file = pasted.split('\'').nth(3).expect("the backup");
    assert!(Path::new(file).is_file(), "{told}");
    assert!(Path::new(&format!("{file}.keyring")).is_file(), "{told}");
    refused(folder, &["backup", "--to", file], 1, "is there already");
    let restore = ["restore", "--from", file];
    refused(folder, &restore, 1, "is in use by another process");
    drop(serve);
    refused(folder, &restore, 1, "--force");
    let restored = done(folder, &["restore", "--force", "--from", file]);
    assert!(
        restored.contains("drawspan.db.before-restore"),
        "{restored}"
    );
    // And serve goes on with it.
    drop(start(folder));
}

#[test]
fn without_a_state_directory_they_say_what_is_missing() {
    let output = command(&["keys", "rotate"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output).contains("--state DIR"), "{}", text(&output));
}
