//! Messages on one line of a terminal.

use drawspan_hub::UtcTime;

/// The time of day, with milliseconds.
pub(super) fn time_of_day(time: UtcTime) -> String {
    let text = time.to_string();
    text.get(11..23).unwrap_or(&text).to_owned()
}

/// The beginning of a text, on one line. Control characters become `�`: a message must not steer the terminal.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    let visible = |letter: char| match letter {
        '\n' | '\r' | '\t' => ' ',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    };
    let mut shown: String = text.chars().take(max_chars).map(visible).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[2J", 99), "a b\u{fffd}[2J");
        assert_eq!(one_line("äöü", 2), "äö…");
        let time = UtcTime::from_unix_ms(1_795_342_830_123);
        assert_eq!(time_of_day(time), "10:20:30.123");
    }
}
