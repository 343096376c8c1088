//! Digital twin model ids: `dtmi:com:example:Pump;1`.
//!
//! The form is that of the Digital Twins Definition Language, versions 2 to 4 (from version 3 on the number may have a minor
//! part, or be missing).

/// Longest model id of an interface.
pub const MAX_CHARS: usize = 128;
const MAX_VERSION_DIGITS: usize = 9;

/// Whether a text is a model id.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    if text.len() > MAX_CHARS {
        return false;
    }
    let Some(rest) = text.strip_prefix("dtmi:") else {
        return false;
    };
    let (path, version) = match rest.split_once(';') {
        Some((path, version)) => (path, Some(version)),
        None => (rest, None),
    };
    path.split(':').all(is_segment) && version.is_none_or(is_version)
}

fn is_segment(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with('_')
        && text.bytes().all(word)
}

fn is_version(text: &str) -> bool {
    let number = |text: &str| {
        (1..=MAX_VERSION_DIGITS).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.split_once('.') {
        Some((major, minor)) => is_version(major) && number(minor) && !major.contains('.'),
        None => number(text) && !text.starts_with('0'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_ids() {
        let check = |text: &str, expected| assert_eq!(is_valid(text), expected, "{text}");
        check("dtmi:com:example:Pump;1", true);
        check("dtmi:a;1", true);
        check("dtmi:a_1:b2;123456789", true);
        check("dtmi:a:b;1.2", true);
        check("dtmi:a:b", true);
        check("", false);
        check("dtmi:", false);
        check("dtmi:;1", false);
        check("dtmi:a;", false);
        check("dtmi:a;0", false);
        check("dtmi:a;01", false);
        check("dtmi:a;1234567890", false);
        check("dtmi:a;1.", false);
        check("dtmi:a;1.2.3", false);
        check("dtmi:a;x", false);
        check("dtmi:1a;1", false);
        check("dtmi:a_;1", false);
        check("dtmi:a::b;1", false);
        check("dtmi:a-b;1", false);
        check("dtmi:ä;1", false);
        check("urn:a:b:1", false);
        check("DTMI:a;1", false);
        check(&format!("dtmi:{};1", "a".repeat(121)), true);
        check(&format!("dtmi:{};1", "a".repeat(122)), false);
    }
}
