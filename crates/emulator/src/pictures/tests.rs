//! The pictures of `docs/lifecycle.md` are what their commands draw, and show the figures that its text names.

use std::path::PathBuf;

use clap::Parser;

use super::{PictureArgs, run};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: PictureArgs,
}

fn draw(line: &str) -> String {
    let words = ["picture"].into_iter().chain(line.split(' '));
    run(&Command::try_parse_from(words).unwrap().args).unwrap()
}

/// The commands in the page, and the pictures that it shows.
fn of_the_page() -> Vec<(String, PathBuf)> {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("lifecycle.md")).unwrap();
    let commands = page.lines().filter_map(|line| {
        let line = line.strip_prefix("drawspan emulator picture ")?;
        let (words, file) = line.split_once(" -o ")?;
        assert!(
            page.contains(&format!("(pictures/{file})")),
            "{file} is not shown"
        );
        Some((words.to_owned(), docs.join("pictures").join(file)))
    });
    commands.collect()
}

#[test]
fn the_pictures_in_the_docs_are_what_their_commands_draw() {
    let commands = of_the_page();
    assert_eq!(commands.len(), 3);
    for (words, file) in commands {
        let drawn = draw(&words);
        if std::env::var_os("DRAW_PICTURES").is_some() {
            std::fs::write(&file, &drawn).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            drawn == kept,
            "{} is old: drawspan emulator picture {words} -o docs/pictures/…",
            file.display()
        );
    }
}

#[test]
fn the_figures_of_the_rules_are_in_the_pictures() {
    let shows = |line: &str, texts: &[&str]| {
        let svg = draw(line);
        for text in texts {
            assert!(svg.contains(text), "{line}: {text}");
        }
    };
    shows(
        "mass-connect --sku S1 --sku S1x2",
        &["S1x1: 999 s", "S1x2: 999 s"],
    );
    shows("mass-connect --sku S1x9", &["S1x9: 925 s"]);
    shows(
        "throttle",
        &["delayed from 60 s", "refused from 120 s: 429001"],
    );
    shows(
        "sas-expiry",
        &[
            "401003, 404104: connection cut",
            "401003, 404104: links cut",
        ],
    );
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |line: &str| {
        let words = ["picture"].into_iter().chain(line.split(' '));
        Command::try_parse_from(words).is_err()
    };
    assert!(refused("mass-connect --sku S9"));
    assert!(refused("throttle --rate 0"));
    assert!(refused("sas-expiry --life 0"));
    assert!(refused("throttles"));
}
