//! Tests that every example in a help text can be pasted: a shell splits it into a command line that this program accepts.

use clap::CommandFactory as _;

use super::*;

/// Every line of help texts that calls this program, with what belongs to it on the next ones.
fn examples(command: &clap::Command, found: &mut Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string);
    let joined = help.unwrap_or_default().replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let calls = lines.filter(|line| {
        let mut words = line.split(' ').skip_while(|word| is_assignment(word));
        words.next() == Some("drawspan") && !line.ends_with('.')
    });
    found.extend(calls.map(str::to_owned));
    for subcommand in command.get_subcommands() {
        examples(subcommand, found);
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    })
}

/// The words that a POSIX shell makes of a line, up to where its output goes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match letter {
            '\'' | '"' if quote.is_none() || quote == Some(letter) => {
                quote = match quote {
                    None => Some(letter),
                    Some(_) => None,
                };
                word.get_or_insert_default();
            }
            ' ' if quote.is_none() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    assert_eq!(quote, None, "{line}: a quote is open");
    words.extend(word);
    let end = words.iter().position(|word| word == ">" || word == "|");
    words.truncate(end.unwrap_or(words.len()));
    words
}

#[test]
fn every_example_is_a_command_line() {
    let mut found = Vec::new();
    examples(&Cli::command(), &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for example in &found {
        assert!(
            !example.contains('…'),
            "{example}: has to be completed first"
        );
        let words = words(example)
            .into_iter()
            .skip_while(|word| is_assignment(word));
        let parsed = Cli::try_parse_from(words);
        let shown = |error: &clap::Error| error.kind() == ErrorKind::DisplayHelp;
        if let Err(error) = parsed.as_ref().map(|_| ()) {
            assert!(shown(error), "{example}\n{error}");
        }
    }
}

/// A line that is broken by the terminal's width is pasted as two.
#[test]
fn examples_are_shown_as_they_are_at_every_usual_width() {
    fn check(command: &clap::Command, width: usize) {
        let name = command.get_name();
        let help = command.get_after_help().map(ToString::to_string);
        let shown = command.clone().term_width(width).render_long_help();
        let shown = shown.to_string();
        let mut goes_on = false;
        for line in help.unwrap_or_default().lines() {
            let first = line.trim().split(' ').next().unwrap_or_default();
            let is_command = goes_on
                || line.starts_with("  ")
                    && (["drawspan", "export"].contains(&first) || is_assignment(first));
            goes_on = is_command && line.ends_with('\\');
            if is_command {
                assert!(line.len() <= 78, "{name}: {line}");
                let is_shown = shown.lines().any(|it| it == line);
                assert!(is_shown, "{name}, {width} columns: {line}\n{shown}");
            }
        }
        for subcommand in command.get_subcommands() {
            check(subcommand, width);
        }
    }
    for width in [80, 200] {
        check(&Cli::command(), width);
    }
}

#[test]
fn every_command_has_an_example_of_its_own() {
    fn check(command: &clap::Command, path: &str) {
        let name = command.get_name();
        if command.is_hide_set() || name == "help" {
            return;
        }
        let path = format!("{path} {name}");
        let path = path.trim();
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(help.contains(path), "`{path} --help` has no example");
        }
        for subcommand in command.get_subcommands() {
            check(subcommand, path);
        }
    }
    check(&Cli::command(), "");
}
