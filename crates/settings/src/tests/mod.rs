mod devices;
mod files;
mod group;
mod layers;
mod legacy;
mod mistakes;
mod reloads;

use std::path::Path;

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
const OTHER_KEY: &str = "ZmVkY2JhOTg3NjU0MzIxMA==";

fn hub(host: &str, key: &str) -> String {
    format!("HostName={host};SharedAccessKeyName=device;SharedAccessKey={key}")
}

/// What is enough to run.
fn good() -> ServeArgs {
    ServeArgs::default()
        .with("listen", "127.0.0.1:0")
        .with("api-key", "key")
        .with("hub-connection-string", &hub("hub.example", KEY))
}

fn dps() -> ServeArgs {
    ServeArgs::default()
        .with("api-key", "key")
        .with("id-scope", "0ne000")
        .with("group-key", KEY)
}

fn no_environment() -> Environment {
    Environment::default()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        environment.set(name, value);
    }
    environment
}

fn config(args: &ServeArgs) -> Config {
    load(args, &no_environment()).config.unwrap()
}

/// A folder with a configuration file of that text.
fn file(text: &str) -> (tempfile::TempDir, ServeArgs) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "drawspan.toml", text);
    let args = ServeArgs {
        config: Some(folder.path().join("drawspan.toml")),
        ..ServeArgs::default()
    };
    (folder, args)
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// These mistakes and no others, in their order.
fn check_mistakes(args: &ServeArgs, environment: &Environment, expected: &[&str]) {
    let mistakes = load(args, environment)
        .config
        .expect_err("there are mistakes");
    let lines = mistakes.lines();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line} / {expected}");
    }
}

fn effective_of(loaded: &Loaded, key: &str) -> (String, String) {
    let row = loaded.effective.iter().find(|row| row.key == key).unwrap();
    (row.shown.clone(), row.source.to_string())
}
