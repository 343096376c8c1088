//! Unguessable names and keys: the only place that asks the system for randomness.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_hub::SymmetricKey;
use drawspan_hub::key::InvalidKey;
use drawspan_hub_model::c2d::LockToken;
use drawspan_hub_model::device::Fresh;

/// Bytes of a key that the hub makes.
const KEY_BYTES: usize = 32;
/// Bytes of a key that DPS makes.
const GROUP_KEY_BYTES: usize = 64;
/// 100 ns steps from the year 1 to 1970: the hub's generation ids look like .NET's ticks.
const TICKS_TO_1970: u64 = 621_355_968_000_000_000;

/// Why there is no randomness.
#[derive(Debug, thiserror::Error)]
pub enum NoRandomness {
    /// The system provides no randomness.
    #[error("the system gives no random bytes: {0}")]
    System(getrandom::Error),
    /// Cannot happen: the length is fixed.
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

/// A key of the length that the hub uses.
pub fn key() -> Result<SymmetricKey, NoRandomness> {
    Ok(SymmetricKey::from_bytes(&bytes::<KEY_BYTES>()?)?)
}

/// A key of the length that DPS gives to enrollment groups.
pub fn group_key() -> Result<SymmetricKey, NoRandomness> {
    Ok(SymmetricKey::from_bytes(&bytes::<GROUP_KEY_BYTES>()?)?)
}

/// Random values for a change of a device.
pub fn fresh(now_unix_ms: u64) -> Result<Fresh, NoRandomness> {
    let [a, b, etag @ ..] = bytes::<8>()?;
    let ticks =
        TICKS_TO_1970 + now_unix_ms * 10_000 + u64::from(u16::from_le_bytes([a, b])) % 10_000;
    Ok(Fresh {
        generation_id: ticks.to_string().into(),
        etag: STANDARD.encode(etag),
        primary: key()?,
        secondary: key()?,
    })
}

/// Names a hand-over of a message.
pub fn lock_token() -> Result<LockToken, NoRandomness> {
    Ok(LockToken(bytes()?))
}

/// 32 hex digits.
pub fn hex() -> Result<String, NoRandomness> {
    Ok(format!("{:032x}", u128::from_le_bytes(bytes()?)))
}

/// What a certificate must have as its common name to prove possession of its authority's key: 48 hex digits in capitals, as a hub
/// makes them.
pub fn verification_code() -> Result<String, NoRandomness> {
    use std::fmt::Write as _;
    let bytes = bytes::<24>()?;
    Ok(bytes.iter().fold(String::new(), |mut code, byte| {
        // Writing to a text cannot fail.
        let _ = write!(code, "{byte:02X}");
        code
    }))
}

/// A random UUID (RFC 9562, version 4), in network order.
pub fn uuid() -> Result<[u8; 16], NoRandomness> {
    const VERSION_4: u128 = 4 << 76;
    const VARIANT: u128 = 2 << 62;
    const FIXED: u128 = (0xf << 76) | (3 << 62);
    let random = u128::from_be_bytes(bytes()?);
    Ok(((random & !FIXED) | VERSION_4 | VARIANT).to_be_bytes())
}

/// A random UUID as text, in lower case.
pub fn uuid_text() -> Result<String, NoRandomness> {
    let hex = format!("{:032x}", u128::from_be_bytes(uuid()?));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Ok(parts
        .map(|part| hex.get(part).unwrap_or_default())
        .join("-"))
}

fn bytes<const LEN: usize>() -> Result<[u8; LEN], NoRandomness> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes).map_err(NoRandomness::System)?;
    Ok(bytes)
}
