//! The validity period of a certificate.

use drawspan_hub::UtcTime;

/// The two times of a certificate, as texts that sort as the times do: `YYYYMMDDhhmmss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: String,
    pub(super) not_after: String,
}

impl Validity {
    /// Parses them from a certificate (RFC 5280, section 4.1); `None` if it is malformed.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(certificate)?;
        let (_, mut fields, _) = element(certificate)?;
        // An explicit version may stand before the serial number.
        if let Some((VERSION, _, rest)) = element(fields) {
            fields = rest;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            fields = element(fields)?.2;
        }
        let (_, validity, _) = element(fields)?;
        let (kind, not_before, rest) = element(validity)?;
        let not_before = time(kind, not_before)?;
        let (kind, not_after, _) = element(rest)?;
        Some(Self {
            not_before,
            not_after: time(kind, not_after)?,
        })
    }

    /// The reason why it is not valid at that time.
    pub(super) fn mistake(&self, now: UtcTime) -> Option<&'static str> {
        let digits = now.to_string();
        let digits = digits.chars().filter(char::is_ascii_digit);
        let now: String = digits.take(self.not_after.len()).collect();
        if now > self.not_after {
            Some("has expired")
        } else if now < self.not_before {
            Some("does not count yet")
        } else {
            None
        }
    }
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tag, contents and what follows, of the first element of DER.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        0x81..=0x84 => {
            let (length, rest) = bytes.split_at_checked(usize::from(first & 0x7f))?;
            let shifted = |sum, byte: &u8| (sum << 8) | usize::from(*byte);
            (length.iter().fold(0, shifted), rest)
        }
        _ => return None,
    };
    let (contents, rest) = bytes.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn time(kind: u8, contents: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(contents).ok()?;
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (kind, digits.len()) {
        (GENERALIZED_TIME, 14) => Some(digits.to_owned()),
        // Two digits of the year mean 1950 to 2049.
        (UTC_TIME, 12) if *digits < *"50" => Some(format!("20{digits}")),
        (UTC_TIME, 12) => Some(format!("19{digits}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_say_when_they_count() {
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 3, 1);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity.not_before, "20260301000000");
        assert_eq!(validity.not_after, "20511231000000");
        let check = |time: &str, expected| {
            let time = UtcTime::parse(time).unwrap();
            assert_eq!(validity.mistake(time), expected);
        };
        check("2026-02-28T23:59:59Z", Some("does not count yet"));
        check("2026-03-01T00:00:00Z", None);
        check("2051-12-31T00:00:01Z", Some("has expired"));
        // Cut anywhere, it says nothing and nothing breaks.
        for length in 0..certificate.der().len() {
            let _ = Validity::of(&certificate.der()[..length]);
        }
        assert_eq!(Validity::of(b""), None);
    }
}
