//! Commands on a state directory: `keys`, `backup`, `restore`.

use std::path::Path;
use std::process::Output;

use crate::serve::{HUB, start};
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
fn a_lost_key_is_not_the_end_of_the_bridge() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let exports = folder.join("subscriptions.csv");
    let rows = "d1,Methods,http://127.0.0.1:3000/s3cret,2021-05-03 12:34:56\n";
    std::fs::write(&exports, rows).expect("it is written");
    let state = folder.join("state");
    let (state, exports) = (
        state.to_str().expect("text"),
        exports.to_str().expect("text"),
    );
    let import = ["import", "--state", state, "--subscriptions", exports];
    done(folder, &import);
    let unreadable = ["keys", "unreadable"];
    assert_eq!(done(folder, &unreadable), "everything can be read\n");

    // Away, and another one in its place: the start names the command, with what it needs.
    let keyring = format!("{state}/keyring");
    let aside = format!("{state}/keyring.aside");
    std::fs::rename(&keyring, &aside).expect("it is there");
    let named = format!("`drawspan keys unreadable --state '{state}' --keyring '{keyring}'`");
    refused(folder, &starting(), 1, &named);
    refused(folder, &["keys", "unreadable"], 1, "device \"d1\"  Methods");
    refused(folder, &["keys", "list"], 1, &named);
    // A copy of it is better.
    std::fs::rename(&aside, &keyring).expect("it is there");
    let serve = start(folder);
    assert_eq!(done(folder, &unreadable), "everything can be read\n");
    let remove = ["keys", "unreadable", "--remove"];
    refused(folder, &remove, 1, "is in use by another process");
    drop(serve);

    std::fs::remove_file(&keyring).expect("it is there");
    let removed = done(folder, &remove);
    assert!(
        removed.contains("removed: 1 subscription, 0 dead letters"),
        "{removed}"
    );
    assert!(
        removed.contains("To subscribe again") && !removed.contains("s3cret"),
        "{removed}"
    );
    drop(start(folder));
    let nothing = "everything can be read; nothing was removed\n";
    assert_eq!(done(folder, &remove), nothing);
    // As it was made the first time.
    done(folder, &import);
    drop(start(folder));
}

/// A `serve` that is expected to stop by itself.
fn starting() -> Vec<&'static str> {
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--api-key", "k"];
    arguments.extend(["--hub-connection-string", HUB]);
    arguments
}

#[test]
fn without_a_state_directory_they_say_what_is_missing() {
    let output = command(&["keys", "rotate"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output).contains("--state DIR"), "{}", text(&output));
}
