use drawspan_hub::UtcTime;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{Identity, KeyRing, Unsealable};
use crate::limits::MAX_KEYS;

fn at(ms: i64) -> UtcTime {
    UtcTime::from_unix_ms(ms)
}

fn ring_of(versions: &[u32]) -> KeyRing {
    let mut ring = KeyRing::new(versions[0], at(0)).unwrap();
    for version in &versions[1..] {
        ring.add(*version, at(1_000)).unwrap();
    }
    ring
}

fn text(ring: &KeyRing) -> String {
    ring.text().expose_secret().to_owned()
}

fn row(name: &str) -> Identity {
    Identity::of("table").with(name.as_bytes())
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let ring = ring_of(&[1, 7, 3]);
    let written = text(&ring);
    let read = KeyRing::parse(&written).unwrap();
    assert_eq!(text(&read), written);
    assert_eq!((read.current(), read.newest()), (3, 7));
    // As people edit files.
    let edited = written
        .replace('\n', "\r\n\r\n")
        .replace("key 1 ", "  key  1  ");
    assert_eq!(text(&KeyRing::parse(&edited).unwrap()), written);
    // What one sealed, the other opens.
    let sealed = ring.seal(&row("a"), b"secret").unwrap();
    let opened = read.open(&row("a"), sealed.version, &sealed.bytes);
    assert_eq!(opened.unwrap(), b"secret");
}

#[test]
fn damaged_files_are_named() {
    let good = text(&ring_of(&[1, 2]));
    let lines: Vec<&str> = good.lines().collect();
    let [heading, note, current, first, second] = lines[..] else {
        panic!("{good}");
    };
    let words: Vec<&str> = first.split(' ').collect();
    let others: Vec<&str> = second.split(' ').collect();
    let key = |version: &str, time: &str, secret: &str, print: &str| {
        format!("{heading}\ncurrent 1\nkey {version} {time} {secret} {print}\n")
    };
    let check = |text: &str, expected: &str| {
        let error = KeyRing::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: not {expected}");
        assert!(!error.contains(words[3]) && !error.contains(others[3]));
    };
    check("", "does not begin");
    check(&good.replacen("ring 1", "ring 2", 1), "does not begin");
    check(&good.replacen("drawspan", "", 1), "does not begin");
    check(&format!("{heading}\n{current}\n{first}\n"), "current one");
    check(&format!("{heading}\n{first}\n{second}\n"), "current one");
    check(&format!("{heading}\n{note}\n{current}\n"), "current one");
    check(
        &good.replacen("current 2", "current -2", 1),
        "line 3 is damaged",
    );
    check(&format!("{good}current 2\n"), "line 6 is damaged");
    check(&format!("{good}nonsense\n"), "line 6 is damaged");
    check(&format!("{good}{first}\n"), "line 6: a key of that number");
    check(
        &key("1", words[2], others[3], words[4]),
        "line 3: key 1 is damaged",
    );
    check(
        &key("1", words[2], words[3], others[4]),
        "line 3: key 1 is damaged",
    );
    check(
        &key("1", "yesterday", words[3], words[4]),
        "line 3 is damaged",
    );
    check(
        &key("+1", words[2], words[3], words[4]),
        "line 3 is damaged",
    );
    check(
        &key("4294967296", words[2], words[3], words[4]),
        "line 3 is damaged",
    );
    check(&key("1", words[2], "AAAA", words[4]), "line 3 is damaged");
    check(
        &key("1", words[2], &format!("{}AAAA", &words[3][..40]), words[4]),
        "line 3 is damaged",
    );
    check(&key("1", words[2], words[3], ""), "line 3 is damaged");
    check(
        &format!("{}\nkey", key("1", words[2], words[3], words[4])),
        "line 5 is damaged",
    );
}

#[test]
fn a_ring_has_an_end() {
    let mut ring = ring_of(&[1]);
    for version in 2..=u32::try_from(MAX_KEYS).unwrap() {
        ring.add(version, at(0)).unwrap();
    }
    let error = ring.add(100_000, at(0)).unwrap_err().to_string();
    assert!(error.contains("drawspan keys prune"), "{error}");
    assert!(text(&ring).len() <= crate::limits::MAX_KEY_RING_BYTES);
    KeyRing::parse(&text(&ring)).unwrap();
    ring.remove(1);
    ring.remove(ring.current());
    assert_eq!(ring.keys().count(), MAX_KEYS - 1);
    ring.add(100_000, at(0)).unwrap();
}

