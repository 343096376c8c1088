//! Lock tokens as text: as .NET writes a GUID of these bytes, whose first three groups are little-endian.

use drawspan_hub_model::c2d::LockToken;

/// The token as text.
pub fn text(LockToken(bytes): LockToken) -> String {
    let hex: String = reordered(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let [a, b, c, d, e] = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The token of a text.
pub fn parse(text: &str) -> Option<LockToken> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u128::from_str_radix(&digits, 16).ok()?;
    Some(LockToken(reordered(number.to_be_bytes())))
}

/// Exchanges the orders of bytes; doing it twice changes nothing.
fn reordered([a, b, c, d, e, f, g, h, rest @ ..]: [u8; 16]) -> [u8; 16] {
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_a_guid() {
        let token = LockToken(std::array::from_fn(|at| at as u8));
        let written = text(token);
        assert_eq!(written, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(parse(&written), Some(token));
        assert_eq!(parse("03020100"), None);
        assert_eq!(parse(&"+".repeat(32)), None);
    }
}
