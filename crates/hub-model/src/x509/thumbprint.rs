//! Thumbprints of certificates, as texts.

/// Digits of a SHA-1 thumbprint.
pub(super) const SHA1_DIGITS: usize = 40;
/// Digits of a SHA-256 thumbprint.
pub(super) const SHA256_DIGITS: usize = 64;

/// Whether a text is a thumbprint: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
pub fn is_thumbprint(text: &str) -> bool {
    matches!(text.len(), SHA1_DIGITS | SHA256_DIGITS)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Bytes as hexadecimal digits, in capitals.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
