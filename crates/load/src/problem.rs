//! The text of a failed answer, on one line.

use serde::Deserialize;

/// How much of an answer is shown.
const SHOWN_CHARS: usize = 300;

#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
    title: Option<String>,
}

/// Status, device, and the problem's own words.
pub(super) fn words(status: u16, device: &str, body: &[u8]) -> String {
    let said = said(body);
    match said.is_empty() {
        true => format!("{status} for device {device}"),
        false => format!("{status} for device {device}: {said}"),
    }
}

/// The detail of a problem document, else its title, else the beginning of the body.
pub(super) fn said(body: &[u8]) -> String {
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let said = problem.and_then(|problem| problem.detail.or(problem.title));
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let visible = |letter: char| if letter.is_control() { ' ' } else { letter };
    said.trim().chars().take(SHOWN_CHARS).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_detail() {
        let check = |body: &str, expected: &str| {
            assert_eq!(words(502, "d", body.as_bytes()), expected);
        };
        check(
            r#"{"type":"/problems/hub-refused","title":"Refused","detail":"No such device."}"#,
            "502 for device d: No such device.",
        );
        check(r#"{"title":"Refused"}"#, "502 for device d: Refused");
        check("Bad\nGateway", "502 for device d: Bad Gateway");
        check("", "502 for device d");
    }
}
