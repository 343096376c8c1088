//! Entries of the setting `allow_callbacks`: `10.0.0.0/8`, `fd12::/16`, `192.168.1.7`, `adapter.local`, `*.example.internal`.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use super::special_purpose::{SpecialPurpose, plain, special_purpose};

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Addresses that begin with these bits.
    Range {
        /// The first of them.
        first: IpAddr,
        /// How many bits count.
        bits: u32,
    },
    /// A host by name, with any address.
    Host(String),
    /// All hosts below this name, which begins with a dot.
    Below(String),
}

/// Why a text is no such entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAllowed {
    /// Not an address, a range or a name.
    #[error(
        "`{0}` is neither an address, nor a range like 10.0.0.0/8, nor a host like adapter.local or *.example.internal"
    )]
    Form(String),
    /// Bits beyond the prefix are set, so the author may have meant something else.
    #[error("`{0}` has bits set beyond its prefix; the range begins at {1}")]
    Bits(String, IpAddr),
    /// It lies where nothing may be allowed.
    #[error("`{0}` are link-local or metadata addresses, which callbacks never reach")]
    Metadata(String),
}

impl Allowed {
    /// Whether it lists this address of this host.
    #[must_use]
    pub fn covers(&self, host: &str, address: IpAddr) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Range { first, bits } => {
                matches!(
                    (plain(address), first),
                    (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_))
                ) && masked(plain(address), *bits) == *first
            }
            Self::Host(name) => host.eq_ignore_ascii_case(name),
            Self::Below(suffix) => {
                let start = host.len().checked_sub(suffix.len());
                start.is_some_and(|start| {
                    start > 0
                        && host.is_char_boundary(start)
                        && host[start..].eq_ignore_ascii_case(suffix)
                })
            }
        }
    }
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let text = text.trim();
        let form = || InvalidAllowed::Form(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                let address = literal(address).ok_or_else(form)?;
                (Some(address), bits.parse().ok())
            }
            None => (literal(text), None),
        };
        if let Some(address) = address {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = match (bits, text.contains('/')) {
                (Some(bits), _) if bits <= most => bits,
                (None, false) => most,
                _ => return Err(form()),
            };
            let first = masked(address, bits);
            if first != address {
                return Err(InvalidAllowed::Bits(text.to_owned(), first));
            }
            // Of a wider range the rest counts: metadata in it stays out of reach.
            let narrow = if address.is_ipv4() { 16 } else { 10 };
            if special_purpose(first) == Some(SpecialPurpose::Metadata) && bits >= narrow {
                return Err(InvalidAllowed::Metadata(text.to_owned()));
            }
            return Ok(Self::Range { first, bits });
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let (below, labels) = match name.strip_prefix("*.") {
            Some(labels) => (true, labels),
            None => (false, name.as_str()),
        };
        if !is_name(labels) {
            return Err(form());
        }
        Ok(if below {
            Self::Below(format!(".{labels}"))
        } else {
            Self::Host(name)
        })
    }
}

/// The address that a host is, with or without the brackets of a URL.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// Labels of letters, digits, `-` and `_`. One that is digits alone at the end would be an address in disguise.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last_is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && !last_is_number
}