#[test]
fn rings_are_joined_unless_they_disagree() {
    let ring = ring_of(&[1, 2]);
    let mut grown = ring.clone();
    grown.add(5, at(0)).unwrap();
    let joined = ring.joined(&grown).unwrap();
    assert_eq!(
        joined
            .keys()
            .map(|(version, _)| version)
            .collect::<Vec<_>>(),
        [1, 2, 5]
    );
    assert_eq!(joined.current(), 2);
    assert!(ring.joined(&ring_of(&[3, 2])).is_none());
}

#[test]
fn keys_are_not_shown() {
    let ring = ring_of(&[1]);
    let written = text(&ring);
    let secret = written.split(' ').nth_back(1).unwrap();
    assert_eq!(secret.len(), 44);
    assert!(!format!("{ring:?}").contains(secret));
}

#[test]
fn equal_values_are_sealed_differently() {
    let ring = ring_of(&[1]);
    let seal = || ring.seal(&row("a"), b"same").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn fields_are_told_apart() {
    let ring = ring_of(&[1]);
    let split = |first: &str, second: &str| {
        let table = Identity::of("table");
        table.with(first.as_bytes()).with(second.as_bytes())
    };
    let sealed = ring.seal(&split("ab", "c"), b"x").unwrap();
    for other in [
        split("a", "bc"),
        split("abc", ""),
        row("abc"),
        Identity::of("tableabc"),
    ] {
        let opened = ring.open(&other, sealed.version, &sealed.bytes);
        assert_eq!(opened, Err(Unsealable::NotAuthentic(1)));
    }
}

proptest! {
    #[test]
    fn no_text_brings_the_parser_down(text in "\\PC*", lines in prop::collection::vec("(key|current|#|) ?[ -~]{0,90}", 0..8)) {
        let _ = KeyRing::parse(&text);
        let _ = KeyRing::parse(&format!("drawspan key ring 1\n{}", lines.join("\n")));
    }

    /// What is read at all is what was written: a key that changed on the way is not a key.
    #[test]
    fn one_changed_character_is_noticed_or_does_not_matter(place in any::<prop::sample::Index>(), to in "[ -~\n]") {
        let ring = ring_of(&[1, 2]);
        let written = text(&ring);
        let place = place.index(written.len());
        let mut changed = written.clone();
        changed.replace_range(place..=place, &to);
        if let Ok(read) = KeyRing::parse(&changed) {
            for (version, key) in read.keys() {
                // Its number may have changed: then rows show that it is another key.
                let same = ring.keys().any(|(_, own)| own.fingerprint == key.fingerprint);
                prop_assert!(same, "{version}");
            }
        }
    }

    #[test]
    fn nothing_but_the_row_and_its_key_opens_a_value(
        value in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let ring = ring_of(&[1, 2]);
        let sealed = ring.seal(&row("a"), &value).unwrap();
        prop_assert_eq!(sealed.version, 2);
        prop_assert_eq!(ring.open(&row("a"), 2, &sealed.bytes).unwrap(), value);
        let unlike = Err(Unsealable::NotAuthentic(2));
        let mut changed = sealed.bytes.clone();
        changed[place.index(sealed.bytes.len())] ^= flip;
        prop_assert_eq!(ring.open(&row("a"), 2, &changed), unlike.clone());
        let cut = &sealed.bytes[..cut.index(sealed.bytes.len())];
        prop_assert_eq!(ring.open(&row("a"), 2, cut), unlike.clone());
        prop_assert_eq!(ring.open(&row("b"), 2, &sealed.bytes), unlike);
        prop_assert_eq!(ring.open(&row("a"), 1, &sealed.bytes), Err(Unsealable::NotAuthentic(1)));
        prop_assert_eq!(ring.open(&row("a"), 3, &sealed.bytes), Err(Unsealable::NoKey(3)));
        prop_assert!(ring_of(&[2]).open(&row("a"), 2, &sealed.bytes).is_err());
    }

    #[test]
    fn no_stored_value_brings_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..100), version in 0_u32..3) {
        prop_assert!(ring_of(&[1]).open(&row("a"), version, &bytes).is_err());
    }
}
